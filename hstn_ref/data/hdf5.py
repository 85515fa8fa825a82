"""Data sets in HDF5 files, written and read a few images at a time.

A file has the attributes `format` and `version`, further attributes that tell the origin, and for each of the
groups train, valid and test: `images` (n, H, W) uint8 and `labels` (n,) uint8. Grey levels lose nothing: a
canvas is made of them (clutter.py). Each image is one chunk, compressed with gzip, whose checksum
protects it: chunks of several images would make the file up to 18 % smaller, but a random batch would
decompress images that it does not need.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from hstn_ref.data.checks import validate_indices, validate_labels
from hstn_ref.data.datasets import Batch, DataSplits, unit_range
from hstn_ref.errors import DataError, FileError
from hstn_ref.files import write_bytes
from hstn_ref.plain import plain

FORMAT = "hstn-ref data set"
VERSION = 1
BLOCK = 256  # images written or read at a time
_DAMAGED = (OSError, KeyError, RuntimeError)  # what h5py raises where the HDF5 library meets a wrong checksum


def write_dataset(
    path: str | os.PathLike[str], splits: DataSplits, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the images of epoch 0 of every split to an HDF5 file, which appears only when it is complete.

    `progress(done, total)`, in images, is called after every block.

    Raises FileError if the file cannot be written, or would replace one that is no data set; DataError for pixels
    that are no grey levels (multiples of 1/255; a thousandth of a level is rounded away, as sums in float32 leave it).
    """
    if os.path.isfile(path) and not _is_dataset(path):
        raise FileError(f"cannot write {path}: the file there is no data set, expected another name")
    content = io.BytesIO()  # on a full disk the HDF5 library crashes
    try:
        with h5py.File(content, "w", libver=("v110", "v110")) as file:
            _write(file, splits, progress)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    write_bytes(path, content.getvalue())


def _is_dataset(path: str | os.PathLike[str]) -> bool:
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            return _plain(file.attrs.get("format")) == FORMAT
    except _DAMAGED:
        return False


def _write(file: h5py.File, splits: DataSplits, progress: Callable[[int, int], None] | None) -> None:
    total, done = sum(len(split) for _, split in splits.items()), 0
    file.attrs.update({**splits.attributes, "format": FORMAT, "version": VERSION})
    for name, split in splits.items():
        shape = (len(split), *split.image_size)
        images = file.create_dataset(
            f"{name}/images", shape, "u1", chunks=(1, *shape[1:]), compression="gzip", compression_opts=6
        )
        labels = file.create_dataset(f"{name}/labels", shape[:1], "u1", compression="gzip", compression_opts=6)
        for block in blocks(len(split)):
            here = slice(block[0], block[-1] + 1)
            pixels, classes = split.batch(block)
            if pixels.shape[1] != 1:
                raise DataError(f"{name}: images have {pixels.shape[1]} channels, expected 1")
            validate_labels(classes, len(block), name=f"{name} labels from {block[0]}")
            labels[here] = classes
            images[here] = _grey_levels(pixels[:, 0], f"{name} images from {block[0]}")
            done += len(block)
            if progress is not None:
                progress(done, total)


def blocks(count: int) -> Iterator[np.ndarray]:
    """The indices 0..count-1, BLOCK at a time."""
    for first in range(0, count, BLOCK):
        yield np.arange(first, min(first + BLOCK, count))


def _grey_levels(pixels: np.ndarray, name: str) -> np.ndarray:
    scaled = pixels * np.float32(255)
    levels = np.rint(scaled)
    wrong = ~(np.abs(scaled - levels) <= 1e-3) | (levels < 0) | (levels > 255)
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise DataError(f"{name}: pixel {index} is {pixels[index]}, expected a multiple of 1/255 in 0..1")
    return levels.astype(np.uint8)


def read_hdf5(path: str | os.PathLike[str]) -> DataSplits:
    """Open a file of `write_dataset`. Images stay on the disk until they are asked for.

    Raises FileError if the file cannot be read, DataError if it is damaged, no such data set, or of a newer
    version.
    """
    if not os.path.isfile(path):
        raise FileError(f"cannot read {path}: there is no such file")
    try:
        file = h5py.File(path, "r", locking="best-effort")  # some network file systems cannot lock
        attributes = {name: _plain(value) for name, value in file.attrs.items()}
    except _DAMAGED as error:
        raise DataError(f"{path}: the file is damaged, cut short, or not HDF5: {error}") from error
    if attributes.get("format") != FORMAT:
        raise DataError(f"{path}: the 'format' is {attributes.get('format')!r}, expected {FORMAT!r}")
    if attributes.get("version") != VERSION:
        raise DataError(f"{path}: the 'version' is {attributes.get('version')}, this release reads {VERSION}")
    train, valid, test = (HDF5Dataset(file, name) for name in ("train", "valid", "test"))
    return DataSplits(train, valid, test, attributes)


def _plain(value: Any) -> Any:
    """A value that JSON can hold, as checkpoints keep it."""
    value = plain(value)
    return value if isinstance(value, (str, int, float, bool, list)) else str(value)


class HDF5Dataset:
    """One split of an open file. Labels are in memory, images are read chunk by chunk."""

    def __init__(self, file: h5py.File, split: str) -> None:
        self._name = f"{file.filename}: {split}"
        try:
            self._images, labels = file[f"{split}/images"], file[f"{split}/labels"]
            if not isinstance(self._images, h5py.Dataset) or not isinstance(labels, h5py.Dataset):
                found = f"{self._images} and {labels}"
                raise DataError(f"{self._name}: images and labels are {found}, expected arrays")
            self._labels = labels[:]
        except _DAMAGED as error:
            raise DataError(f"{self._name}: images or labels are missing or damaged: {error}") from error
        if self._images.dtype != np.uint8 or self._images.ndim != 3 or self._images.size == 0:
            found = f"{self._images.dtype} {self._images.shape}"
            raise DataError(f"{self._name}: images are {found}, expected uint8 (n, H, W), none of them 0")
        validate_labels(self._labels, len(self._images), name=f"{self._name}: labels")

    @property
    def image_size(self) -> tuple[int, int]:
        return self._images.shape[1], self._images.shape[2]

    def __len__(self) -> int:
        return len(self._labels)

    def batch(self, indices: ArrayLike, epoch: int = 0) -> Batch:
        indices = validate_indices(indices, len(self))
        levels = np.empty((len(indices), *self.image_size), np.uint8)
        for b, i in enumerate(indices.tolist()):
            try:
                levels[b] = self._images[i]
            except _DAMAGED as error:
                raise DataError(f"{self._name}: image {i} is damaged: {error}") from error
        return unit_range(levels)[:, None], self._labels[indices].astype(np.int64)
