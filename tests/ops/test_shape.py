"""Ops that move numbers: values against NumPy; they are linear, so the adjoint identity says all of their gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices
from numpy.testing import assert_array_equal

from autodiff import Tensor, check, grad, ops

from ..arrays import DTYPES, normal, shapes


def verify(fun, numpy_fun, *arrays):
    """fun has NumPy's values and dtype, and right gradients of both orders."""
    y = fun(*map(Tensor, arrays))
    assert y.dtype == arrays[0].dtype
    assert_array_equal(y.data, numpy_fun(*arrays))
    wide = [a.astype(np.float64) for a in arrays]
    check.vjp(fun, *wide)
    check.adjoint(fun, *wide)
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    gs = grad(fun(*xs), xs, gy=np.ones_like(y.data))
    assert [g.dtype for g in gs] == [a.dtype for a in arrays]


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_reshape(dtype, data):
    x = data.draw(normal(shapes(), dtype))
    new = data.draw(st.permutations(x.shape)) + data.draw(st.sampled_from([[], [1], [1, 1]]))
    verify(lambda t: ops.reshape(t, new), lambda a: a.reshape(new), x)
    verify(lambda t: t.reshape(*new), lambda a: a.reshape(new), x)
    verify(lambda t: t.reshape(-1), lambda a: a.reshape(-1), x)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_transpose(dtype, data):
    x = data.draw(normal(shapes(max_dims=4), dtype))
    order = tuple(data.draw(st.permutations(range(x.ndim))))
    verify(lambda t: ops.transpose(t, order), lambda a: a.transpose(order), x)
    verify(lambda t: t.transpose(*order), lambda a: a.transpose(*order), x)
    verify(ops.transpose, np.transpose, x)
    verify(lambda t: t.T, lambda a: a.T, x)


def test_transpose_with_negative_axes():
    x = np.arange(24.0).reshape(2, 3, 4)
    verify(lambda t: t.transpose(-1, 0, 1), lambda a: a.transpose(-1, 0, 1), x)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_basic_index(dtype, data):
    x = data.draw(normal(shapes(), dtype))
    index = data.draw(basic_indices(x.shape, allow_newaxis=True))
    verify(lambda t: t[index], lambda a: a[index], x)


INDICES = {
    "a list": [2, 0],
    "an element twice": np.array([0, 2, 0, 0]),
    "two arrays": (np.array([0, 1, 0]), np.array([3, 3, 3])),
    "an array and a slice": (slice(None, 2), np.array([1, 1])),
    "a mask": np.arange(12).reshape(3, 4) % 5 == 0,
    "a NumPy integer": np.int64(-1),
    "an ellipsis": (..., -1),
    "nothing": np.array([], int),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_any_index_that_numpy_takes(index):
    x = np.random.default_rng(0).standard_normal((3, 4))
    verify(lambda t: t[index], lambda a: a[index], x)


def test_index_by_a_tensor():
    x = np.arange(6.0).reshape(3, 2)
    rows = np.array([2, 0, 2])
    verify(lambda t: t[Tensor(rows)], lambda a: a[rows], x)
    verify(lambda t: t[Tensor(rows), 1], lambda a: a[rows, 1], x)


def test_an_element_met_twice_gets_both_gradients():
    x = Tensor(np.arange(3.0), requires_grad=True)
    x[[1, 1, 2]].sum().backward()
    assert_array_equal(x.grad.data, [0.0, 2.0, 1.0])


def test_index_out_of_range():
    with pytest.raises(IndexError):
        Tensor(np.ones(3))[3]


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_concatenate(dtype, data):
    shape = data.draw(shapes(min_dims=1))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for n in data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)):
        resized = list(shape)
        resized[axis] = n
        parts.append(data.draw(normal(tuple(resized), dtype)))
    verify(lambda *ts: ops.concatenate(ts, axis), lambda *arrays: np.concatenate(arrays, axis), *parts)


def test_concatenate_a_tensor_with_itself():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (ops.concatenate([x, x]) * np.array([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert_array_equal(x.grad.data, [101.0, 1010.0])


def test_concatenate_errors():
    a, b = Tensor(np.ones((2, 3))), Tensor(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"^concatenate: .*\(2, 3\), \(2, 4\).* axis 0$"):
        ops.concatenate([a, b])
    with pytest.raises(ValueError, match=r"^concatenate: got no tensors"):
        ops.concatenate([])
    with pytest.raises(TypeError, match=r"^concatenate: .*float64, float32"):
        ops.concatenate([a, Tensor(np.ones((2, 3), np.float32))])
