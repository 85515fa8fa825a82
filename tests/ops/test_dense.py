"""The fully connected layer against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from autodiff import Tensor, check, grad
from autodiff.ops import dense

from ..arrays import DTYPES, RTOL, normal


@st.composite
def problems(draw, dtype=np.float64):
    N, inputs, outputs = draw(st.integers(0, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    x, weight, bias = (draw(normal(shape, dtype)) for shape in ((N, inputs), (outputs, inputs), (outputs,)))
    return (x, weight, bias) if draw(st.booleans()) else (x, weight)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_the_definition(dtype, data):
    arrays = data.draw(problems(dtype))
    x, weight, bias = (*arrays, np.zeros(len(arrays[1]), dtype))[:3]
    expected = np.zeros((len(x), len(weight)))
    for n, k in np.ndindex(expected.shape):
        expected[n, k] = bias[k] + sum(float(x[n, i]) * float(weight[k, i]) for i in range(x.shape[1]))
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    y = dense(*xs)
    assert_allclose(y.data, expected, rtol=RTOL[dtype], atol=10 * RTOL[dtype])  # the terms may cancel
    assert {t.dtype for t in (y, *grad(y, xs, gy=np.ones_like(y.data)))} == {np.dtype(dtype)}


@given(problems())
def test_gradients(arrays):
    check.vjp(dense, *arrays)
    check.adjoint(dense, *arrays)
    check.second_order(dense, *arrays)


def test_the_same_bits_at_any_number_of_threads():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((64, 600), (200, 600), (200,))]

    def bits():
        xs = [Tensor(a, requires_grad=True) for a in arrays]
        y = dense(*xs)
        return [t.data for t in (y, *grad((y * y).sum(), xs))]

    with threadpool_limits(1):
        alone = bits()
    for together, expected in zip(bits(), alone, strict=True):
        assert_array_equal(together, expected)


X, WEIGHT, BIAS = (2, 3), (4, 3), (4,)


@pytest.mark.parametrize(
    "x, weight, bias", [((2, 4), WEIGHT, BIAS), ((3,), WEIGHT, BIAS), (X, (3,), BIAS), (X, WEIGHT, (3,))]
)
def test_shapes_that_do_not_fit(x, weight, bias):
    with pytest.raises(ValueError, match=r"^dense: .*expect") as error:
        dense(np.zeros(x), np.zeros(weight), np.zeros(bias))
    assert str(weight) in str(error.value)


def test_dtypes_that_differ():
    with pytest.raises(TypeError, match=r"^dense: .*\(float32, float64, float64\)"):
        dense(np.zeros(X, np.float32), np.zeros(WEIGHT), np.zeros(BIAS))
