"""Elementwise arithmetic and the matrix product: values against NumPy, gradients against finite differences."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad, ops

from ..arrays import DTYPES, RTOL, laid_out, normal, normals, shapes

BINARY = {
    ops.add: np.add,
    ops.subtract: np.subtract,
    ops.multiply: np.multiply,
    ops.divide: np.divide,
    ops.maximum: np.maximum,
}
UNARY = {
    ops.exp: np.exp,
    ops.abs: np.abs,
    ops.log: np.log,
    ops.sqrt: np.sqrt,
    operator.neg: np.negative,
}
OF_POSITIVE = (ops.log, ops.sqrt)
OPERATORS = (operator.add, operator.sub, operator.mul, operator.truediv)


def name(f):
    return f.__name__


def gradients(y, *xs):
    return [g.data for g in grad(y, xs, gy=np.ones(y.shape, y.dtype))]


@st.composite
def operands(draw, op, dtype=np.float64):
    """Two arrays that broadcast, away from the kinks and poles of op."""
    x, y = draw(normals(2, dtype, away=0.5))
    if op is ops.maximum:  # integers beside halves are never closer than 1/2
        x, y = np.asarray(np.round(4 * x)), np.asarray(np.round(4 * y) + dtype(0.5))
    return x, y


@st.composite
def operand(draw, op, dtype=np.float64):
    x = draw(normal(shapes(), dtype, away=0.5))
    return np.asarray(np.abs(x)) if op in OF_POSITIVE else x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", BINARY, ids=name)
@given(data=st.data())
def test_binary_values_are_numpys(op, dtype, data):
    x, y = data.draw(operands(op, dtype))
    z = op(Tensor(x), Tensor(y))
    assert z.dtype == dtype
    assert_array_equal(z.data, BINARY[op](x, y))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", UNARY, ids=name)
@given(data=st.data())
def test_unary_values_are_numpys(op, dtype, data):
    x = data.draw(operand(op, dtype))
    y = op(Tensor(x))
    assert y.dtype == dtype
    assert_array_equal(y.data, UNARY[op](x))


@pytest.mark.parametrize("op", BINARY, ids=name)
@given(data=st.data())
def test_binary_gradients(op, data):
    xy = data.draw(operands(op))
    check.vjp(op, *xy)
    check.adjoint(op, *xy)
    check.second_order(op, *xy)


@pytest.mark.parametrize("op", UNARY, ids=name)
@given(data=st.data())
def test_unary_gradients(op, data):
    x = data.draw(operand(op))
    check.vjp(op, x)
    check.adjoint(op, x)
    check.second_order(op, x)


@pytest.mark.parametrize("p", [-2, -1, 0, 0.5, 1, 2, 2.5, 3])
@given(data=st.data())
def test_power(p, data):
    x = np.asarray(np.abs(data.draw(normal(shapes(), away=0.5))))
    assert_array_equal((Tensor(x) ** p).data, x**p)
    check.vjp(lambda t: t**p, x)
    check.second_order(lambda t: t**p, x)


@pytest.mark.parametrize("p", [2, 2.5, np.float64(2.5)])
def test_power_keeps_the_dtype(p):
    x = Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    y = x**p
    assert y.dtype == gradients(y, x)[0].dtype == np.float32


def test_power_at_zero():
    x = Tensor(np.zeros(1), requires_grad=True)
    assert_array_equal(gradients(x**2, x), [[0.0]])
    assert_array_equal(gradients(x**1, x), [[1.0]])
    assert_array_equal(gradients(x**0, x), [[0.0]])


def test_power_needs_a_number():
    with pytest.raises(TypeError, match=r"^power: .* Tensor$"):
        ops.power(Tensor(np.ones(2)), Tensor(np.ones(2)))


@pytest.mark.parametrize("op", [*BINARY, *UNARY], ids=name)
@given(data=st.data())
def test_float32_gradients_are_float32(op, data):
    arrays = data.draw(operands(op, np.float32)) if op in BINARY else [data.draw(operand(op, np.float32))]
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    gs = gradients(op(*xs), *xs)
    assert [g.dtype for g in gs] == [np.float32] * len(xs)
    wide = [Tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    for g, exact in zip(gs, gradients(op(*wide), *wide), strict=True):
        assert_allclose(g, exact, rtol=RTOL[np.float32], atol=1e-5)  # sums of up to 64 numbers cancel


@pytest.mark.parametrize("number", [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2)])
@pytest.mark.parametrize("op", OPERATORS, ids=name)
def test_numbers_take_the_dtype_of_the_tensor(op, number):
    a = np.linspace(1, 2, 6, dtype=np.float32).reshape(2, 3)
    x = Tensor(a, requires_grad=True)
    for z, expected in (op(x, number), op(a, np.float32(number))), (op(number, x), op(np.float32(number), a)):
        assert z.dtype == np.float32
        assert_array_equal(z.data, expected)
        assert gradients(z, x)[0].dtype == np.float32


def test_numbers_beside_integers_are_not_truncated():
    labels = Tensor(np.array([1, 2, 3]))
    assert_array_equal((labels * 2.5).data, [2.5, 5.0, 7.5])
    assert_array_equal((0.5 + labels).data, [1.5, 2.5, 3.5])


@pytest.mark.parametrize("op", OPERATORS, ids=name)
def test_arrays_reach_the_operators_of_tensor(op):
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 7.0])
    x = Tensor(b, requires_grad=True)
    z = op(a, x)
    assert isinstance(z, Tensor)
    assert_array_equal(z.data, op(a, b))
    assert z.requires_grad


def test_matrix_product_with_an_array():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    assert_array_equal((a @ Tensor(b, requires_grad=True)).data, a @ b)
    assert_array_equal((Tensor(a, requires_grad=True) @ b).data, a @ b)


@pytest.mark.parametrize("op", OPERATORS, ids=name)
@pytest.mark.parametrize("narrow", [0, 1])
def test_each_gradient_has_the_precision_of_its_input(op, narrow):
    arrays = [np.array([[1.0], [2.0]]), np.array([3.0, 4.0, 5.0])]
    arrays[narrow] = arrays[narrow].astype(np.float32)
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    z = op(*xs)
    assert z.dtype == np.float64
    assert [g.dtype for g in gradients(z, *xs)] == [a.dtype for a in arrays]


def test_subgradient_of_abs_at_zero():
    x = Tensor(np.array([-2.0, 0.0, -0.0, 3.0]), requires_grad=True)
    assert_array_equal(gradients(abs(x), x)[0], [-1.0, 0.0, 0.0, 1.0])


def test_a_tie_of_maximum_goes_to_the_first():
    x = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    y = Tensor(np.array([2.0, 2.0, 2.0]), requires_grad=True)
    gx, gy = gradients(ops.maximum(x, y), x, y)
    assert_array_equal(gx, [0.0, 1.0, 1.0])
    assert_array_equal(gy, [1.0, 0.0, 0.0])


def test_division_of_small_numbers():
    """The gradient -x / y^2 is representable although y^2 is not."""
    x = Tensor(np.array([1e-25], np.float32), requires_grad=True)
    y = Tensor(np.array([2e-25], np.float32), requires_grad=True)
    assert_allclose(gradients(x / y, y)[0], [-2.5e24], rtol=RTOL[np.float32])


@st.composite
def factors(draw, dtype=np.float64):
    """Two arrays whose matrix product exists, with broadcast leading axes or as vectors."""
    I, J, K = (draw(st.integers(1, 4)) for _ in range(3))
    X, Y = (I, J), (J, K)
    if draw(st.booleans()):
        stacks = st.sampled_from([((), (3,)), ((2,), ()), ((2, 1), (3,)), ((2,), (1,)), ((1, 3), (2, 3))])
        stack_x, stack_y = draw(stacks)
        X, Y = stack_x + X, stack_y + Y
    X, Y = draw(st.sampled_from([(X, Y), ((J,), Y), (X, (J,)), ((J,), (J,))]))
    return draw(normal(X, dtype)), draw(normal(Y, dtype))


@given(factors())
def test_matmul(xy):
    x, y = xy
    z = ops.matmul(Tensor(x), Tensor(y))
    assert z.shape == (x @ y).shape
    assert_allclose(z.data, x @ y, rtol=1e-14, atol=1e-14)
    check.vjp(ops.matmul, x, y)
    check.adjoint(ops.matmul, x, y)
    check.second_order(ops.matmul, x, y)


@given(factors(np.float32))
def test_matmul_in_float32(xy):
    x, y = (Tensor(a, requires_grad=True) for a in xy)
    z = x @ y
    assert [a.dtype for a in (z, *gradients(z, x, y))] == [np.float32] * 3


@pytest.mark.parametrize("op", BINARY, ids=name)
def test_shapes_that_do_not_broadcast(op):
    with pytest.raises(ValueError, match=rf"^{op.__name__}: .*\(2, 3\).*\(4,\)"):
        op(Tensor(np.ones((2, 3))), Tensor(np.ones(4)))


@pytest.mark.parametrize("X, Y", [((2, 3), (4, 2)), ((3,), (4,)), ((1,), (5,)), ((2, 3), (4,)), ((), (3,))])
def test_factors_that_do_not_fit(X, Y):
    with pytest.raises(ValueError, match=r"^matmul: ") as error:
        ops.matmul(Tensor(np.ones(X)), Tensor(np.ones(Y)))
    assert str(X) in str(error.value) and str(Y) in str(error.value)


def test_inputs_are_not_modified():
    a, b = np.array([1.0, -2.0]), np.array([3.0, 3.0])
    x, y = (Tensor(laid_out(v, "read-only"), requires_grad=True) for v in (a, b))
    for op in BINARY:
        op(x, y).sum().backward()
    assert_array_equal(x.data, a)
    assert_array_equal(y.data, b)
    assert_allclose(x.grad.data, 1 + 1 + b + 1 / b + (a >= b))
