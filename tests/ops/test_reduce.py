"""Sums, means and broadcasting against NumPy, and as each other's adjoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad, ops
from autodiff.ops.reduce import sum_to

from ..arrays import DTYPES, RTOL, broadcastable, normal, shapes

REDUCTIONS = {ops.sum: np.sum, ops.mean: np.mean}


def name(f):
    return f.__name__


@st.composite
def reductions(draw, dtype=np.float64):
    """An array, an axis argument that fits it and keepdims."""
    x = draw(normal(shapes(), dtype))
    axes = st.integers(-x.ndim, x.ndim - 1) if x.ndim else st.nothing()
    several = st.lists(axes, max_size=x.ndim, unique_by=lambda a: a % x.ndim).map(tuple)
    return x, draw(st.none() | axes | several), draw(st.booleans())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", REDUCTIONS, ids=name)
@given(data=st.data())
def test_values_are_numpys(op, dtype, data):
    x, axis, keepdims = data.draw(reductions(dtype))
    y = op(Tensor(x), axis, keepdims)
    expected = REDUCTIONS[op](x, axis=axis, keepdims=keepdims)
    assert y.dtype == dtype
    assert y.shape == expected.shape
    assert_allclose(y.data, expected, rtol=RTOL[dtype])


@pytest.mark.parametrize("op", REDUCTIONS, ids=name)
@given(data=st.data())
def test_gradients(op, data):
    x, axis, keepdims = data.draw(reductions())

    def reduced(t):
        return op(t * t, axis, keepdims)

    check.vjp(lambda t: op(t, axis, keepdims), x)
    check.adjoint(lambda t: op(t, axis, keepdims), x)
    check.second_order(reduced, x)


@pytest.mark.parametrize("op", REDUCTIONS, ids=name)
@given(data=st.data())
def test_float32_gradients_are_float32(op, data):
    x, axis, keepdims = data.draw(reductions(np.float32))
    t = Tensor(x, requires_grad=True)
    y = op(t, axis, keepdims)
    gx = grad(y, t, gy=np.ones(y.shape, np.float32))
    assert gx.dtype == np.float32
    assert_allclose(gx.data, np.full(x.shape, 1 if op is ops.sum else y.size / x.size), rtol=RTOL[np.float32])


@given(data=st.data())
def test_broadcast_to_and_sum_to_are_adjoint(data):
    small, other = data.draw(broadcastable())
    large = np.broadcast_shapes(small, other)
    x, y = data.draw(normal(small)), data.draw(normal(large))
    up, down = ops.broadcast_to(Tensor(x), large), sum_to(Tensor(y), small)
    assert_array_equal(up.data, np.broadcast_to(x, large))
    assert down.shape == small
    assert_allclose(np.vdot(up.data, y), np.vdot(x, down.data), atol=1e-12)
    check.adjoint(lambda t: ops.broadcast_to(t, large), x)
    check.adjoint(lambda t: sum_to(t, small), y)
    check.vjp(lambda t: ops.broadcast_to(t, large), x)
    check.vjp(lambda t: sum_to(t, small), y)


def test_methods_of_tensor():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    assert x.sum().item() == 15.0
    assert x.mean().item() == 2.5
    assert_array_equal(x.sum(axis=0).data, [3.0, 5.0, 7.0])
    assert_array_equal(x.mean(axis=-1, keepdims=True).data, [[1.0], [4.0]])


def test_sum_of_nothing():
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    assert x.sum().item() == 0.0
    assert_array_equal(x.sum(axis=0).data, np.zeros(3))
    assert grad(x.sum(), x).shape == (0, 3)


def test_mean_of_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"^mean: shape \(0, 3\)"):
        ops.mean(Tensor(np.zeros((0, 3))))


@pytest.mark.parametrize("op", REDUCTIONS, ids=name)
@pytest.mark.parametrize("axis", [2, -3, (0, 2)])
def test_axis_out_of_range(op, axis):
    with pytest.raises(ValueError, match=r"axis -?\d is out of bounds"):
        op(Tensor(np.zeros((2, 3))), axis)
