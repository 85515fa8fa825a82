"""Motions as other libraries write them: to theirs, and from theirs.

A motion here is (N, 2, H, W) in pixels, x first: output(p) = image(p + m(p)), p = (x, y), pixel centres at integers.

    PyTorch, grid_sample          (N, H, W, 2), (x, y), g = 2 (p + m) / (size - 1) - 1, corners aligned
                                  or g = (2 (p + m) + 1) / size - 1, align_corners=False                    (18)
    voxelmorph                    (N, 2, H, W), (row, column), pixels: m
    TensorFlow, dense_image_warp  (N, H, W, 2), (row, column), pixels: -m, for output(p) = image(p - f)

size is that of the image that is read, (W, H). All functions take and return arrays and keep the dtype; they raise
ValueError for arrays of another shape.
"""

from __future__ import annotations

import numpy as np

from .coordinates import pixel_positions


def to_grid_sample(motion: np.ndarray, image_size: tuple[int, int] | None = None, *, align_corners: bool) -> np.ndarray:
    """The grid (N, H, W, 2) of a motion (N, 2, H, W): equation (18).

    `image_size` (H, W) is that of the image, the motion's unless given; `align_corners` must be what grid_sample gets.
    """
    m = _checked("to_grid_sample", motion, channels=1)
    size = _size(m.shape[2:], image_size)
    p = np.moveaxis(m + pixel_positions(m.shape[2:]), 1, -1)
    g = 2 * p / np.maximum(size - 1, 1) - 1 if align_corners else (2 * p + 1) / size - 1
    return g.astype(m.dtype)


def from_grid_sample(grid: np.ndarray, image_size: tuple[int, int] | None = None, *, align_corners: bool) -> np.ndarray:
    """The motion (N, 2, H, W) of a grid (N, H, W, 2): `to_grid_sample` undone."""
    g = _checked("from_grid_sample", grid, channels=3)
    size = _size(g.shape[1:3], image_size)
    from_edge = g.astype(np.float64) + 1
    p = from_edge * (size - 1) / 2 if align_corners else (from_edge * size - 1) / 2
    m = np.moveaxis(p, -1, 1) - pixel_positions(g.shape[1:3])
    return np.ascontiguousarray(m, g.dtype)


def to_voxelmorph(motion: np.ndarray) -> np.ndarray:
    """The displacement (N, 2, H, W), row first, of a motion; and, since it only swaps, the other way round."""
    return _checked("to_voxelmorph", motion, channels=1)[:, ::-1].copy()


from_voxelmorph = to_voxelmorph


def to_dense_image_warp(motion: np.ndarray) -> np.ndarray:
    """The flow (N, H, W, 2), row first and subtracted, of a motion (N, 2, H, W)."""
    m = _checked("to_dense_image_warp", motion, channels=1)
    return -np.moveaxis(m[:, ::-1], 1, -1).copy()


def from_dense_image_warp(flow: np.ndarray) -> np.ndarray:
    """The motion (N, 2, H, W) of a flow (N, H, W, 2): `to_dense_image_warp` undone."""
    f = _checked("from_dense_image_warp", flow, channels=3)
    return -np.moveaxis(f, -1, 1)[:, ::-1].copy()


def _checked(name: str, array: np.ndarray, channels: int) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim != 4 or array.shape[channels] != 2 or array.dtype.kind != "f":
        form = "(N, 2, H, W)" if channels == 1 else "(N, H, W, 2)"
        raise ValueError(f"{name}: {array.shape} of {array.dtype}, expected {form} of floating-point numbers")
    return array


def _size(of_motion: tuple[int, ...], image_size: tuple[int, int] | None) -> np.ndarray:
    """(W, H)"""
    return np.array((of_motion if image_size is None else image_size)[::-1], np.float64)
