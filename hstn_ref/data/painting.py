"""Steps 2 to 4 of clutter.py, compiled."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def _add(source: np.ndarray, y: int, x: int, canvas: np.ndarray) -> None:
    """canvas[y:, x:] += source, not beyond white"""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            canvas[y + i, x + j] = min(255, canvas[y + i, x + j] + source[i, j])


@numba.njit(cache=True, nogil=True)
def paint(
    digits: np.ndarray,
    digit: np.ndarray,
    corner: np.ndarray,
    patches: np.ndarray,
    size: int,
    painted: np.ndarray,
) -> None:
    """Add patches and digits, as named in clutter.Draws, to canvases (B, H, W) that are 0."""
    for b in range(painted.shape[0]):
        for d in range(patches.shape[1]):
            k, y, x, top, left = patches[b, d]
            _add(digits[k, top : top + size, left : left + size], y, x, painted[b])  # steps 2 and 3
        _add(digits[digit[b]], corner[b, 0], corner[b, 1], painted[b])  # step 4
