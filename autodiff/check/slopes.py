"""Derivatives along a direction, from values of the function alone: the oracles of the gradient checks.

    f(h) = <u, fun(x + h v)>        v in one input, u a cotangent

    A(h)   = (f(h) - f(-h)) / 2h = f'(0) + c2 h^2 + c4 h^4 + ...      central difference                        (1)
    B(h)   = (4 A(h/2) - A(h)) / 3      the error h^2 is gone         Richardson's extrapolation                (2)
    C(h)   = (16 B(h/2) - B(h)) / 15    the error h^4 is gone
    p      = log2 |A(h) - A(h/2)| / |A(h/2) - A(h/4)|                 the order that was observed               (3)
    f'(0)  = Im f(i h) / h + O(h^2)     f analytic, h = 1e-30         complex step                              (4)

(3) is 2 for a smooth function, about 1 or 0 at a kink, and has no meaning once the differences are rounding errors.
(4) subtracts nothing, so it is exact to rounding; it needs a function that takes complex numbers.

Source: Press et al., Numerical Recipes (3rd ed.), section 5.7; Squire and Trapp 1998 for (4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import kinks
from ..backend import use
from ..modes import complex_allowed
from ..tensor import Tensor
from .results import DoesNotApply

Fun = Callable[..., Tensor]
Arrays = Sequence[np.ndarray]
SHRINK = 8  # from one trial step to the next, at the least
SMALLEST = 3e4  # of the largest step
COMPLEX_STEP = 1e-30


@dataclass(frozen=True)
class Slope:
    """f'(0), what truncation and rounding may have added to it, the order (3) if there was one to see, and the
    kinks within the step."""

    value: float
    truncation: float
    rounding: float
    order: float | None
    kinks: Counter[str]
    step: float

    @property
    def uncertainty(self) -> float:
        total = self.truncation + self.rounding
        return total if np.isfinite(total) else np.inf


def central(fun: Fun, arrays: Arrays, i: int, v: np.ndarray, u: np.ndarray, step: float | None = None) -> Slope:
    """f'(0) by equations (1) to (3), v in input i.

    Unless the step is given, it is tried from large to small until the estimate is good and no kink lies within.
    """
    x = arrays[i]
    _, centre = evaluate(fun, arrays)
    h, last = (largest_step(x), smallest_step(x)) if step is None else (step, step)
    best: Slope | None = None
    while True:
        outer = [evaluate(fun, moved(arrays, i, s * h * v)) for s in (1, -1)]
        met = kinks.between([centre, *(sides for _, sides in outer)])
        if not met or h <= last:
            slope = _extrapolated(fun, arrays, i, v, u, h, outer, met)
            if best is None or slope.uncertainty < best.uncertainty:
                best = slope
            enough = max(slope.rounding, np.finfo(x.dtype).eps ** 0.6 * abs(slope.value))
            if h <= last or slope.truncation <= enough:
                return best
        h = max(last, h / max(SHRINK, 2 * met.total()))


def along(fun: Fun, arrays: Arrays, v: Arrays, u: np.ndarray, step: float | None = None) -> Slope:
    """f'(0) with v in all inputs together."""

    def path(t: Tensor) -> Tensor:
        return fun(*(Tensor((x + t.data * d).astype(x.dtype, copy=False)) for x, d in zip(arrays, v, strict=True)))

    return central(path, [np.zeros(())], 0, np.ones(()), u, step)


def jacobian(fun: Fun, arrays: Arrays, i: int, step: float | None = None) -> tuple[np.ndarray, Counter[str]]:
    """The Jacobian to input i, (size of the result, size of the input), by B(h) of (2) column by column; and the
    kinks that no trial step avoided."""
    x = arrays[i]
    y, centre = evaluate(fun, arrays)
    columns, crossed = np.zeros((x.size, y.size)), Counter[str]()
    for j in range(x.size):
        unit = np.zeros(x.size)
        unit[j] = 1
        h, last = (largest_step(x), smallest_step(x)) if step is None else (step, step)
        while True:
            A, sides = [], [centre]
            for part in (h, h / 2):
                (plus, right), (minus, left) = (
                    evaluate(fun, moved(arrays, i, s * part * unit.reshape(x.shape))) for s in (1, -1)
                )
                sides += [right, left]
                A.append((plus - minus).ravel() / (2 * part))  # (1)
            if not (met := kinks.between(sides)) or h <= last:
                break
            h = max(last, h / SHRINK)
        crossed += met
        columns[j] = (4 * A[1] - A[0]) / 3  # (2)
    return columns.T, crossed


