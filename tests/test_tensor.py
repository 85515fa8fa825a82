"""The tape: what is recorded, what the sweep adds up, how long a graph lives, and what errors say."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, enable_grad, grad, no_grad, ops
from autodiff.tensor import ancestors, as_tensor, first_non_finite, record


def variable(*numbers):
    return Tensor(np.array(numbers if len(numbers) > 1 else numbers[0], float), requires_grad=True)


def chain(x, length):
    y = x
    for _ in range(length):
        y = y + 1.0
    return y


# Tensors


def test_what_a_tensor_knows():
    x = Tensor([[1, 2, 3]], requires_grad=False)
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((1, 3), 2, 3, 1, np.int64)
    assert x.grad is None
    assert not x.requires_grad
    assert repr(x) == "Tensor([[1 2 3]], dtype=int64)"


def test_a_tensor_keeps_the_array_it_is_given():
    a = np.ones(3, np.float32)
    assert Tensor(a).data is a


def test_one_number():
    x = variable(2.5)
    assert x.item() == float(x) == 2.5
    assert type(x.item()) is float


def test_repr_names_what_made_it():
    x = variable(1.0, 2.0)
    assert repr(x) == "Tensor([1. 2.], dtype=float64, requires_grad=True)"
    assert repr(ops.exp(x)).endswith(", op=exp)")


def test_integers_have_no_gradient():
    with pytest.raises(TypeError, match=r"^Tensor: only floating-point data has a gradient, got dtype int64$"):
        Tensor(np.arange(3), requires_grad=True)


def test_numpy_may_not_lose_a_gradient():
    x = variable(1.0, 2.0)
    for convert in (np.asarray, np.exp, Tensor):
        with pytest.raises(TypeError, match="requires a gradient"):
            convert(x)
    assert_array_equal(np.asarray(x.detach()), [1.0, 2.0])
    assert np.asarray(x.detach(), np.float32).dtype == np.float32


def test_detach_is_a_constant_of_the_same_data():
    x = variable(1.0, 2.0)
    assert x.detach().data is x.data
    assert not x.detach().requires_grad
    (x.detach() * x).sum().backward()
    assert_array_equal(x.grad.data, [1.0, 2.0])


def test_as_tensor():
    x = variable(1.0)
    assert as_tensor(x) is x
    assert as_tensor(2.5, np.float32).dtype == np.float32
    assert as_tensor(2.5, np.int64).item() == 2.5  # beside integers a number keeps its fraction
    assert as_tensor(np.ones(2), np.float32).dtype == np.float64  # an array has a precision of its own


# The sweep


def test_a_tensor_used_twice_gets_both_gradients():
    x = variable(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 7.0


def test_backward_with_gy():
    for gy in ([1.0, 10.0], Tensor([1.0, 10.0])):
        x = variable(2.0, 3.0)
        (x * x).backward(np.array(gy) if isinstance(gy, list) else gy)
        assert_array_equal(x.grad.data, [4.0, 60.0])


def test_backward_of_a_variable():
    x = variable(2.0)
    x.backward()
    assert x.grad.item() == 1.0


def test_backward_adds_to_grad():
    x = variable(2.0, 3.0)
    for expected in ([1.0, 1.0], [2.0, 2.0]):
        x.sum().backward()
        assert_array_equal(x.grad.data, expected)
    x.grad = None
    x.sum().backward()
    assert_array_equal(x.grad.data, [1.0, 1.0])


def test_an_array_may_be_assigned_to_grad():
    x = variable(2.0, 3.0)
    x.grad = np.array([10.0, 20.0])
    x.sum().backward()
    assert_array_equal(x.grad.data, [11.0, 21.0])


def test_data_may_be_assigned():
    x = variable(2.0)
    x.data = np.array(5.0)
    (x * x).backward()
    assert x.grad.item() == 10.0


def test_single_precision_stays_single():
    x = Tensor(np.array([2.0, 3.0], np.float32), requires_grad=True)
    y = (x * x).sum()
    for g in (grad(y, x), grad(y, x, create_graph=True), grad(y, y)):
        assert g.dtype == np.float32
    y.backward()
    y.backward()
    assert x.grad.dtype == np.float32


def test_an_array_on_the_left_reaches_tensor():
    x = variable(2.0, 3.0)
    y = np.array([10.0, 20.0]) * x
    assert isinstance(y, Tensor)
    assert_array_equal(grad(y.sum(), x).data, [10.0, 20.0])


def test_only_variables_keep_their_gradient():
    x, constant = variable(2.0), Tensor(np.array(3.0))
    y = x * constant
    (y * y).backward()
    assert x.grad.item() == 36.0
    assert y.grad is None
    assert constant.grad is None


def test_gradients_are_not_recorded():
    x = variable(2.0)
    (x * x * x).backward()
    (x * x * x).backward()
    assert not x.grad.requires_grad


@given(st.integers(1, 60))
def test_a_diamond_per_step_costs_linear_time(depth):
    """2^depth paths lead from y to x; each step is swept once."""
    x = y = variable(1.0)
    for _ in range(depth):
        y = y + y
    calls = count_vjps(y)
    y.backward()
    assert x.grad.item() == 2.0**depth
    assert len(calls) == 2 * depth


def count_vjps(y):
    """A list to which every vjp on the way to y will append when called."""
    calls = []

    def counted(vjp):
        def call(gy):
            calls.append(vjp)
            return vjp(gy)

        return call

    for t in ancestors(y):
        t.edges = tuple((x, counted(vjp)) for x, vjp in t.edges)
    return calls


def test_a_graph_of_a_hundred_thousand_operations():
    x = variable(1.0)
    y = chain(x, 100_000)
    assert y.item() == 100_001.0
    y.backward()
    assert x.grad.item() == 1.0
    root = weakref.ref(y.edges[0][0])
    del y
    assert root() is None


def test_second_derivatives_of_a_deep_graph():
    x = variable(3.0)
    y = chain(x, 20_000)
    gx = grad(y * y, x, create_graph=True)
    assert gx.item() == 2 * 20_003.0
    assert grad(gx, x).item() == 2.0


# grad


def test_grad_touches_no_grad():
    x = variable(2.0)
    assert grad(x * x, x).item() == 4.0
    assert x.grad is None


def test_grad_of_one_or_several():
    x, y = variable(2.0), variable(3.0)
    assert isinstance(grad(x * y, x), Tensor)
    gs = grad(x * y, [x, y, x])
    assert isinstance(gs, tuple)
    assert [g.item() for g in gs] == [3.0, 2.0, 3.0]


def test_grad_to_a_tensor_on_the_way():
    x = variable(2.0)
    y = x * x
    z = y * y * y
    gy, gx = grad(z, (y, x))
    assert gy.item() == 3 * 4.0**2
    assert gx.item() == 6 * 2.0**5


def test_grad_to_itself():
    x = variable(2.0)
    y = x * x
    assert grad(y, y).item() == 1.0


def test_grad_is_zero_where_nothing_leads():
    x, y = variable(2.0), Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    gx, gy = grad(x * x, (x, y))
    assert gx.item() == 4.0
    assert gy.dtype == np.float32
    assert_array_equal(gy.data, np.zeros((2, 3)))


# Derivatives of derivatives


@pytest.mark.parametrize("x0", [-1.5, 2.0])
def test_four_derivatives_of_a_power(x0):
    x = variable(x0)
    y = x**4
    for expected in (4 * x0**3, 12 * x0**2, 24 * x0, 24.0, 0.0):
        y = grad(y, x, create_graph=True)
        assert_allclose(y.data, expected, rtol=1e-14)


def test_three_derivatives_through_many_ops():
    """d3/dx3 of exp(2x) + log x + 1/x + sqrt x + x |x|."""
    x = variable(0.7)
    y = ops.exp(2 * x) + ops.log(x) + 1 / x + ops.sqrt(x) + x * abs(x)
    for _ in range(3):
        y = grad(y, x, create_graph=True)
    expected = 8 * np.exp(1.4) + 2 / 0.7**3 - 6 / 0.7**4 + 3 / 8 * 0.7**-2.5
    assert_allclose(y.data, expected, rtol=1e-13)


def test_backward_with_create_graph():
    x = variable(3.0)
    (x**3).backward(create_graph=True)
    first, x.grad = x.grad, None
    first.backward()
    assert first.item() == 27.0
    assert x.grad.item() == 18.0


def test_accumulated_gradients_are_recorded_too():
    x = variable(3.0)
    (x**2).backward(create_graph=True)
    (x**3).backward(create_graph=True)
    total, x.grad = x.grad, None
    total.backward()
    assert total.item() == 6.0 + 27.0
    assert x.grad.item() == 2.0 + 18.0


def test_a_hessian_vector_product():
    rng = np.random.default_rng(0)
    A, v = rng.standard_normal((4, 4)), rng.standard_normal(4)
    x = Tensor(rng.standard_normal(4), requires_grad=True)
    gx = grad(x @ A @ x, x, create_graph=True)
    assert_allclose(grad(gx, x, gy=v).data, (A + A.T) @ v, rtol=1e-13)


def test_the_gradient_can_be_differentiated_to_gy():
    x, gy = variable(2.0, 3.0), variable(1.0, 1.0)
    gx = grad(x * x, x, gy=gy, create_graph=True)
    assert_array_equal(grad(gx.sum(), gy).data, [4.0, 6.0])


# Recording


def test_no_grad():
    x = variable(2.0)
    with no_grad():
        y = x * x
        with no_grad():
            pass
        z = x * x
    assert not y.requires_grad
    assert not z.requires_grad
    assert (x * x).requires_grad


def test_enable_grad_records_within_no_grad():
    x = variable(2.0)
    with no_grad():
        with enable_grad():
            y = x * x
        assert not (x * x).requires_grad
    assert grad(y, x).item() == 4.0


def test_enable_grad_decorates_a_function():
    @enable_grad()
    def slope(x):
        return grad(x * x, x).item()

    with no_grad():
        assert slope(variable(2.0)) == slope(variable(2.0)) == 4.0


def test_what_was_not_recorded_cannot_be_swept():
    x = variable(2.0)
    with no_grad():
        y = x * x
    for result in (y, Tensor(np.array(1.0))):
        with pytest.raises(ValueError, match=r"^backward: the result depends on no variable, or .* no_grad\(\)$"):
            result.backward()


def test_gradients_share_no_memory():
    """Neither with each other nor with gy: a program may scale them in place."""
    a, b, c, d = (variable(1.0, 2.0, 3.0) for _ in range(4))
    gy = np.ones(3)
    ((a + b).reshape((3, 1)).reshape((3,)) + c).backward(gy)
    d.sum().backward()  # its gradient is a number repeated, which NumPy does not let be written
    for x in (a, b, c, d):
        x.grad.data *= 0.5
    for x in (a, b, c, d):
        assert_array_equal(x.grad.data, 0.5)
    assert_array_equal(gy, 1)


@pytest.mark.parametrize("memory", [np.ones, lambda n: np.frombuffer(bytearray(np.ones(n).tobytes()))])
def test_the_gradient_of_a_variable_itself(memory):
    x, gy = variable(1.0, 2.0), memory(2)
    x.reshape((2,)).backward(gy)
    x.grad.data += 1
    assert_array_equal(gy, 1)


def test_an_input_that_changed_its_shape_is_named():
    for op in (lambda x: ops.relu(x), lambda x: ops.max_pool2d(x, 2)):
        x = Tensor(np.ones((1, 1, 64, 64)), requires_grad=True)
        y = op(x)
        x.data = np.zeros((1, 1, 2, 2))
        with pytest.raises(
            ValueError, match=r": an input of shape \(1, 1, 64, 64\) has \(1, 1, 2, 2\) now; sweep before"
        ):
            grad(y, x, gy=np.ones(y.shape))


@pytest.mark.parametrize("wrong", [lambda gy: gy.data, lambda gy: None, lambda gy: 1.0])
def test_a_vjp_that_returns_no_tensor_is_named(wrong):
    def double(x):
        return record(x.data * 2, (x, lambda gy: wrong(gy)))

    with pytest.raises(TypeError, match=r": its vjp returned a (ndarray|NoneType|float), expected a Tensor$"):
        double(variable(1.0, 2.0)).sum().backward()


def test_no_grad_ends_with_an_exception():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (variable(2.0) * 2.0).requires_grad


def test_no_grad_outweighs_create_graph():
    x = variable(2.0)
    y = x**3
    with no_grad():
        assert not grad(y, x, create_graph=True).requires_grad


def test_edges_to_constants_are_dropped_and_their_vjps_never_called():
    def never(gy):
        raise AssertionError("called")

    x, constant = variable(2.0), Tensor(np.array(3.0))
    y = record(x.data * constant.data, (x, lambda gy: gy * constant), (constant, never))
    assert [t for t, _ in y.edges] == [x]
    y.backward()
    assert x.grad.item() == 3.0
    assert not record(np.ones(2), (constant, never)).requires_grad


def test_an_exception_during_a_sweep_leaves_recording_on():
    """Also while someone holds the exception, and with it the frames of the sweep."""
    x = variable(1.0, 2.0)
    x.grad = np.zeros(3)
    with pytest.raises(ValueError) as held:
        x.sum().backward()
    assert (x * x).requires_grad
    assert held.value is not None


def test_a_variable_can_be_used_in_many_graphs():
    x = variable(2.0)
    for n in range(1, 4):
        y = x * n
        assert grad(y, x).item() == n


# Lifetime


@pytest.fixture
def no_cycle_collector():
    everything(Tensor(np.arange(1.0, 7.0), requires_grad=True)).backward()  # Numba's compiler leaves cycles behind
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def everything(x):
    """A graph through all the core ops."""
    y = ops.relu(x) + ops.exp(x) * ops.log(x) / ops.sqrt(x) - ops.abs(x) ** 3
    y = ops.maximum(y, x).reshape(2, 3).T @ np.ones((2, 2))
    y = ops.concatenate([y, y[1:]])
    y = ops.dropout(ops.dense(y, np.ones((3, 2)), np.ones(3)), 0.5, np.random.default_rng(0))
    return ops.softmax_cross_entropy(ops.softmax(y), [0, 1, 2, 0, 1]) + y.mean()


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.usefixtures("no_cycle_collector")
def test_a_graph_dies_with_its_last_name(backward):
    x = Tensor(np.arange(1.0, 7.0), requires_grad=True)
    y = everything(x)
    if backward:
        y.backward()
    alive = [weakref.ref(t) for t in ancestors(y) if t is not x]
    assert len(alive) > 20
    del y
    assert [t() for t in alive if t() is not None] == []


@pytest.mark.usefixtures("no_cycle_collector")
def test_a_graph_of_gradients_dies_with_its_last_name():
    x = Tensor(np.arange(1.0, 7.0), requires_grad=True)
    y = everything(x)
    gx = grad(y, x, create_graph=True)
    alive = [weakref.ref(t) for t in ancestors(gx) if t is not x]
    assert len(alive) > 40
    del y, gx
    assert [t() for t in alive if t() is not None] == []


# Errors


def test_backward_needs_a_scalar_or_gy():
    with pytest.raises(ValueError, match=r"shape \(2,\) is not a scalar and needs an explicit gy$"):
        variable(1.0, 2.0).backward()


def test_gy_that_does_not_fit():
    y = variable(1.0, 2.0) * 2.0
    with pytest.raises(ValueError, match=r"gy has shape \(3,\), the result it belongs to has \(2,\)$"):
        y.backward(np.ones(3))
    with pytest.raises(TypeError, match=r"gy has dtype float32, the result it belongs to has float64$"):
        grad(y, y, gy=np.ones(2, np.float32))


def wrong_shape(x):
    return record(x.data, (x, lambda gy: gy.sum()))


def wrong_dtype(x):
    return record(x.data, (x, lambda gy: Tensor(gy.data.astype(np.float32))))


@pytest.mark.parametrize(
    "op, message",
    [
        (wrong_shape, r"^wrong_shape: its vjp returned float64 \(\) for an input of float64 \(2,\)$"),
        (wrong_dtype, r"^wrong_dtype: its vjp returned float32 \(2,\) for an input of float64 \(2,\)$"),
    ],
)
def test_a_wrong_vjp_is_named(op, message):
    with pytest.raises(ValueError, match=message):
        op(variable(1.0, 2.0)).sum().backward()


def test_first_non_finite_names_the_op():
    x = variable(1.0, -1.0)
    with np.errstate(invalid="ignore"):
        bad = ops.log(x)
    y = (ops.exp(bad) * 2.0).sum()
    assert first_non_finite(y) is bad
    assert first_non_finite(y).op == "log"
    assert first_non_finite(x * 2.0) is None


def test_ancestors_are_newest_first():
    x, z = variable(1.0), variable(2.0)
    y = x * z + x
    found = ancestors(y)
    assert found[0] is y
    assert set(found) == {x, z, y, found[1]}
    assert [t.time for t in found] == sorted((t.time for t in found), reverse=True)


def test_iteration_yields_the_entries_and_a_single_number_has_none():
    x = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    rows = list(x)
    rows[1].sum().backward()
    assert_array_equal(x.grad.data, [[0, 0], [1, 1], [0, 0]])
    with pytest.raises(TypeError, match=r"shape \(\) holds one number"):
        list(Tensor(3.0))


def test_a_pickled_variable_is_new_where_it_is_loaded():
    """Its time would be that of another clock, before or after what is computed from it."""
    x = variable(1.0, 2.0)
    y1 = x * 2.0
    x.grad = Tensor(np.ones(2))
    for copied in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert copied.requires_grad and copied.time > y1.time
        assert_array_equal(copied.data, x.data)
        assert_array_equal(copied.grad.data, [1, 1])
        (copied * copied).sum().backward()
        assert_array_equal(copied.grad.data, [3, 5])
    with pytest.raises(TypeError, match=r"a Tensor that an op computed cannot be copied or pickled"):
        pickle.dumps(y1)


def test_a_constant_has_no_gradient():
    c = Tensor(np.array(3.0))
    with pytest.raises(ValueError, match=r"grad: x 0, of shape \(\), is a constant"):
        grad(c * c, c)
