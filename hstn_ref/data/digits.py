"""Handwritten digits: the MNIST files of a folder, or the sample that the package carries.

The sample (`digits.xz`, described by `digits.json`, made by scripts/make_embedded_digits.py) is drawn from
MNIST by Yann LeCun and Corinna Cortes. Its test digits are MNIST test digits; its training and validation
digits come from the first 50,000 and the last 10,000 MNIST training digits, as the split below.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hstn_ref.data.checks import validate_labels
from hstn_ref.data.idx import read_idx
from hstn_ref.errors import DataError, FileError

SIZE = 28  # pixels, height and width

# Of the content after decompression, so that it does not matter which mirror packed the file, or how.
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class Digits(NamedTuple):
    images: np.ndarray  # (n, 28, 28) uint8, ink is 255
    labels: np.ndarray  # (n,) uint8


class DigitSplits(NamedTuple):
    train: Digits
    valid: Digits
    test: Digits

    def sha256(self) -> str:
        """Of all images and labels, in the order train, valid, test, images before labels."""
        checksum = hashlib.sha256()
        for split in self:
            for array in split:
                checksum.update(np.ascontiguousarray(array).data)
        return checksum.hexdigest()


def load_mnist(folder: str | os.PathLike[str]) -> DigitSplits:
    """Read the four IDX files of MNIST: `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, plain or .gz.

    The last sixth of the training digits, 10,000 of 60,000, becomes the validation split, as in
    google-deepmind/mnist-cluttered (`download_mnist.lua`).

    Raises FileError for a missing file, DataError for a damaged one or one that holds no digits.
    """
    images, labels = _read_digits(Path(folder), "train")
    test = _read_digits(Path(folder), "t10k")
    cut = len(images) - len(images) // 6
    return DigitSplits(Digits(images[:cut], labels[:cut]), Digits(images[cut:], labels[cut:]), test)


def _read_digits(folder: Path, name: str) -> Digits:
    images_path = find_idx(folder, f"{name}-images-idx3-ubyte")
    labels_path = find_idx(folder, f"{name}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE, SIZE) or len(images) == 0:
        raise DataError(
            f"{images_path}: the array is {images.dtype} {images.shape}, expected uint8 (n, {SIZE}, {SIZE})"
        )
    validate_labels(labels, len(images), name=str(labels_path))
    return Digits(images, labels)


def find_idx(folder: Path, name: str) -> Path:
    dotted = name.replace("-idx", ".idx")
    for candidate in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise FileError(f"{folder}: the folder has no file {name}, {dotted}, or either with .gz")


@cache
def load_embedded() -> DigitSplits:
    """The digits that the package carries, read-only. Raises DataError if the installed file is damaged."""
    folder = files("hstn_ref.data")
    about = json.loads((folder / "digits.json").read_text(encoding="utf-8"))
    counts = list(about["splits"].values())  # of train, valid, test
    try:
        content = np.frombuffer(lzma.decompress((folder / "digits.xz").read_bytes()), np.uint8)
    except lzma.LZMAError as error:
        raise DataError(f"{folder / 'digits.xz'}: the file is damaged ({error}); install the package again") from error
    sizes = [size for n in counts for size in (n * SIZE * SIZE, n)]
    if len(content) != sum(sizes):
        raise DataError(f"{folder / 'digits.xz'}: the file holds {len(content)} bytes, expected {sum(sizes)}")
    arrays = iter(np.split(content, np.cumsum(sizes)[:-1]))
    splits = DigitSplits(*(Digits(next(arrays).reshape(n, SIZE, SIZE), next(arrays)) for n in counts))
    if splits.sha256() != about["sha256"]:
        raise DataError(
            f"{folder / 'digits.xz'}: the SHA-256 is {splits.sha256()}, expected {about['sha256']}; "
            "install the package again"
        )
    return splits
