"""The layout in which `mnist_cluttered_60x60_6distortions.npz` was published with the Lasagne recipes.

Keys x_train, y_train, x_valid, y_valid, x_test, y_test; x of shape (n, 3600), (n, 1, 60, 60) or (n, 60, 60),
here of any size, with values in [0, 1]; y one-hot (n, 10) or class numbers (n,).
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hstn_ref.data.checks import CLASSES, validate_finite
from hstn_ref.data.datasets import ArrayDataset, DataSplits
from hstn_ref.errors import DataError, DataTypeError, FileError, UserError

# NumPy parses the headers of arrays as Python.
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, SyntaxError, tokenize.TokenError
)  # fmt: skip
_KEYS = [f"{letter}_{split}" for split in ("train", "valid", "test") for letter in "xy"]


def read_npz(path: str | os.PathLike[str]) -> DataSplits:
    """Read a published .npz data set into memory (as float32, or as uint8 where the file has that).

    Nothing in the file is ever unpickled. Raises FileError if it cannot be read, DataError or DataTypeError
    if its content is damaged or is no such data set.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path}: the file holds one array, expected an .npz archive with {_KEYS}")
        with open(path, "rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        with archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                raise DataError(f"{path}: the keys {missing} are missing, the file has {sorted(archive)}")
            train, valid, test = (
                ArrayDataset(
                    _images(archive[f"x_{split}"], f"{path}: x_{split}"),
                    _labels(archive[f"y_{split}"], f"{path}: y_{split}"),
                    name=f"{path}: {split}",
                )
                for split in ("train", "valid", "test")
            )
    except UserError:
        raise
    except DAMAGED as error:
        raise DataError(f"{path}: the .npz file is damaged or no .npz file: {error}") from error
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    return DataSplits(train, valid, test, {"kind": "npz", "source": Path(path).name, "source_sha256": checksum})


def _images(x: np.ndarray, name: str) -> np.ndarray:
    if x.dtype != np.uint8:
        if x.dtype.kind != "f":
            raise DataTypeError(f"{name}: elements are {x.dtype}, expected floating-point numbers or uint8")
        x = x.astype(np.float32, copy=False)
    if x.ndim == 2:  # (n, H*W), square
        side = math.isqrt(x.shape[1])
        if side * side == x.shape[1]:
            return x.reshape(len(x), side, side)
    if x.ndim == 3:
        return x
    if x.ndim == 4 and x.shape[1] == 1:
        return x[:, 0]
    raise DataError(f"{name}: the shape is {x.shape}, expected (n, side * side), (n, H, W) or (n, 1, H, W)")


def _labels(y: np.ndarray, name: str) -> np.ndarray:
    if y.ndim == 1:
        return y
    if y.shape[1:] != (CLASSES,):
        raise DataError(f"{name}: the shape is {y.shape}, expected class numbers (n,) or one-hot rows (n, {CLASSES})")
    if y.dtype.kind not in "biuf":
        raise DataTypeError(f"{name}: elements are {y.dtype}, expected numbers")
    validate_finite(y, name=name)
    one_hot = (np.count_nonzero(y, axis=1) == 1) & (y.max(axis=1) == 1)
    if not one_hot.all():
        n = int(one_hot.argmin())
        raise DataError(f"{name}: row {n} is {y[n].tolist()}, expected one 1 among zeros")
    return y.argmax(axis=1)