def complex_step(fun: Fun, arrays: Arrays, i: int, v: np.ndarray, u: np.ndarray) -> float:
    """f'(0) by equation (4), in the reference voice. Raises DoesNotApply if fun does not take complex numbers."""
    xs = [np.asarray(x, complex) for x in arrays]
    xs[i] = xs[i] + 1j * COMPLEX_STEP * v
    try:
        with use("reference"), complex_allowed(), np.errstate(all="ignore"):
            y = fun(*map(Tensor, xs)).data
    except TypeError as error:
        raise DoesNotApply(f"the function does not take complex numbers ({error})") from None
    if y.dtype.kind != "c":
        raise DoesNotApply("the function makes complex numbers real")
    return float(np.vdot(u, y.imag)) / COMPLEX_STEP


def largest_step(x: np.ndarray) -> float:
    """Where to begin with an input like x: truncation and rounding of the extrapolated difference balance."""
    return float(np.finfo(x.dtype).eps) ** (1 / 6) * magnitude(x)


def smallest_step(x: np.ndarray) -> float:
    """Where to end: a kink within is a kink at x."""
    return largest_step(x) / SMALLEST


def magnitude(x: np.ndarray) -> float:
    """The root of the mean square of x, 1 if it is zero."""
    return (float(np.sqrt(np.mean(np.square(x, dtype=float)))) if x.size else 0.0) or 1.0


def evaluate(fun: Fun, arrays: Arrays) -> tuple[np.ndarray, kinks.Sides]:
    """fun's result, and on which sides of its kinks it was computed."""
    y, sides = kinks.sides(lambda: fun(*map(Tensor, arrays)))
    return y.data, sides


def moved(arrays: Arrays, i: int, by: np.ndarray) -> list[np.ndarray]:
    """The arrays, input i moved."""
    return [*arrays[:i], (arrays[i] + by).astype(arrays[i].dtype, copy=False), *arrays[i + 1 :]]


def off_kinks(fun: Fun, arrays: Arrays, i: int, v: np.ndarray, step: float) -> np.ndarray:
    """Which elements of v take input i across a kink when they alone move by a step to either side: a mask of those
    that do not. Groups of elements are halved until those that cross are found."""
    good = np.ones(v.size, bool)
    _, centre = evaluate(fun, arrays)
    stack = [np.arange(v.size)]
    while stack:
        group = stack.pop()
        by = np.zeros(v.size)
        by[group] = step * v.ravel()[group]
        points = [evaluate(fun, moved(arrays, i, sign * by.reshape(v.shape)))[1] for sign in (1, -1)]
        if not kinks.between([centre, *points]):
            continue
        if len(group) == 1:
            good[group] = False
        else:
            stack += np.array_split(group, 2)
    return good.reshape(v.shape)


def _extrapolated(fun: Fun, arrays: Arrays, i: int, v, u, h: float, outer, met: Counter[str]) -> Slope:
    """Equations (1) to (3); `outer` is fun at x + h v and x - h v, `met` the kinks between."""
    differences, size = [], 0.0
    for step in (h, h / 2, h / 4):
        points = outer if step == h else [evaluate(fun, moved(arrays, i, s * step * v)) for s in (1, -1)]
        (plus, _), (minus, _) = points
        differences.append(float(np.vdot(u, plus.astype(float) - minus)) / (2 * step))  # (1)
        size = max(size, float(np.vdot(np.abs(u), np.abs(plus))))
    A0, A1, A2 = differences
    B0, B1 = (4 * A1 - A0) / 3, (4 * A2 - A1) / 3  # (2)
    C = (16 * B1 - B0) / 15
    rounding = 2 * float(np.finfo(plus.dtype).eps) * size / h
    first, second = abs(A0 - A1), abs(A1 - A2)
    order = float(np.log2(first / second)) if first and second > 10 * rounding else None  # (3)
    if abs(A0 - C) <= rounding:  # a step so small that nothing is truncated: the widest difference is the best
        return Slope(A0, 0.0, rounding, order, met, h)
    return Slope(C, abs(C - B1), 4 * rounding, order, met, h)
