"""The message of a failure: where, both values, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .causes import HYPOTHESES
from .evidence import Evidence, unit
from .results import CheckFailure, Result, units_in_the_last_place
from .slopes import Arrays, Fun, central

MOST, SAMPLE = 200, 40  # elements that are all looked at, or else so many of them


def explain(
    fun: Fun, arrays: Arrays, i: int, g: np.ndarray, u: np.ndarray, good: np.ndarray, step: float | None, result: Result
) -> CheckFailure:
    """The failure of `result` on input i, with the element that differs most, both values and the likely cause.

    `good` masks the elements to be judged.
    """
    places = sample(np.flatnonzero(good))
    if not len(places):
        return CheckFailure(str(result), result)
    slopes = [central(fun, arrays, i, unit(arrays[i], [int(p)]), u, step) for p in places]
    seen = Evidence(fun, arrays, i, u, g, places, slopes, step)
    distance = np.where(np.isfinite(seen.g), np.abs(seen.g - seen.d), np.inf).ravel()
    worst = int(distance.argmax())
    value, expected = float(seen.g.ravel()[worst]), float(seen.d.ravel()[worst])
    where = tuple(int(k) for k in np.unravel_index(places[worst], g.shape))
    cause = next(filter(None, (hypothesis(seen) for hypothesis in HYPOTHESES)), "the formula is wrong")
    before, after, kinked = seen.sides([places[worst]])
    kink = f"a kink is near: slopes {before:.6g} before and {after:.6g} after" if kinked else "no kink is near"
    ulps = units_in_the_last_place(value, expected, g.dtype)
    relative = abs(value - expected) / max(abs(value), abs(expected), 1e-300)
    message = (
        f"{result.check}: input {i}, element {where} of shape {g.shape}: gradient {value:.10g}, central difference "
        f"{expected:.10g}; relative error {relative:.1e}, {ulps:.3g} ulp of {g.dtype}; {kink}; likely cause: {cause}"
    )
    result = replace(result, value=value, expected=expected, index=where, ulps=ulps, cause=cause)
    return CheckFailure(message, result)


def sample(places: np.ndarray) -> np.ndarray:
    """All of the elements, or some of many."""
    if len(places) <= MOST:
        return places
    return places[np.linspace(0, len(places) - 1, SAMPLE).astype(int)]


def differ(
    fun: Fun,
    arrays: Arrays,
    u: np.ndarray,
    result: Result,
    place: int,
    names: tuple[str, str],
    values: tuple[float, float],
) -> CheckFailure:
    """The failure of `result`, whose cause is known: `names`, which ought to be equal, are not at an element."""
    i = result.input
    where = tuple(int(k) for k in np.unravel_index(place, arrays[i].shape))
    near = central(fun, arrays, i, unit(arrays[i], [place]), u).kinks
    kink = "a kink is near" if near else "no kink is near"
    value, expected = values
    message = (
        f"{result.check}: input {i}, element {where} of shape {arrays[i].shape}: {names[0]} {value:.10g}, {names[1]} "
        f"{expected:.10g}; {kink}; likely cause: {result.cause}"
    )
    return CheckFailure(message, replace(result, value=value, expected=expected, index=where))
