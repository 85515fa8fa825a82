"""How a motion stretches and folds: the Jacobian determinant of p -> p + m(p).

    J = (1 + u_x) (1 + v_y) - u_y v_x                                                                      (17)

is the area that a unit of area at p is read from: 1 where nothing is stretched, negative where the motion mirrors, that
is, where it has folded over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.ops import concatenate
from autodiff.tensor import as_tensor, check_dtypes


def jacobian_determinant(motion: Any) -> Tensor:
    """The Jacobian determinant (N, H, W) of a motion (N, 2, H, W) in pixels: equation (17).

    The derivatives are central differences, (m[j+1] - m[j-1]) / 2, and one-sided in the first and last row and column;
    exact for an affine motion. They see every other pixel: to ask whether a motion folds anywhere, use
    `folding_fraction`. Can be differentiated to any order.
    Raises ValueError for a motion of another shape or less than 2x2 pixels, TypeError for dtypes.
    """
    m = _checked("jacobian_determinant", motion)
    return _determinant(_derivative(m, 3), _derivative(m, 2))


def folding_fraction(motion: Any) -> np.ndarray:
    """The share (N,) of the squares between four pixels in which a motion (N, 2, H, W) folds: 0 for an invertible one.

    Between the pixels the motion is interpolated bilinearly, and then the determinant (17) is an affine function of the
    position in the square: it is smallest at a corner. There the derivatives are the differences along the two sides
    that meet, so the four determinants of a square tell exactly whether it is positive everywhere.
    Raises as `jacobian_determinant`.
    """
    m = _checked("folding_fraction", motion).detach()
    along_x, along_y = _difference(m, 3), _difference(m, 2)
    corners = [
        _determinant(m_x, m_y).data
        for m_x in (along_x[:, :, :-1], along_x[:, :, 1:])  # the upper and the lower side
        for m_y in (along_y[..., :-1], along_y[..., 1:])  # the left and the right side
    ]
    return 1 - (np.min(corners, axis=0) > 0).mean(axis=(1, 2))


def _determinant(m_x: Tensor, m_y: Tensor) -> Tensor:
    """(17) from the derivatives (N, 2, ...) of the motion along x and along y."""
    return (m_x[:, 0] + 1) * (m_y[:, 1] + 1) - m_y[:, 0] * m_x[:, 1]


def _derivative(m: Tensor, axis: int) -> Tensor:
    """Central differences, one-sided at both ends: the mean of the differences to both neighbours."""
    d = _difference(m, axis)
    inside = (d[_range(axis, 0, -1)] + d[_range(axis, 1, None)]) * 0.5
    return concatenate([d[_range(axis, 0, 1)], inside, d[_range(axis, -1, None)]], axis=axis)


def _difference(m: Tensor, axis: int) -> Tensor:
    return m[_range(axis, 1, None)] - m[_range(axis, 0, -1)]


def _range(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop),)


def _checked(owner: str, motion: Any) -> Tensor:
    motion = as_tensor(motion)
    check_dtypes(owner, motion)
    if motion.ndim != 4 or motion.shape[1] != 2 or min(motion.shape[2:]) < 2:
        raise ValueError(f"{owner}: motion has shape {motion.shape}, expected (N, 2, H, W) with at least 2x2 pixels")
    return motion
