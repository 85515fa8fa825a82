"""Inverted dropout: what it keeps, how often, and that the seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad
from autodiff.ops import dropout

from ..arrays import DTYPES, RTOL, normal, shapes

RATES = st.sampled_from([0.0, 0.1, 0.5, 0.9])


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_kept_numbers_are_scaled_and_the_seed_decides(dtype, data):
    x, rate, seed = data.draw(normal(shapes(), dtype, away=0.1)), data.draw(RATES), data.draw(st.integers(0, 99))
    y = dropout(Tensor(x), rate, np.random.default_rng(seed))
    assert y.dtype == dtype
    assert y.shape == x.shape
    kept = y.data != 0
    assert_allclose(y.data[kept], x[kept] / (1 - rate), rtol=RTOL[dtype])
    assert_array_equal(dropout(Tensor(x), rate, np.random.default_rng(seed)).data, y.data)


@given(normal(shapes()), RATES, st.integers(0, 99))
def test_gradients(x, rate, seed):
    def dropped(t):
        return dropout(t, rate, np.random.default_rng(seed))

    check.vjp(dropped, x)
    check.adjoint(dropped, x)


def test_the_gradient_has_the_mask_and_the_scale_of_the_forward_pass():
    x = Tensor(np.ones((20, 20), np.float32), requires_grad=True)
    y = dropout(x, 0.25, np.random.default_rng(0))
    gx = grad(y, x, gy=np.ones_like(x.data))
    assert gx.dtype == np.float32
    assert_array_equal(gx.data, y.data)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped(rate):
    y = dropout(np.ones(100_000), rate, np.random.default_rng(0)).data
    deviation = np.sqrt(rate * (1 - rate) / y.size)
    assert abs((y == 0).mean() - rate) < 4 * deviation


def test_every_number_has_a_chance_of_its_own():
    y = dropout(np.ones((50, 50)), 0.5, np.random.default_rng(0)).data
    assert len(np.unique(y, axis=0)) == len(np.unique(y, axis=1)) == 50


def test_successive_calls_draw_new_masks():
    rng = np.random.default_rng(0)
    first, second = (dropout(np.ones(100), 0.5, rng).data for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_rate_out_of_range(rate):
    with pytest.raises(ValueError, match=f"^dropout: rate {rate}, expected 0 <= rate < 1$"):
        dropout(np.ones(3), rate, np.random.default_rng(0))


def test_integers_are_an_error():
    with pytest.raises(TypeError, match=r"^dropout: .*int64"):
        dropout(np.ones(3, np.int64), 0.5, np.random.default_rng(0))


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match=r"^dropout: rng is 0, expected a numpy\.random\.Generator$"):
        dropout(np.ones(3), 0.5, 0)
