"""softmax against its definition, its gradients, and numbers that overflow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autodiff import Tensor, check, grad, ops

from ..arrays import DTYPES, RTOL, normal, shapes


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_softmax(dtype, data):
    x = data.draw(normal(shapes(min_dims=1), dtype))
    t = Tensor(x, requires_grad=True)
    p = ops.softmax(t)
    e = np.exp(x.astype(np.float64))
    assert_allclose(p.data, e / e.sum(axis=-1, keepdims=True), rtol=RTOL[dtype])
    assert p.dtype == grad(p, t, gy=np.ones_like(x)).dtype == dtype


@given(normal(shapes(min_dims=1)))
def test_softmax_gradients(x):
    check.vjp(ops.softmax, x)
    check.adjoint(ops.softmax, x)
    check.second_order(ops.softmax, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_does_not_overflow(dtype):
    p = ops.softmax(Tensor(np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4]], dtype)))
    assert_allclose(p.data, [[0.5, 0.0, 0.5], [1 / 3, 1 / 3, 1 / 3]], rtol=RTOL[dtype])


@pytest.mark.parametrize("op", [ops.relu, ops.softmax], ids=lambda f: f.__name__)
def test_integers_are_an_error(op):
    with pytest.raises(TypeError, match=f"^{op.__name__}: .*int64.*float32 or float64"):
        op(Tensor(np.array([1, 2], np.int64)))
