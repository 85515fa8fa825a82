"""The converter: parameters of an affine transformation -> motion field, equation (5) of the paper.

    [u]   [a-1   b    c] [x]
    [v] = [ d   e-1   f] [y]                                                            (5)
                         [1]

theta = (a, b, c, d, e, f) maps the output pixel (x, y) to where its value is read in the source: a backward warp.
The paper does not say in which coordinates. Spatial transformers (Jaderberg et al. 2015) use normalised ones, in which
the centres of the outermost pixels lie at -1 and 1. In general, with the image's centre c and a scale s per axis,

    x = (j - c_x) / s_x,   y = (i - c_y) / s_y,      motion in pixels = (s_x u, s_y v)            (5')

    coords         s_x, s_y                      a rotation on a non-square image
    "normalised"   (W-1)/2, (H-1)/2              shears
    "isotropic"    both (max(H, W) - 1)/2        stays rigid
    "pixel"        1, 1                          stays rigid; translations c and f in pixels

For theta = (1, 0, 0, 0, 1, 0) the motion is exactly zero in all of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.ops import concatenate, matmul
from autodiff.tensor import as_tensor, check_dtypes

COORDS = ("normalised", "isotropic", "pixel")
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def identity_theta(dtype: Any = np.float32) -> np.ndarray:
    """The six parameters of the identity, (1, 0, 0, 0, 1, 0)."""
    return np.array(_IDENTITY, dtype)


def affine_motion(
    theta: Any, shape: tuple[int, int], *, coords: str = "normalised", after: Tensor | None = None
) -> Tensor:
    """The motion (N, 2, H, W), in pixels, of theta (N, 6) on images of `shape` (H, W): equation (5).

    `after`, another motion (N, 2, H, W), gives the affine motion at p + after(p) instead of at p, so that
    `after + affine_motion(theta, shape, after=after)` is the motion of the exact composition.
    Raises ValueError for shapes that do not fit and for unknown coordinates.
    """
    theta = as_tensor(theta)
    check_dtypes("affine_motion", theta)
    if theta.ndim != 2 or theta.shape[1] != 6:
        raise ValueError(f"affine_motion: theta has shape {theta.shape}, expected (N, 6)")
    (H, W), N = shape, theta.shape[0]
    scale = _scale(H, W, coords).astype(theta.dtype)
    change = (theta - identity_theta(theta.dtype)).reshape(N, 2, 3)
    uv = matmul(change.reshape(2 * N, 3), _grid(H, W, coords, theta.dtype)).reshape(N, 2, H, W)  # (5)
    if after is not None:
        uv = uv + _linear_part(change, after * (1 / np.maximum(scale, 0.5)))
    return uv * scale


def _scale(H: int, W: int, coords: str) -> np.ndarray:
    """(s_x, s_y) of (5') as (2, 1, 1)."""
    if coords == "normalised":
        scale = ((W - 1) / 2, (H - 1) / 2)
    elif coords == "isotropic":
        scale = ((max(H, W) - 1) / 2,) * 2
    elif coords == "pixel":
        scale = (1.0, 1.0)
    else:
        raise ValueError(f"affine_motion: unknown coordinates {coords!r}, expected one of {', '.join(COORDS)}")
    return np.array(scale).reshape(2, 1, 1)


@lru_cache(maxsize=16)
def _grid(H: int, W: int, coords: str, dtype: np.dtype) -> np.ndarray:
    """The homogeneous coordinates (x, y, 1) of every pixel, (3, H W)."""
    s_x, s_y = np.maximum(_scale(H, W, coords).ravel(), 0.5)  # one pixel: scale 0, coordinate 0
    y, x = np.meshgrid((np.arange(H) - (H - 1) / 2) / s_y, (np.arange(W) - (W - 1) / 2) / s_x, indexing="ij")
    return np.stack([x, y, np.ones((H, W))]).reshape(3, H * W).astype(dtype)


def _linear_part(change: Tensor, w: Tensor) -> Tensor:
    """[[a-1, b], [d, e-1]] w for w (N, 2, H, W) in the coordinates of (5)."""
    rows = []
    for i in range(2):
        first, second = (change[:, i, j].reshape(-1, 1, 1, 1) for j in range(2))
        rows.append(first * w[:, 0:1] + second * w[:, 1:2])
    return concatenate(rows, axis=1)
