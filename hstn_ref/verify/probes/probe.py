"""One question to every framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Fun = Callable[..., Any]
Show = Callable[[np.ndarray, list[np.ndarray]], Any]


def value(y, gradients):
    return y


def gradient(y, gradients):
    return gradients[0]


def gradients_of_both(y, gradients):
    return np.stack(gradients)


@dataclass(frozen=True)
class Probe:
    subject: str
    question: str
    fun: Fun  # fun(ops, *arrays), as of a Case
    arrays: tuple[np.ndarray, ...]
    show: Show = gradient  # show(value, gradients): the numbers, or the text, that answer
    native: dict[str, str] = field(default_factory=dict)  # framework: its own function that is asked instead of fun
    lacks: dict[str, str] = field(default_factory=dict)  # framework: that there is nothing to ask
    like: dict[str, tuple[str, Fun]] = field(default_factory=dict)  # framework: how ours gives its answer


def row(*numbers: float) -> np.ndarray:
    """Numbers as an image (1, 1, 1, W)."""
    return np.array(numbers, np.float64).reshape(1, 1, 1, -1)
