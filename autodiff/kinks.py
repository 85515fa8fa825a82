"""Kinks: where an op is continuous and its derivative is not.

An op that has some says on which side of each of them it is computing:

    note("relu at 0", lambda: np.sign(x))

which costs nothing unless somebody listens. `sides(fun)` listens; comparing what it heard at x - h and at x + h tells
a gradient check whether a kink lies between. A user's op may note its own kinks in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

Sides = list[tuple[str, np.ndarray]]
T = TypeVar("T")

_heard: ContextVar[Sides | None] = ContextVar("heard", default=None)


def note(kink: str, side: Callable[[], Any]) -> None:
    """Say that an op has kinks of the kind `kink`; side() is an array that differs on their two sides."""
    heard = _heard.get()
    if heard is not None:
        heard.append((kink, np.asarray(side())))


def sides(fun: Callable[[], T]) -> tuple[T, Sides]:
    """fun() and all that its ops noted, in order."""
    heard: Sides = []
    token = _heard.set(heard)
    try:
        return fun(), heard
    finally:
        _heard.reset(token)


def between(points: Sequence[Sides]) -> Counter[str]:
    """How many kinks of each kind lie between points, from what `sides` heard there."""
    first, *others = points
    crossed: Counter[str] = Counter()
    for other in others:
        if [(kink, side.shape) for kink, side in first] != [(kink, side.shape) for kink, side in other]:
            return Counter({"another path through the code": 1})
    for k, (kink, side) in enumerate(first):
        moved = np.zeros(side.shape, bool)
        for other in others:
            moved |= (other[k][1] != side) & ~(_is_nan(other[k][1]) & _is_nan(side))
        if moved.any():
            crossed[kink] += int(moved.sum())
    return crossed


def _is_nan(side: np.ndarray) -> Any:
    return side != side  # also for integers, which hold none
