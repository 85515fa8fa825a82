"""Gradients against slopes of the function: identity (1)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..modes import enable_grad
from .explain import explain
from .gradients import cotangent, exact, gradients_of, inputs_of, jacobian_of
from .results import DoesNotApply, Report, Result, units_in_the_last_place
from .slopes import Arrays, Fun, Slope, central, jacobian, off_kinks, smallest_step
from .slopes import complex_step as complex_slope

# Relative to the gradient's norm. float64: what extrapolated differences reach; float32: rounding of the gradient.
TOLERANCES = {np.dtype(np.float64): 1e-7, np.dtype(np.float32): 1e-4}
COMPLEX_TOLERANCES = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-4}


@enable_grad()
def vjp(
    fun: Fun,
    *arrays: np.ndarray,
    mode: str = "directional",
    eps: float | None = None,
    rtol: float | None = None,
    atol: float = 1e-10,
    seed: int = 0,
    kinks: str = "count",
) -> Report:
    """Compare the gradient of every input with extrapolated central differences: identity (1).

    mode   "directional": along one random direction, about seven evaluations an input, whatever its size;
           "full": every element of the Jacobian, seven evaluations for each element of the input and a backward sweep
           for each of the result
    eps    the step, in the units of the inputs; found by itself unless given
    rtol   allowed error relative to the norm of the gradient (1e-7; float32 1e-4), `atol` what is added to it
    kinks  "count" them, or "exclude" the elements that cross one when they alone move

    Raises CheckFailure, an AssertionError, for the first input that fails, ValueError for unknown options.
    """
    _check_options(mode, kinks)
    return against_differences("vjp", fun, inputs_of(arrays), mode, eps, rtol, atol, seed, kinks)


def against_differences(check: str, fun: Fun, arrays: Arrays, mode, eps, rtol, atol, seed, kinks) -> Report:
    """`vjp`, with results in the name of `check`."""
    u, wide, inputs = _prepared(check, fun, arrays, kinks, eps, seed)
    report = Report()
    for i, (g, v, good) in enumerate(inputs):
        tolerance = TOLERANCES[np.result_type(arrays[i].dtype)] if rtol is None else rtol
        if mode == "full":
            result = _full(fun, arrays, wide, i, good, eps, tolerance, atol)
        else:
            slope = central(fun, wide, i, v, u, eps)
            result = _compared(check, i, g, v, slope.value, tolerance, atol, slope, int((~good).sum()))
        if not result.passed:
            raise explain(fun, wide, i, g * good, u, good, eps, result)
        report.append(result)
    return report


@enable_grad()
def complex_step(
    fun: Fun,
    *arrays: np.ndarray,
    rtol: float | None = None,
    atol: float = 1e-14,
    seed: int = 0,
    kinks: str = "count",
) -> Report:
    """Compare the gradient of every input with a complex step in the reference voice, exact to rounding: identity (1).

    `rtol` is 1e-12 (float32: 1e-4) of the gradient's norm unless given. If gradient and complex step differ, central
    differences decide: if they differ from the complex step, fun is not analytic and DoesNotApply is raised. Kinks
    need no care, except that kinks="exclude" leaves out the elements on them.
    Raises CheckFailure as `vjp` does.
    """
    _check_options("directional", kinks)
    arrays = inputs_of(arrays)
    u, wide, inputs = _prepared("complex step", fun, arrays, kinks, None, seed)
    report = Report()
    for i, (g, v, good) in enumerate(inputs):
        expected = complex_slope(fun, wide, i, v, u)
        tolerance = COMPLEX_TOLERANCES[np.result_type(arrays[i].dtype)] if rtol is None else rtol
        slope = Slope(expected, 0.0, 0.0, None, Counter(), 0.0)
        result = _compared("complex step", i, g, v, expected, tolerance, atol, slope, int((~good).sum()))
        if not result.passed:
            _check_analytic(fun, wide, i, v, u, expected)
            raise explain(fun, wide, i, g * good, u, good, None, result)
        report.append(result)
    return report


def _prepared(check: str, fun: Fun, arrays: Arrays, kinks: str, eps: float | None, seed: int):
    """What both checks begin with: a cotangent u, the inputs of the oracle, and for every input its gradient, a
    direction, and which elements are looked at; the direction is zero elsewhere."""
    rng = np.random.default_rng(seed)
    u = cotangent(check, fun, arrays, rng)
    wide = exact(fun, arrays)
    inputs = []
    for i, g in enumerate(gradients_of(fun, arrays, u)):
        v = rng.standard_normal(g.shape)
        good = _good_elements(fun, wide, i, v, eps) if kinks == "exclude" else np.ones(g.shape, bool)
        inputs.append((g, v * good, good))
    return u, wide, inputs


def _compared(check, i, g, v, expected, rtol, atol, slope, excluded) -> Result:
    value = float(np.vdot(g.astype(float), v))
    scale = max(float(np.linalg.norm(g.astype(float)[v != 0])), abs(expected))
    error = abs(value - expected) / (scale + atol / rtol)
    return Result(
        check,
        i,
        float(error) if np.isfinite(error) else np.inf,
        rtol,
        value,
        expected,
        ulps=units_in_the_last_place(value, expected, g.dtype),
        order=slope.order,
        kinks=dict(slope.kinks),
        excluded=excluded,
    )


def _full(fun, arrays, exact_arrays, i, good, eps, rtol, atol) -> Result:
    """Every element of the Jacobian of fun to input i, from backward sweeps and from differences."""
    claimed = jacobian_of(fun, arrays, i)
    true, crossed = jacobian(fun, exact_arrays, i, eps)
    claimed, true = claimed * good.ravel(), true * good.ravel()
    error = np.abs(claimed - true) / (max(np.abs(claimed).max(initial=0), np.abs(true).max(initial=0)) + atol / rtol)
    error[~np.isfinite(error)] = np.inf
    worst = np.unravel_index(int(error.argmax()), error.shape) if error.size else None
    if worst is None:
        return Result("vjp, full", i, 0.0, rtol, excluded=int((~good).sum()))
    value, expected = float(claimed[worst]), float(true[worst])
    return Result(
        "vjp, full",
        i,
        float(error[worst]),
        rtol,
        value,
        expected,
        index=tuple(int(k) for k in np.unravel_index(int(worst[1]), arrays[i].shape)),
        ulps=units_in_the_last_place(value, expected, arrays[i].dtype),
        kinks=dict(crossed) if good.all() else {},
        excluded=int((~good).sum()),
    )


def _good_elements(fun: Fun, arrays: Arrays, i: int, v: np.ndarray, eps: float | None) -> np.ndarray:
    """The elements of input i that are not on a kink."""
    return off_kinks(fun, arrays, i, v, smallest_step(arrays[i]) if eps is None else eps)


def _check_analytic(fun: Fun, arrays: Arrays, i: int, v: np.ndarray, u: np.ndarray, value: float) -> None:
    """Raise DoesNotApply unless central differences agree with the complex step `value`."""
    slope = central(fun, arrays, i, v, u)
    if not slope.kinks and abs(value - slope.value) > 1e-5 * abs(slope.value) + slope.truncation + slope.rounding:
        raise DoesNotApply(f"the function is not analytic: complex step {value:.6g}, differences {slope.value:.6g}")


def _check_options(mode: str, kinks: str) -> None:
    if mode not in ("directional", "full"):
        raise ValueError(f"check: unknown mode {mode!r}, expected directional or full")
    if kinks not in ("count", "exclude"):
        raise ValueError(f"check: unknown kinks {kinks!r}, expected count or exclude")
