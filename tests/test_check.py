"""The checks pass right gradients, and find planted wrong ones and say where."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from autodiff import check, ops
from autodiff.tensor import as_tensor, record

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
Y = np.array([2.0, 3.0, 4.0])


def wrong_at(position):
    """x^2 y with a gradient to x that is 1 too large at one element."""

    def square_times(x, y):
        error = np.zeros(x.shape)
        error[position] = 1.0
        z = record(x.data**2 * y.data, (x, lambda gz: gz * (x * y * 2.0 + error)))
        return z + ops.broadcast_to(x.detach() ** 2, X.shape) * (y - y.detach())

    return square_times


def slightly_wrong(x):
    """x^3 whose gradient is off by 10^-4 of itself."""
    return record(x.data**3, (x, lambda gy: gy * x * x * 3.0003))


def transposed_once(x):
    """A linear map whose gradient is right and whose gradient's gradient is not."""

    def vjp(gy):
        return record(A.T @ gy.data, (gy, lambda g: as_tensor(A.T @ g.data)))

    return record(A @ x.data, (x, vjp))


A = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 4.0], [5.0, 6.0, 0.0]])


def forgets_itself(x):
    """x^3 whose gradient is right but does not depend on x for the tape."""
    return record(x.data**3, (x, lambda gy: gy * (3.0 * x.data**2)))


def curl(x, y):
    """Two first derivatives that belong to no common function: d/dy (x y) is not d/dx (x^2)."""
    return record(x.data * y.data, (x, lambda gz: gz * y), (y, lambda gz: gz * x * 2.0))


@pytest.mark.parametrize("run", [check.vjp, check.adjoint, check.second_order])
@pytest.mark.parametrize(
    "fun, arrays",
    [
        (lambda x, y: (x * y).sum(), (X, Y)),
        (lambda x, y: ops.exp(x / y), (X, Y)),
        (lambda x: x, (np.array(3.0),)),
        (lambda x: x * x, (np.array(3.0),)),
        (lambda x, y: x + 0.0, (X, Y)),
        (lambda x: (x * x)[:, :0], (X,)),
    ],
    ids=["a product", "a quotient", "the identity", "one number", "an unused input", "nothing"],
)
def test_right_gradients_pass(run, fun, arrays):
    results = run(fun, *arrays)
    assert len(results) >= len(arrays)
    assert all(r.passed for r in results)
    assert all(r.error <= r.tolerance for r in results)


def test_inputs_are_not_modified():
    x = X.copy()
    check.vjp(lambda t: t * t, x)
    check.second_order(lambda t: t * t, x)
    assert_allclose(x, X, rtol=0)


@pytest.mark.parametrize("position", [(0, 0), (1, 2)])
def test_vjp_names_input_element_and_both_values(position):
    with pytest.raises(AssertionError) as failure:
        check.vjp(wrong_at(position), X, Y)
    message = str(failure.value)
    assert "input 0" in message
    assert f"element {position}" in message
    assert "(2, 3)" in message
    assert "no kink is near" in message
    value, difference = (
        float(message.split(word)[1].split(",")[0].split(";")[0]) for word in ("gradient ", "difference ")
    )
    u = np.random.default_rng(0).standard_normal(X.shape)[position]
    assert_allclose(value - difference, u, rtol=1e-6)  # the planted error, weighted with the cotangent


def test_vjp_of_one_number():
    with pytest.raises(AssertionError, match=r"input 0, element \(\) of shape \(\)"):
        check.vjp(slightly_wrong, np.array(2.0))


def test_vjp_finds_an_error_in_the_second_input():
    with pytest.raises(AssertionError, match=r"input 1, element \(\d,\)"):
        check.vjp(curl, np.array([1.0, 2.0]), np.array([3.0, 4.0]))


def test_vjp_finds_a_small_error():
    with pytest.raises(AssertionError, match="no kink is near"):
        check.vjp(slightly_wrong, Y)


def test_vjp_says_that_a_kink_is_near():
    with pytest.raises(AssertionError, match=r"element \(1,\).* a kink is near: slopes"):
        check.vjp(ops.relu, np.array([1.0, 0.0, -1.0]))


def test_vjp_finds_a_gradient_that_is_not_a_number():
    with pytest.raises(AssertionError, match="input 0"):
        check.vjp(lambda x: record(x.data, (x, lambda gy: gy * np.nan)), Y)


def test_adjoint_finds_orders_that_do_not_fit():
    check.vjp(transposed_once, Y)
    with pytest.raises(AssertionError, match=r"adjoint +input 0 .*FAILED: <J v, u> = "):
        check.adjoint(transposed_once, Y)


def test_second_order_finds_a_gradient_that_forgets_an_input():
    check.vjp(forgets_itself, Y)
    with pytest.raises(AssertionError, match="input 0"):
        check.second_order(forgets_itself, Y)


def test_second_order_finds_a_hessian_that_is_not_symmetric():
    """Every derivative of the two wrong first derivatives is right, so differences cannot tell."""
    with pytest.raises(AssertionError, match="symmetry"):
        check.second_order(curl, np.array(2.0), np.array(3.0))


def test_the_seed_decides():
    first, again, other = (check.vjp(lambda x: ops.exp(x), X, seed=seed)[0].error for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_report_is_a_table_of_all_checks():
    lines = check.report(lambda x, y: x * y, X, Y).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["vjp"] * 2 + ["adjoint"] * 2 + ["second order"] * 2 + [
        "symmetry"
    ]
    assert all(line.endswith("ok") for line in lines)


def test_report_contains_failures():
    report = check.report(slightly_wrong, Y)
    assert "FAILED" in report
    assert "input 0" in report


def test_a_result_says_what_failed():
    good, bad = check.Result("vjp", 1, 1e-9, 1e-6), check.Result("vjp", 1, 1e-3, 1e-6)
    assert good.passed and str(good).endswith("ok")
    assert not bad.passed and str(bad).endswith("FAILED")
    assert "input 1" in str(bad)
