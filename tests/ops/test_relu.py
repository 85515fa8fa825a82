"""relu: values and gradients against their definition in every voice, the subgradient at the kink, NaN and infinity."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from autodiff import Tensor, check, grad, ops, use
from autodiff.ops.relu import cpu, rectified

from ..arrays import DTYPES, normal, shapes

every_voice = pytest.mark.parametrize("voice", ["reference", "cpu"])


@every_voice
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_definition(voice, dtype, data):
    x = data.draw(normal(shapes(), dtype))
    t = Tensor(x, requires_grad=True)
    with use(voice):
        y = ops.relu(t)
        gx = grad(y, t, gy=np.full_like(x, 3.0))
    expected = np.array([v if v > 0 else 0 for v in x.ravel()]).reshape(x.shape)
    assert_array_equal(y.data, expected)
    assert_array_equal(gx.data, np.array([3.0 if v > 0 else 0 for v in x.ravel()]).reshape(x.shape))
    assert y.dtype == gx.dtype == dtype


@every_voice
@given(normal(shapes(), away=0.1))
def test_gradients(voice, x):
    with use(voice):
        check.vjp(ops.relu, x)
        check.adjoint(ops.relu, x)
        check.second_order(lambda x: ops.relu(x) * ops.relu(x), x)


@every_voice
def test_at_the_kink_and_beyond_all_numbers(voice):
    x = Tensor(np.array([0.0, -0.0, np.nan, np.inf, -np.inf, -1.0]), requires_grad=True)
    with use(voice):
        y = ops.relu(x)
        gx = grad(y, x, gy=np.array([1.0, 1.0, 1.0, 1.0, 1.0, np.inf]))
    assert_array_equal(y.data, [0, 0, np.nan, np.inf, 0, 0])
    assert_array_equal(gx.data, [0, 0, 0, 1, 0, 0])


@every_voice
def test_more_numbers_than_a_piece_in_any_layout(voice):
    """Two pieces and a rest; rows and columns exchanged, every second number, backwards."""
    x = np.random.default_rng(0).standard_normal((4, 2 * cpu.PIECE // 4 + 3))
    x.reshape(-1)[cpu.PIECE - 1 :: cpu.PIECE] = 1  # the last of each piece has a gradient
    gy = np.random.default_rng(1).standard_normal(x.shape)
    with use(voice):
        for a, g in ((x, gy), (x.T, gy.T), (x[:, ::2], gy[:, ::2]), (x[::-1], gy[::-1])):
            t = Tensor(a, requires_grad=True)
            y = ops.relu(t)
            assert_array_equal(y.data, a * (a > 0))
            assert_array_equal(grad(y, t, gy=g).data, g * (a > 0))


def test_the_same_bits_at_any_number_of_threads():
    x = np.random.default_rng(0).standard_normal(3 * cpu.PIECE + 1)
    threads, results = numba.get_num_threads(), []
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            results.append((cpu.forward(x), cpu.gradient(x, x)))
    finally:
        numba.set_num_threads(threads)
    for one, many in zip(*results, strict=True):
        assert_array_equal(one, many)


@every_voice
def test_rectified_has_the_gradient_of_relu(voice):
    """A kernel that rectifies gives relu(x) as the numbers of x; the gradient is that of relu at x."""
    x, gy = np.array([-2.0, 0.0, 3.0, 0.5]), np.array([1.0, 2.0, 3.0, 4.0])
    variable = Tensor(np.maximum(x, 0), requires_grad=True)
    with use(voice):
        y = rectified(variable)
        assert_array_equal(grad(y, variable, gy).data, [0, 0, 3, 4])
    assert_array_equal(y.data, [0, 0, 3, 0.5])
