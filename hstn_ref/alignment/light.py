"""The light of two photographs: what makes the grey levels of one those of the other.

    s, t      grey levels of source and target at the same P positions, as far as they are matched
    m         weights of the positions, 0 for those outside

    t ~ a s + b,    a = std(t) / std(s),    b = mean(t) - a mean(s),    a in 1/MOST .. MOST               (1)

with weighted means and deviations, a channel at a time. In (1) source and target are equal partners: a regression of t
on s would find a < 1 wherever they are not aligned yet. Positions that do not match count little once a, b are known,

    m / ((a s + b - t)^2 + 1)                                                                            (2)

so that where the light is the same a is 1 and b is 0, whatever comes into view or leaves it.
"""

from __future__ import annotations

import numpy as np

MOST = 4.0  # times that the contrast may change


def light(s: np.ndarray, t: np.ndarray, m: np.ndarray, *, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """a and b, (..., C, 1), of s and t (..., C, P) and m (..., 1, P): (1), with the weights (2) in all rounds but the
    first.
    """
    weights = m
    for left in reversed(range(rounds)):
        total = np.maximum(weights.sum(axis=-1, keepdims=True), 1e-6)
        means = [(weights * x).sum(axis=-1, keepdims=True) / total for x in (s, t)]
        squares = [
            (weights * (x - mean) ** 2).sum(axis=-1, keepdims=True) for x, mean in zip((s, t), means, strict=True)
        ]
        a = np.sqrt(squares[1] / np.maximum(squares[0], 1e-6)).clip(1 / MOST, MOST)
        b = means[1] - a * means[0]  # (1)
        if left:
            weights = m / ((a * s + b - t) ** 2 + 1)  # (2)
    return a, b
