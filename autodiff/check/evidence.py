"""What is known about a gradient that differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .slopes import Arrays, Fun, Slope, evaluate, moved

CLOSE = 1e-4  # how close an explanation must be, relative to the largest element


@dataclass
class Evidence:
    """What is known about a failure; arrays of a large input hold a sample of its elements, flat (`whole` is False)."""

    fun: Fun
    arrays: Arrays  # in float64 where fun takes it
    i: int
    u: np.ndarray
    claimed: np.ndarray  # J^T u, all of it
    places: np.ndarray  # flat positions of the elements looked at
    slopes: list[Slope]  # one a place
    step: float | None

    @property
    def whole(self) -> bool:
        return len(self.places) == self.claimed.size

    @cached_property
    def g(self) -> np.ndarray:
        return self._shaped(self.claimed.astype(float).ravel()[self.places])

    @cached_property
    def d(self) -> np.ndarray:
        return self._shaped(np.array([slope.value for slope in self.slopes]))

    @cached_property
    def wrong(self) -> np.ndarray:
        uncertain = self._shaped(np.array([slope.uncertainty for slope in self.slopes]))
        largest = max(np.abs(self.d).max(), np.abs(self.g).max())
        return ~(np.abs(self.g - self.d) <= 1e-6 * largest + 10 * uncertain)

    def agree(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether a and b are so close that they explain the failure: a hundred times closer than g and d are."""
        largest, failure = np.abs(b).max(initial=0), np.abs(self.g - self.d).max(initial=0)
        return bool(largest > 0 and np.abs(a - b).max(initial=0) <= min(CLOSE * largest, 0.01 * failure))

    def input(self, j: int) -> np.ndarray:
        """Input j at the places looked at."""
        return self._shaped(self.arrays[j].astype(float).ravel()[self.places])

    def like(self) -> list[int]:
        """The inputs that have the shape of this one."""
        return [j for j, x in enumerate(self.arrays) if x.shape == self.arrays[self.i].shape]

    def sides(self, places: Sequence[int]) -> tuple[float, float, bool]:
        """The slopes before and after x along these elements, and whether they stay apart as the step shrinks."""
        f0, _ = evaluate(self.fun, self.arrays)
        direction = unit(self.arrays[self.i], places)
        smallest = min(slope.step for slope in self.slopes)
        gaps = []
        for h in (smallest, smallest / 8):
            right, left = (evaluate(self.fun, moved(self.arrays, self.i, s * h * direction))[0] for s in (1, -1))
            after, before = float(np.vdot(self.u, right - f0)) / h, float(np.vdot(self.u, f0 - left)) / h
            noise = 4 * np.finfo(f0.dtype).eps * float(np.vdot(np.abs(self.u), np.abs(f0))) / h
            gaps.append(abs(after - before))
        apart = gaps[1] > 0.5 * gaps[0] and gaps[1] > 10 * noise + 1e-4 * max(abs(before), abs(after))
        return before, after, apart

    def _shaped(self, flat: np.ndarray) -> np.ndarray:
        return flat.reshape(self.claimed.shape) if self.whole else flat


def unit(x: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """1 at these flat positions of an array like x, 0 elsewhere."""
    direction = np.zeros(x.size)
    direction[np.asarray(places)] = 1
    return direction.reshape(x.shape)
