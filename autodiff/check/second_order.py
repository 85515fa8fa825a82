"""Derivatives of derivatives: identities (2), (3) and (4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..kinks import Sides, between
from ..modes import enable_grad
from ..tensor import Tensor, grad
from .evidence import unit
from .explain import differ, sample
from .first_order import TOLERANCES, against_differences
from .gradients import cotangent, exact, gradients_of, inputs_of, result_of
from .results import CheckFailure, DoesNotApply, Report, Result, units_in_the_last_place
from .slopes import SHRINK, Arrays, Fun, along, evaluate, largest_step, magnitude, smallest_step

EXACT = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}  # rounding of the sums, no more


@enable_grad()
def adjoint(
    fun: Fun, *arrays: np.ndarray, rtol: float | None = None, atol: float = 1e-12, seed: int = 0, kinks: str = "count"
) -> Report:
    """Compare <J v, u> with <v, J^T u> for every input: identity (2), relative to |J v| |u|.

    J v is the derivative of J^T u to u: forward mode by reverse mode twice. It is exact on kinks too, whatever
    `kinks` says. `rtol` is 1e-12 (float32: 1e-5) unless given.
    Raises CheckFailure if they differ, DoesNotApply if the gradient is not built from ops.
    """
    arrays, rng = inputs_of(arrays), np.random.default_rng(seed)
    report = Report()
    for i, a in enumerate(arrays):
        tolerance = EXACT[np.result_type(a.dtype)] if rtol is None else rtol
        xs = [Tensor(b, requires_grad=i == j) for j, b in enumerate(arrays)]
        y = result_of("adjoint", fun, xs)
        v, u = rng.standard_normal(a.shape).astype(a.dtype), rng.standard_normal(y.shape).astype(y.dtype)
        start = Tensor(np.zeros(y.shape, y.dtype), requires_grad=True)
        transposed = grad(y, xs[i], gy=start, create_graph=True)  # J^T start, linear in start
        backward = grad(y, xs[i], gy=u).data
        _check_recorded(transposed, backward)
        forward = grad(transposed, start, gy=v).data if transposed.requires_grad else np.zeros(y.shape)
        left, right = _dot(forward, u), _dot(v, backward)
        scale = float(np.linalg.norm(forward.astype(float)) * np.linalg.norm(u.astype(float)))
        error = abs(left - right) / (scale + atol / tolerance)
        result = Result(
            "adjoint", i, _or_inf(error), tolerance, left, right, ulps=units_in_the_last_place(left, right, a.dtype)
        )
        if not result.passed:
            cause = "J^T u has a vjp that is not J: a linear map and its adjoint must be each other's vjp"
            result = replace(result, cause=cause)
            raise _explain_adjoint(fun, arrays, transposed, start, backward, u, result)
        report.append(result)
    return report


@enable_grad()
def second_order(
    fun: Fun,
    *arrays: np.ndarray,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float = 1e-8,
    seed: int = 0,
    kinks: str = "count",
) -> Report:
    """Check gradients of gradients: by extrapolated differences of the gradient, and the symmetry of the Hessian (3).

    The differences are taken along one direction in all inputs together; if they do not agree, `vjp` of the gradient
    looks for the input, and has the options of `vjp`. The symmetry is relative to the products H v and H w.
    Raises CheckFailure as `vjp` does, DoesNotApply if the gradient is not built from ops.
    """
    arrays, rng = inputs_of(arrays), np.random.default_rng(seed)
    u = cotangent("second order", fun, arrays, rng)
    _check_twice(fun, arrays, u)
    v, w = ([rng.standard_normal(a.shape) * magnitude(a) for a in arrays] for _ in range(2))
    Hv, Hw = (hessian_product(fun, arrays, u, direction) for direction in (v, w))
    left, right = (sum(map(_dot, H, d)) for H, d in ((Hv, w), (Hw, v)))
    pairs = [*zip(Hv, w, strict=True), *zip(Hw, v, strict=True)]
    scale = sum(float(np.linalg.norm(H)) * float(np.linalg.norm(d)) for H, d in pairs) / 2

    derivative = _derivative(fun, u, v)
    slope = along(derivative, exact(fun, arrays), w, np.ones(()), eps)
    tolerance = max(TOLERANCES[np.result_type(a.dtype)] for a in arrays) if rtol is None else rtol
    error = abs(left - slope.value) / (scale + atol / tolerance)
    together = Result("second order", 0, _or_inf(error), tolerance, left, slope.value, order=slope.order)
    report = Report([together])
    if not together.passed:
        report = against_differences("second order", derivative, arrays, "directional", eps, rtol, atol, seed, kinks)

    tolerance = max(EXACT[np.result_type(a.dtype)] for a in arrays) * 10
    error = abs(left - right) / (scale + 1e-12 / tolerance)
    symmetry = Result("symmetry", 0, _or_inf(error), tolerance, left, right)
    if not symmetry.passed:
        cause = "the first derivatives belong to no common function, or one of their vjps is wrong"
        symmetry = replace(symmetry, cause=cause)
        raise _explain_symmetry(fun, arrays, u, v, Hv, symmetry)
    report.append(symmetry)
    return report


@enable_grad()
def taylor(fun: Fun, *arrays: np.ndarray, seed: int = 0, kinks: str = "count") -> Report:
    """Check the slopes of the Taylor remainders (4), all inputs moving together: 2 and 3.

    2 is what the gradient gives, 3 the Hessian. `order` is the slope of log remainder over log h, fitted over the
    steps where it stands clear of rounding; a remainder that nowhere does is zero, and passes. `error` is how far
    the slope stays below 2 or 3, at most 0.2. Raises CheckFailure if one is too flat; without a Hessian
    (`from_numpy`) only the first is checked. On a kink no slope is 3; kinks="exclude" then raises DoesNotApply.
    """
    arrays, rng = inputs_of(arrays), np.random.default_rng(seed)
    wide = exact(fun, arrays)
    u = cotangent("taylor", fun, wide, rng)
    gradients = gradients_of(fun, wide, u)
    v = [rng.standard_normal(a.shape) * magnitude(a) for a in wide]
    slopes = [gradients]  # of <u, fun> and of its derivative along v
    try:
        _check_twice(fun, wide, u)
        slopes.append(hessian_product(fun, wide, u, v))
    except DoesNotApply:
        pass
    steps, remainders, floor, crossed = _remainders(fun, wide, u, v, slopes)
    if crossed and kinks == "exclude":
        raise DoesNotApply(f"the point is on a kink ({', '.join(crossed)})")
    report = Report()
    for order, remainder in enumerate(remainders, start=2):
        finite, clear = bool(np.isfinite(remainder).all()), remainder > 100 * floor
        measured = finite and clear.sum() >= 3
        slope = float(np.polyfit(np.log(steps[clear]), np.log(remainder[clear]), 1)[0]) if measured else None
        error = np.inf if not finite else 0.0 if slope is None else max(0.0, order - slope)
        name = f"taylor, {order - 1}{'st' if order == 2 else 'nd'}"
        result = Result(name, 0, _or_inf(error), 0.2, order=slope, kinks=dict(crossed))
        if not result.passed:
            wrong = "gradient" if order == 2 else "Hessian"
            cause = "a kink is near" if crossed else f"the {wrong} is not the function's"
            result = replace(result, cause=cause)
            what = "is not finite" if slope is None else f"falls with slope {slope:.2f}"
            raise CheckFailure(f"{result}: the remainder {what}, expected {order}", result)
        report.append(result)
    return report


def hessian_product(fun: Fun, arrays: Arrays, u: np.ndarray, v: Sequence[np.ndarray]) -> list[np.ndarray]:
    """H v for the Hessian H of <u, fun> over all inputs."""
    return gradients_of(_derivative(fun, u, v), arrays, np.ones(()))


def _remainders(fun, arrays, u, v, slopes):
    """The remainders (4) after the terms of `slopes`, at halved steps, how much of each is rounding, and kinks met.

    Rounding is that of the values and of the terms, and what the rounding of x + h v does to fun.
    """

    def at(h: float) -> tuple[np.ndarray, Sides]:
        return evaluate(fun, [(a + h * d).astype(a.dtype, copy=False) for a, d in zip(arrays, v, strict=True)])

    y0, centre = at(0.0)
    h, last = largest_step(np.ones(1)) * 4, smallest_step(np.ones(1))
    while (crossed := between([centre, at(h)[1]])) and h > last:
        h = max(last, h / max(SHRINK, 2 * crossed.total()))
    steps = h / 2.0 ** np.arange(6)
    points = [at(step) for step in steps]
    rise = np.array([_dot(u, y - y0) for y, _ in points])
    size = np.array([_dot(np.abs(u), np.abs(y0) + np.abs(y)) for y, _ in points])
    remainders = []
    for n, slope in enumerate(slopes, start=1):
        term = sum(map(_dot, slope, v)) * steps**n / n
        rise = rise - term
        remainders.append(np.abs(rise))
        size += np.abs(term) + steps ** (n - 1) * sum(
            _dot(np.abs(s), np.abs(a)) for s, a in zip(slope, arrays, strict=True)
        )
    return steps, remainders, np.finfo(y0.dtype).eps * size + 1e-300, crossed


def _derivative(fun: Fun, u: np.ndarray, direction: Sequence[np.ndarray]) -> Fun:
    """The derivative of <u, fun> along `direction`, a scalar function of the inputs."""

    def derivative(*xs: Tensor) -> Tensor:
        variables = [x if x.requires_grad else Tensor(x.data, requires_grad=True) for x in xs]
        y = fun(*variables)
        gs = grad((y * u.astype(y.dtype)).sum(), variables, create_graph=True)
        total = Tensor(np.zeros((), y.dtype))
        for g, d in zip(gs, direction, strict=True):
            total = total + (g * d.astype(g.dtype)).sum()
        return total

    return derivative


def _explain_adjoint(fun, arrays, transposed, start, backward, u, result) -> CheckFailure:
    """The element e of the input at which <J e, u> and (J^T u) e differ most."""
    a = arrays[result.input]
    places = sample(np.arange(a.size))
    columns = np.zeros(len(places))
    if transposed.requires_grad:
        columns[:] = [_dot(grad(transposed, start, gy=unit(a, [p]).astype(a.dtype)).data, u) for p in places]
    rows = backward.ravel()[places]
    worst = int(np.abs(columns - rows).argmax())
    values = float(columns[worst]), float(rows[worst])
    return differ(fun, arrays, u, result, int(places[worst]), ("<J e, u>", "J^T u"), values)


def _explain_symmetry(fun, arrays, u, v, Hv, result) -> CheckFailure:
    """The element at which H v, swept from the gradient, and the difference of gradients along v are furthest apart."""
    wide, h = exact(fun, arrays), float(np.finfo(np.float64).eps) ** (1 / 3)
    plus, minus = (gradients_of(fun, [a + s * h * d for a, d in zip(wide, v, strict=True)], u) for s in (1, -1))
    slopes = [(p - m) / (2 * h) for p, m in zip(plus, minus, strict=True)]
    distances = [np.abs(swept - slope).max(initial=0) for swept, slope in zip(Hv, slopes, strict=True)]
    i = int(np.argmax(distances))
    place = int(np.abs(Hv[i] - slopes[i]).argmax())
    values = float(Hv[i].ravel()[place]), float(slopes[i].ravel()[place])
    result = replace(result, input=i)
    return differ(fun, arrays, u, result, place, ("H v of the tape", "slope of the gradient along v"), values)


def _check_twice(fun: Fun, arrays: Arrays, u: np.ndarray) -> None:
    """Raise DoesNotApply if the gradient is not built from ops."""
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    y = fun(*xs)
    start = Tensor(np.asarray(u, y.dtype), requires_grad=True)
    for gradient in grad(y, xs, gy=start, create_graph=True):
        _check_recorded(gradient, gradient.data)


def _check_recorded(gradient: Tensor, values: np.ndarray) -> None:
    if not gradient.requires_grad and np.any(values):
        raise DoesNotApply("its gradient is not built from ops, so the tape cannot differentiate it again")


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.vdot(x.astype(float), y.astype(float)))


def _or_inf(error: float) -> float:
    return float(error) if np.isfinite(error) else float("inf")
