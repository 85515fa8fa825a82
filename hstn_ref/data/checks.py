"""Checks of images, labels and indices that come from outside. Each failure is one sentence."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike

from hstn_ref.errors import DataError, DataTypeError

CLASSES = 10


def validate_images(images: np.ndarray, *, name: str = "images") -> None:
    """Check a batch for a network: (N, 1, H, W) with N > 0, float32 or float64, every pixel finite.

    Raises DataTypeError (a TypeError) for other element types, DataError (a ValueError) for everything else;
    the message names the first element that is not finite.
    """
    images = np.asarray(images)
    if images.dtype not in (np.float32, np.float64):
        hint = "; divide grey levels by 255" if images.dtype == np.uint8 else ""
        raise DataTypeError(f"{name}: elements are {images.dtype}, expected float32 or float64{hint}")
    if images.ndim != 4 or images.shape[1] != 1:
        raise DataError(f"{name}: shape is {images.shape}, expected (N, 1, H, W)")
    if images.size == 0:
        raise DataError(f"{name}: the batch is empty, its shape is {images.shape}")
    validate_finite(images, name=name)


def validate_labels(labels: np.ndarray, count: int, *, classes: int = CLASSES, name: str = "labels") -> None:
    """Check that `labels` are `count` integers in 0..classes-1. Raises as `validate_images`."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise DataTypeError(f"{name}: elements are {labels.dtype}, expected integers")
    if labels.shape != (count,):
        raise DataError(f"{name}: shape is {labels.shape}, expected ({count},), one for each image")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        n = int(outside.argmax())
        raise DataError(f"{name}: element {n} is {labels[n]}, expected 0..{classes - 1}")


def validate_finite(values: np.ndarray, *, name: str) -> None:
    """Check that no element is NaN or infinite; the message names the first that is."""
    if values.size == 0 or np.isfinite([values.min(), values.max()]).all():  # min and max carry NaN along
        return
    first = np.unravel_index(int(np.isfinite(values).argmin()), values.shape)
    index = tuple(int(i) for i in first)
    raise DataError(f"{name}: element {index} is {values[index]}, expected finite numbers")


def validate_indices(indices: ArrayLike, count: int, *, name: str = "indices") -> np.ndarray:
    """The indices of a batch as int64, after checking that they are one or more integers in 0..count-1."""
    indices = np.asarray(indices)
    if indices.ndim != 1 or indices.size == 0:
        raise DataError(f"{name}: shape is {indices.shape}, expected a list of at least one index")
    if indices.dtype.kind not in "iu":
        raise DataTypeError(f"{name}: elements are {indices.dtype}, expected integers")
    outside = (indices < 0) | (indices >= count)
    if outside.any():
        n = int(outside.argmax())
        raise DataError(f"{name}: element {n} is {indices[n]}, expected 0..{count - 1}")
    return indices.astype(np.int64, copy=False)


def natural(value: int, *, name: str) -> int:
    """`value` as an int, after checking that it is an integer in 0..2^63-1 (a seed, an epoch)."""
    try:
        value = operator.index(value)
    except TypeError:
        raise DataTypeError(f"{name} is {value!r}, expected an integer") from None
    if not 0 <= value < 1 << 63:
        raise DataError(f"{name} is {value}, expected an integer in 0..2^63-1")
    return value
