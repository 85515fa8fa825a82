"""The checks pass right gradients, and find planted wrong ones and say where."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import check, no_grad, ops
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
    with pytest.raises(
        AssertionError,
        match=r"^adjoint: input 0, element \(\d,\) of shape \(3,\): <J e, u> .*, J\^T u .*; no kink is near; ",
    ):
        check.adjoint(transposed_once, Y)


def test_second_order_finds_a_gradient_that_forgets_an_input():
    check.vjp(forgets_itself, Y)
    with pytest.raises(AssertionError, match=r"^second order: input 0"):
        check.second_order(forgets_itself, Y)


def test_second_order_finds_a_hessian_that_is_not_symmetric():
    """Every derivative of the two wrong first derivatives is right, so differences cannot tell."""
    with pytest.raises(AssertionError, match=r"^symmetry: input \d, element \(\) .*; no kink is near; likely cause: "):
        check.second_order(curl, np.array(2.0), np.array(3.0))


def test_an_asymmetry_is_found_where_it_is():
    """Along the second elements alone the first derivatives belong to one function."""

    def partly(x, y):
        wrong = np.array([1.0, 2.0, 1.0])
        return record(x.data * y.data, (x, lambda gz: gz * y), (y, lambda gz: gz * x * wrong))

    with pytest.raises(check.CheckFailure) as failure:
        check.second_order(partly, Y, Y + 1)
    assert failure.value.result.index == (1,)


def test_the_element_of_an_adjoint_that_differs_most_is_named():
    """The third column of J is wrong in the second order, by a factor: so is that element of J v."""

    def scaled(x):
        factor = np.array([1.0, 1.0, 3.0])

        def vjp(gy):
            return record(A.T @ gy.data, (gy, lambda g: as_tensor(A @ (g.data * factor))))

        return record(A @ x.data, (x, vjp))

    u = np.random.default_rng(0)  # as the check draws v, then u
    u.standard_normal(3)
    right = A.T @ u.standard_normal(3)
    with pytest.raises(check.CheckFailure) as failure:
        check.adjoint(scaled, np.array([1.0, 2.0, 3.0]))
    found = failure.value.result
    assert found.index == (2,)
    assert (found.value, found.expected) == pytest.approx((3 * right[2], right[2]))


def test_the_seed_decides():
    first, again, other = (check.vjp(lambda x: ops.exp(x), X, seed=seed)[0].error for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_report_is_a_table_of_all_checks():
    lines = str(check.report(lambda x, y: x * y, X, Y)).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        *["vjp"] * 2,
        *["complex step"] * 2,
        *["adjoint"] * 2,
        "second order",
        "symmetry",
        "taylor, 1st",
        "taylor, 2nd",
    ]
    assert all(line.endswith("ok") for line in lines)


def test_report_raises_after_all_checks():
    with pytest.raises(AssertionError, match=r"^vjp: input 0, element .*likely cause: a constant factor") as failure:
        check.report(slightly_wrong, Y)
    report = check.collect(slightly_wrong, Y)
    assert str(failure.value).endswith(f"\n{report}") and str(failure.value.report) == str(report)
    assert not report.passed
    assert "FAILED: a constant factor" in str(report)
    assert {result.check for result in report} > {"vjp", "complex step", "adjoint"}


def test_a_result_says_what_failed():
    good, bad = check.Result("vjp", 1, 1e-9, 1e-6), check.Result("vjp", 1, 1e-3, 1e-6)
    assert good.passed and str(good).endswith("ok")
    assert not bad.passed and str(bad).endswith("FAILED")
    assert "input 1" in str(bad)


# Modes and methods


def test_the_full_jacobian_is_compared_element_by_element():
    [result] = check.vjp(lambda x: ops.exp(x) @ x.transpose(), X, mode="full")
    assert result.check == "vjp, full" and result.passed
    with pytest.raises(check.CheckFailure, match=r"element \(1, 2\)"):
        check.vjp(wrong_at((1, 2)), X, Y, mode="full")


def test_full_and_directional_agree_on_what_is_wrong():
    for mode in ("full", "directional"):
        with pytest.raises(check.CheckFailure) as failure:
            check.vjp(slightly_wrong, Y, mode=mode)
        assert failure.value.result.cause.startswith("a constant factor: the gradient is 1.0001 times")


def test_the_order_of_the_differences_is_observed():
    [result] = check.vjp(lambda x: ops.exp(x * 40.0).sum(), np.array([0.1, 0.2]))
    assert 1.9 < result.order < 2.1  # central differences
    [linear] = check.vjp(lambda x: x * 3.0, Y)
    assert linear.order is None  # there is no error whose order could be seen


def test_differences_are_extrapolated():
    """At a step of 0.1, where the errors of second and fourth order would be 2e-3 and 5e-9."""
    [result] = check.vjp(ops.exp, X / 3, eps=0.1)
    assert result.error < 1e-11


def test_the_step_is_as_large_as_kinks_allow():
    """Rounding would leave an error of 1e-8 at the smallest."""
    [result] = check.vjp(lambda x: ops.exp(x) + ops.relu(x - 1.001), np.array([1.0, 1.2]))
    assert result.error < 1e-11


def test_the_complex_step_is_exact_to_rounding():
    results = check.complex_step(lambda x, y: ops.sqrt(ops.exp(x / y) + y) @ X.T, X, Y)
    assert [r.check for r in results] == ["complex step"] * 2
    assert max(r.error for r in results) < 1e-15


def test_the_complex_step_finds_what_differences_could_not():
    """An error of 1e-9 of the gradient is below the truncation of differences."""

    def nearly_right(x):
        return record(x.data**3, (x, lambda gy: gy * x * x * (3.0 + 3e-9)))

    check.vjp(nearly_right, Y)
    with pytest.raises(check.CheckFailure, match="complex step: input 0"):
        check.complex_step(nearly_right, Y)


@pytest.mark.parametrize(
    "fun, reason",
    [
        (lambda x: record(x.data * x.data.conj(), (x, lambda gy: gy * x * 2.0)), "not analytic: complex step 0"),
        (lambda x: record(np.abs(x.data), (x, lambda gy: gy * 1.5)), "makes complex numbers real"),
        (lambda x: record(np.floor(x.data), (x, lambda gy: gy * 0.0)), "does not take complex numbers"),
    ],
    ids=["conjugate", "modulus", "floor"],
)
def test_the_complex_step_does_not_judge_what_is_not_analytic(fun, reason):
    with pytest.raises(check.DoesNotApply, match=reason):
        check.complex_step(fun, Y)
    assert reason in check.collect(fun, Y).skipped["complex step"]


@pytest.mark.parametrize("run", check.CHECKS)
def test_numbers_and_lists_are_checked_as_arrays(run):
    assert run(lambda x, y: ops.exp(x * y), 0.5, [0.25, -1.0]).passed


@pytest.mark.parametrize("run", check.CHECKS)
@pytest.mark.parametrize("dtype", [np.int64, np.float16, complex])
def test_what_has_no_gradient_is_refused(run, dtype):
    with pytest.raises(TypeError, match=f"check: input 1 has dtype {np.dtype(dtype)}, expected float32 or float64"):
        run(lambda x, y: x * y, X, Y.astype(dtype))


@pytest.mark.parametrize("run", [*check.CHECKS, check.report])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_input_that_is_not_finite_is_refused(run, value):
    with pytest.raises(ValueError, match="check: input 1 has NaN or infinity"):
        run(lambda x, y: x * y, Y, np.array([1.0, value, 2.0]))


@pytest.mark.parametrize("run", check.CHECKS)
def test_the_checks_record_under_no_grad(run):
    with no_grad():
        assert run(lambda x: ops.exp(x * x), Y).passed


@pytest.mark.parametrize("run", [*check.CHECKS, check.report])
def test_a_function_that_changes_its_input_is_found(run):
    def doubled(x):
        x.data *= 2
        return x * 1.0

    x = np.ones(3)
    with pytest.raises(check.CheckFailure, match="input 0: the function changes its input"):
        run(doubled, x)
    assert_array_equal(x, 1)
    assert not check.collect(check.from_numpy(lambda x: np.negative(x, out=x), lambda gy, x: -gy), x).passed


@pytest.mark.parametrize("run", check.CHECKS)
@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4"])
def test_either_byte_order_is_checked(run, dtype):
    assert run(lambda x: ops.exp(x), Y.astype(dtype) / 4).passed


def test_a_gradient_where_there_is_none_is_explained():
    """All slopes are zero and the gradient is not: no hypothesis can divide by them."""

    def unmasked(x):
        return record(np.maximum(x.data, 0), (x, lambda gy: gy * 1.0))

    with pytest.raises(check.CheckFailure, match=r"gradient .*, central difference 0; "):
        check.vjp(unmasked, -np.ones(3))


def test_complex_numbers_stay_forbidden_outside_of_a_check():
    check.complex_step(lambda x: ops.relu(x), Y)
    with pytest.raises(TypeError, match="complex128"):
        ops.relu(Y.astype(complex))


@pytest.mark.parametrize(
    "fun, x",
    [
        (lambda x: x * 3.0, np.zeros(4)),
        (lambda x: ((x - 1.0) * (x - 1.0)).mean(), np.ones(4)),
        (lambda x: x * x, np.zeros(4)),
        (lambda x: ops.exp(x) - 1.0, np.zeros(4)),
    ],
)
def test_taylor_where_the_function_is_zero(fun, x):
    """What is left after the terms is then their rounding, or that of x + h v, not that of the value."""
    assert check.report(fun, x).passed


def test_taylor_still_sees_a_gradient_that_is_wrong_at_zero():
    with pytest.raises(check.CheckFailure, match="the gradient is not the function's"):
        check.taylor(lambda x: record(x.data * 3.0, (x, lambda gy: gy * 3.0003)), np.zeros(4))


def test_taylor_slopes():
    first, second = check.taylor(lambda x, y: ops.exp(x * y / 9.0), X, Y)
    assert 1.9 < first.order < 2.1 and 2.9 < second.order < 3.1
    with pytest.raises(check.CheckFailure, match=r"taylor, 1st .* slope 1\.\d\d, expected 2"):
        check.taylor(lambda x: record(x.data**3, (x, lambda gy: gy * x * x * 4.0)), Y)
    with pytest.raises(check.CheckFailure, match=r"taylor, 2nd .* slope 2\.\d\d, expected 3"):
        check.taylor(forgets_half, Y)


def forgets_half(x):
    """x^4 whose gradient is right, and half of it constant for the tape."""
    return record(x.data**4, (x, lambda gy: gy * x * x * x * 2.0 + gy * (2.0 * x.data**3)))


def test_a_numpy_pair_is_differentiable_once():
    square = check.from_numpy(lambda x, y: x**2 * y, lambda gy, x, y: (2 * gy * x * y, gy * x**2))
    report = check.report(square, Y, Y + 1)
    assert report.passed
    assert [r.check for r in report] == ["vjp"] * 2 + ["complex step"] * 2 + ["taylor, 1st"]
    assert set(report.skipped) == {"adjoint", "second order"}


def test_a_pair_with_too_few_gradients():
    with pytest.raises(check.CheckFailure, match="backward returned 1 gradients for 2 inputs"):
        check.vjp(check.from_numpy(lambda x, y: x * y, lambda gy, x, y: gy * y), Y, Y)


# float32


def test_float32_gradients_are_compared_with_float64_differences():
    x = np.linspace(0.5, 2, 50, dtype=np.float32)
    [result] = check.vjp(lambda t: ops.exp(t) * t, x)
    assert result.passed and result.error < 1e-6  # differences in float32 would not reach 1e-4
    assert 0 < result.ulps < 100


def test_a_function_that_holds_float32_arrays_is_compared_in_float32():
    weight, x = np.ones((2, 3), np.float32), X.astype(np.float32)
    [result] = check.vjp(lambda x: ops.dense(x, weight), x, rtol=1e-3)
    assert result.passed
    assert "second order" in str(check.second_order(lambda x: ops.dense(x, weight) ** 2, x, rtol=1e-2))
    assert len(check.taylor(lambda x: ops.dense(x, weight) ** 2, x)) == 2


# Kinks


KINKED = {
    "relu at 0": (ops.relu, np.array([1.0, 0.0, -1.0, 2.0])),
    "abs at 0": (ops.abs, np.array([1.0, 0.0, -1.0, 2.0])),
    "tie in maximum": (lambda x: ops.maximum(x, np.array([0.5, 0.0, 1.0, 1.0])), np.array([1.0, 0.0, -1.0, 2.0])),
    "tie in max_pool2d": (lambda x: ops.max_pool2d(x.reshape(1, 1, 2, 2), 2), np.array([3.0, 3.0, -1.0, 2.0])),
    "integer position in bilinear_sample": (
        lambda x: ops.bilinear_sample(X.reshape(1, 1, 2, 3) ** 2, x.reshape(1, 2, 1, 2)),
        np.array([0.0, 0.5, 0.25, 0.75]),
    ),
}


@pytest.mark.parametrize("kind", KINKED)
def test_kinks_are_named_counted_and_excluded(kind):
    fun, x = KINKED[kind]
    [counted] = check.vjp(fun, x, rtol=10)  # whatever the gradient is
    assert counted.kinks == {kind: 1}
    [result] = check.vjp(fun, x, kinks="exclude")
    assert result.passed and not result.kinks
    assert result.excluded == (2 if kind == "tie in max_pool2d" else 1)
    assert "on kinks excluded" in str(result)


@pytest.mark.parametrize("kind", sorted(KINKED.keys() - {"abs at 0"}))  # whose 0 is the mean of both slopes
def test_a_subgradient_is_called_a_convention(kind):
    with pytest.raises(check.CheckFailure, match=f"a kink \\({kind}\\): the gradient is one of the subgradients"):
        check.vjp(*KINKED[kind])


def test_a_kink_near_x_is_avoided_by_a_smaller_step():
    [result] = check.vjp(ops.relu, np.array([1.0, 1e-6, -1e-6]))
    assert result.passed and not result.kinks


def test_a_kink_near_x_is_avoided_even_if_it_is_too_slight_to_matter():
    [result] = check.vjp(lambda x: x * 2.0 + ops.relu(x - 1.0001) * 1e-13, np.array([1.0]))
    assert not result.kinks


def test_every_kink_counts():
    [result] = check.vjp(ops.relu, np.zeros(5), rtol=10)
    assert result.kinks == {"relu at 0": 5}


def test_kinks_on_which_the_gradient_happens_to_agree_are_counted():
    [result] = check.vjp(lambda x: ops.relu(x) - ops.relu(x * -1.0), np.array([1.0, 0.0]), rtol=1.0)
    assert result.kinks == {"relu at 0": 2}
    assert "kinks: 2 x relu at 0" in str(result)


def test_another_path_through_the_code_is_a_kink():
    [result] = check.vjp(lambda x: x * 2.0 if x.data[0] > 0 else ops.relu(x) * 2.0, np.array([0.0, 1.0]), rtol=1.0)
    assert result.kinks == {"another path through the code": 1}


def test_unknown_options():
    with pytest.raises(ValueError, match="unknown mode 'both', expected directional or full"):
        check.vjp(ops.exp, Y, mode="both")
    with pytest.raises(ValueError, match="unknown kinks 'skip', expected count or exclude"):
        check.complex_step(ops.exp, Y, kinks="skip")
    with pytest.raises(TypeError, match="the function returned a ndarray, expected a Tensor"):
        check.vjp(lambda x: x.data, Y)


# Reports


def test_a_report_is_saved_as_json(tmp_path):
    report = check.collect(slightly_wrong, Y)
    report.save(tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["passed"] is False
    assert [r["check"] for r in saved["results"]] == [r.check for r in report]
    assert saved["results"][0]["cause"].startswith("a constant factor")
    assert saved["results"][0]["index"] == list(report[0].index)
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_not_a_number_is_saved_as_null(tmp_path):
    check.Report([check.Result("vjp", 0, np.inf, 1e-6, value=np.nan)]).save(tmp_path / "report.json")
    [result] = json.loads((tmp_path / "report.json").read_text())["results"]
    assert result["error"] is None and result["value"] is None and result["passed"] is False


# Many inputs as one


def test_all_inputs_together():
    def fun(x, y):
        return ops.exp(x / y) * 100.0

    of_vector, z = check.together(fun, X, 1000 * Y)
    assert z.shape == (X.size + Y.size,)
    assert_allclose([np.mean(part**2) for part in (z[: X.size], z[X.size :])], 1)  # each input in units of its size
    assert_allclose(of_vector(as_tensor(z)).data, fun(as_tensor(X), as_tensor(1000 * Y)).data, rtol=1e-14)
    assert check.report(of_vector, z).passed


def test_together_finds_the_one_that_is_wrong():
    with pytest.raises(check.CheckFailure, match=r"element \(1,\)"):
        check.vjp(*check.together(wrong_at((0, 1)), X, Y))


# What is not finite


@pytest.mark.parametrize(
    "fun, x",
    [
        (lambda x: record(x.data**2, (x, lambda gy: gy * np.nan)), [1.0, 2.0]),
        (lambda x: record(x.data**2, (x, lambda gy: gy * np.inf)), [1.0, 2.0]),
        (ops.log, [-1.0, 2.0]),
        (ops.sqrt, [0.0, 2.0]),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_taylor_finds_what_is_not_finite(fun, x):
    with pytest.raises(check.CheckFailure, match="the remainder is not finite, expected 2"):
        check.taylor(fun, np.array(x))


def test_a_wrong_second_derivative_is_not_called_a_vjp():
    found = check.collect(lambda x: record(x.data**3, (x, lambda gy: gy * (3.0 * x.data**2))), np.array([1.0, 2.0]))
    assert {result.check for result in found if not result.passed} & {"second order"}
    assert all(result.passed for result in found if result.check == "vjp")
