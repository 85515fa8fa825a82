"""The converter: parameters of an affine transformation -> motion field, equation (5) of the paper.

    [u]   [a-1   b    c] [x]
    [v] = [ d   e-1   f] [y]                                                            (5)
                         [1]

theta = (a, b, c, d, e, f) maps the output pixel (x, y) to where its value is read in the source: a backward warp. Its
coordinates are those of `coordinates.py`. For theta = (1, 0, 0, 0, 1, 0) the motion is exactly zero in all of them.

As x -> A x + t, with A = [a b; d e] and t = [c; f], affine transformations are a group:

    outer after inner     x -> A_o (A_i x + t_i) + t_o                                  (8)
    inverse               x -> A^-1 x - A^-1 t                                          (9)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.ops import concatenate, matmul
from autodiff.tensor import as_tensor, check_dtypes

from .coordinates import pixels, scale

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
    Raises ValueError for shapes that do not fit and for unknown coordinates, TypeError for dtypes that differ.
    """
    theta = _checked("affine_motion", theta)
    (H, W), N = shape, theta.shape[0]
    s = scale("affine_motion", shape, coords).astype(theta.dtype)
    change = (theta - identity_theta(theta.dtype)).reshape(N, 2, 3)
    uv = matmul(change.reshape(2 * N, 3), pixels((H, W), coords, theta.dtype)).reshape(N, 2, H, W)  # (5)
    if after is not None:
        check_dtypes("affine_motion", theta, after)
        if after.shape != (N, 2, H, W):
            raise ValueError(f"affine_motion: after has shape {after.shape}, expected {(N, 2, H, W)}")
        uv = uv + _linear_part(change, after * (1 / np.maximum(s, 0.5)))
    return uv * s


def compose_theta(outer: Any, inner: Any) -> Tensor:
    """The theta (N, 6) of `inner` first and then `outer`, both (N, 6) in the same coordinates: equation (8).

    An image warped by `outer`, and the result by `inner`, is the image warped once by the composition: backward
    mapping takes a position through the last warp first. Identity and identity give exactly the identity.
    Raises ValueError for shapes that do not fit, TypeError for dtypes.
    """
    outer, inner = _checked("compose_theta", outer), _checked("compose_theta", inner)
    check_dtypes("compose_theta", outer, inner)
    if len(outer) != len(inner):
        raise ValueError(f"compose_theta: outer {outer.shape} and inner {inner.shape} differ in their number")
    M = outer.reshape(-1, 2, 3)
    translation = M * np.array([0, 0, 1], M.dtype)  # (N, 2, 3), t_o in the last column
    return (matmul(M[:, :, :2], inner.reshape(-1, 2, 3)) + translation).reshape(-1, 6)  # (8)


def inverse_theta(theta: Any) -> Tensor:
    """The theta (N, 6) of the inverse transformation: equation (9).

    Raises ValueError naming the first theta that has no inverse, or for a shape that does not fit.
    """
    theta = _checked("inverse_theta", theta)
    a, b, c, d, e, f = (theta[:, k : k + 1] for k in range(6))
    determinant = a * e - b * d
    if not determinant.data.all():
        n = int(np.flatnonzero(determinant.data == 0)[0])
        raise ValueError(f"inverse_theta: theta {theta.data[n].tolist()} at position {n} has the determinant 0")
    return concatenate([e, -b, b * f - c * e, -d, a, c * d - a * f], axis=1) / determinant  # (9)


def _checked(owner: str, theta: Any) -> Tensor:
    theta = as_tensor(theta)
    check_dtypes(owner, theta)
    if theta.ndim != 2 or theta.shape[1] != 6:
        raise ValueError(f"{owner}: theta has shape {theta.shape}, expected (N, 6)")
    return theta


def _linear_part(change: Tensor, w: Tensor) -> Tensor:
    """[[a-1, b], [d, e-1]] w for w (N, 2, H, W) in the coordinates of (5)."""
    rows = []
    for i in range(2):
        first, second = (change[:, i, j].reshape(-1, 1, 1, 1) for j in range(2))
        rows.append(first * w[:, 0:1] + second * w[:, 1:2])
    return concatenate(rows, axis=1)
