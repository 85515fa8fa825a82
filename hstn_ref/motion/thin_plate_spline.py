"""The thin-plate spline: offsets of a few control points -> motion field (section 2.1; Bookstein 1989).

    p                 a position (x, y) in the coordinates of `coordinates.py`
    p_k, k < K        control points: a grid of R rows and C columns from corner to corner of the image, K = R C
    U(r) = r^2 log r^2,  U(0) = 0

Of all functions with given values v_k at the points, the spline

    f(p) = c_0 + c_1 x + c_2 y + sum_k w_k U(|p - p_k|),     f(p_k) = v_k                                  (10)

    with sum_k w_k = sum_k w_k x_k = sum_k w_k y_k = 0       (no affine part in the sum)                   (11)

bends least. (10) and (11) are linear equations for (c, w). With phi(p) = (1, x, y, U(|p - p_1|), ..., U(|p - p_K|)),

    L (c, w) = (0, 0, 0, v),      L = [[0, P^T], [P, U]],   rows of P: (1, x_k, y_k),   U_kl = U(|p_k - p_l|)   (12)

so f(p) = phi(p) . L^-1 (0, 0, 0, v) is linear in v. L is symmetric: solved for phi instead, and without its first
three rows, the weight of every control point at every pixel is one matrix,

    B = (L^-1 phi)_k(p),          f(p) = sum_k v_k B_k(p)                                                  (13)

which depends on the sizes alone. If the values are the positions of the points, f is the identity; hence the offsets
of the positions give the motion directly, and offsets of zero give exactly none. The gradient to the offsets is the
product with B^T.

Scaling both axes alike changes L and phi, but not f: r^2 log s^2 adds to U a polynomial that (11) sends to the affine
part. Scaling them differently does change f, so "normalised" bends otherwise than "isotropic" on a non-square image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.backend import one_blas_thread
from autodiff.ops import matmul
from autodiff.tensor import as_tensor, check_dtypes

from .coordinates import kept, pixels, points, scale

Size = tuple[int, int]
GRID = (4, 4)  # rows and columns of control points, as in the paper's TPS-STN


def tps_motion(offsets: Any, shape: Size, *, grid: Size | None = None, coords: str = "normalised") -> Tensor:
    """The motion (N, 2, H, W), in pixels, of a thin-plate spline on images of `shape` (H, W): equation (13).

    offsets (N, 2, R, C) or flattened, as (N, 2 R C) of a network: by how much the value of each control point is read
    elsewhere, along x for all points row by row, then along y, in units of `coords` ("normalised": 1 is half the
    image). `grid` is (R, C); left out, that of offsets with four axes, otherwise 4x4. The control points run from
    corner to corner of the image, the corners included. The spline interpolates their offsets, and if these are an
    affine function of the points, so is the motion.

    Raises ValueError for shapes that do not fit, a grid or an image of less than 2 by 2, and unknown coordinates.
    Source: section 2.1 of the paper; grid, coordinates and U are those of Lasagne's TPSTransformerLayer.
    """
    offsets = as_tensor(offsets)
    check_dtypes("tps_motion", offsets)
    if grid is None:
        grid = offsets.shape[2:] if offsets.ndim == 4 else GRID
    N, (R, C), (H, W) = len(offsets), grid, shape
    whole = offsets.shape == (N, 2, R, C)
    if not whole and (offsets.ndim == 4 or offsets.size != N * 2 * R * C):
        raise ValueError(
            f"tps_motion: offsets {offsets.shape} for a grid of {R}x{C} points, expected (N, 2, {R}, {C}) or as many "
            "numbers an image"
        )
    if min(R, C, H, W) < 2:
        raise ValueError(f"tps_motion: grid {grid} on images {shape}, expected at least 2 rows and columns of each")
    s = scale("tps_motion", shape, coords).astype(offsets.dtype)
    B = _weights((H, W), (R, C), coords == "normalised", offsets.dtype)
    return matmul(offsets.reshape(2 * N, R * C), B).reshape(N, 2, H, W) * s  # (13)


def control_points(shape: Size, grid: Size = GRID) -> tuple[np.ndarray, np.ndarray]:
    """The rows (R,) and the columns (C,), in pixels, on which the control points lie."""
    (H, W), (R, C) = shape, grid
    return np.linspace(0, H - 1, R), np.linspace(0, W - 1, C)


@kept
def _weights(shape: Size, grid: Size, normalised: bool, dtype: np.dtype) -> np.ndarray:
    """B of (13), (K, H W). In pixels it is that of isotropic coordinates, whose numbers are better to solve with."""
    coords = "normalised" if normalised else "isotropic"
    centres = points(*control_points(shape, grid), shape, scale("tps_motion", shape, coords))  # (3, K)
    everywhere = pixels(shape, coords, np.dtype(np.float64))  # (3, H W)
    K = centres.shape[1]
    L = np.zeros((K + 3, K + 3))
    L[3:] = _phi(centres, centres).T
    L[:, 3:] = L[3:].T  # (12)
    with one_blas_thread():
        B = np.linalg.solve(L, _phi(centres, everywhere))[3:].astype(dtype)
    B.setflags(write=False)
    return B


def _phi(centres: np.ndarray, at: np.ndarray) -> np.ndarray:
    """phi of (12) at the points `at` (3, P): (3 + K, P)."""
    squared = sum((at[axis] - centres[axis, :, None]) ** 2 for axis in range(2))  # (K, P)
    U = squared * np.log(np.where(squared > 0, squared, 1))
    return np.concatenate([at[2:], at[:2], U])
