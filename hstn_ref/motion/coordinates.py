"""The coordinates in which parameters of a motion are given.

With the image's centre c and a scale s per axis, column j and row i have

    x = (j - c_x) / s_x,   y = (i - c_y) / s_y,      motion in pixels = (s_x u, s_y v)            (5')

    coords         s_x, s_y                      a rotation on a non-square image
    "normalised"   (W-1)/2, (H-1)/2              shears
    "isotropic"    both (max(H, W) - 1)/2        stays rigid
    "pixel"        1, 1                          stays rigid; translations in pixels

In normalised coordinates, those of spatial transformers (Jaderberg et al. 2015), the centres of the outermost pixels
lie at -1 and 1. (5') continues equation (5) of the paper, which does not say which coordinates it means.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np

KEPT = 256 * 256  # pixels
COORDS = ("normalised", "isotropic", "pixel")


def scale(owner: str, shape: tuple[int, int], coords: str) -> np.ndarray:
    """(s_x, s_y) of (5') as (2, 1, 1). Raises ValueError for unknown coordinates, in the name of `owner`."""
    H, W = shape
    if coords == "normalised":
        s = ((W - 1) / 2, (H - 1) / 2)
    elif coords == "isotropic":
        s = ((max(H, W) - 1) / 2,) * 2
    elif coords == "pixel":
        s = (1.0, 1.0)
    else:
        raise ValueError(f"{owner}: unknown coordinates {coords!r}, expected one of {', '.join(COORDS)}")
    return np.array(s).reshape(2, 1, 1)


def points(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], s: np.ndarray) -> np.ndarray:
    """The homogeneous coordinates (x, y, 1) of all points of a grid of pixel positions, (3, rows columns)."""
    H, W = shape
    s_x, s_y = np.maximum(s.ravel(), 0.5)  # an axis of one pixel has scale 0 and the one coordinate 0
    y, x = np.meshgrid((rows - (H - 1) / 2) / s_y, (columns - (W - 1) / 2) / s_x, indexing="ij")
    return np.stack([x, y, np.ones_like(x)]).reshape(3, -1)


def pixel_positions(shape: tuple[int, ...]) -> np.ndarray:
    """Where the pixels of an image (H, W) lie: (2, H, W), x first, float64."""
    H, W = shape
    return np.stack(np.meshgrid(np.arange(float(W)), np.arange(float(H))))


def kept(make: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Keep the last 16 results of make(shape, ...) up to KEPT pixels, and the last one of larger images, of which more
    would fill the memory: a network asks for the same every time.
    """
    small, large = lru_cache(maxsize=16)(make), lru_cache(maxsize=1)(make)

    @wraps(make)
    def get(shape: tuple[int, int], *others: Any) -> np.ndarray:
        return (small if shape[0] * shape[1] <= KEPT else large)(shape, *others)

    return get


@kept
def pixels(shape: tuple[int, int], coords: str, dtype: np.dtype) -> np.ndarray:
    """The homogeneous coordinates (x, y, 1) of every pixel, (3, H W)."""
    grid = points(np.arange(shape[0]), np.arange(shape[1]), shape, scale("pixels", shape, coords)).astype(dtype)
    grid.flags.writeable = False
    return grid
