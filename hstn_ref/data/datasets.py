"""What training and evaluation read: images and labels by index, whatever they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from hstn_ref.data.checks import CLASSES, natural, validate_finite, validate_indices, validate_labels
from hstn_ref.data.clutter import Clutter, Draws, canvases, draw, permutation, starts
from hstn_ref.errors import DataError, DataTypeError
from hstn_ref.plain import plain

Batch = tuple[np.ndarray, np.ndarray]  # images (B, 1, H, W) float32 in [0, 1]; labels (B,) int64
AnyBatch = tuple[np.ndarray, ...]  # a Batch, or source, target and motion of pairs.py


class Dataset(Protocol):
    """Any source of labelled images, or of pairs of images."""

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        ...

    def __len__(self) -> int: ...

    def batch(self, indices: ArrayLike, epoch: int = 0) -> AnyBatch:
        """The images and labels, or the pairs, of B > 0 indices, in any order, repeated or not.

        `epoch` matters where the images are made anew in each, and is otherwise without effect. The arrays belong to
        the caller until the next batch is asked for. Raises
        DataError (a ValueError) or DataTypeError (a TypeError) for indices that are no integers of 0..len-1.
        """
        ...


@dataclass(frozen=True)
class DataSplits:
    """The three parts of a data set, and what is known of its origin (generator, seed, checksum...)."""

    train: Dataset
    valid: Dataset
    test: Dataset
    attributes: Mapping[str, str | int]

    def __post_init__(self) -> None:
        sizes = {name: split.image_size for name, split in self.items()}
        if len(set(sizes.values())) > 1:
            raise DataError(f"data: the splits have images of different sizes, {sizes}")
        object.__setattr__(self, "attributes", plain(self.attributes))

    @property
    def image_size(self) -> tuple[int, int]:
        return self.train.image_size

    def first(self, count: int) -> DataSplits:
        """The same with the first `count` images of each split, fewer where a split has fewer.

        Of cluttered digits that are fresh in every epoch: the first of the epoch, whose digits come in another order
        each time.
        """
        train, valid, test = (First(split, count) for _, split in self.items())
        return DataSplits(train, valid, test, {**self.attributes, "only_the_first": count})

    def items(self) -> Iterator[tuple[str, Dataset]]:
        yield from (("train", self.train), ("valid", self.valid), ("test", self.test))


class ArrayDataset:
    """Images in memory: (n, H, W), uint8 grey levels or float32 in [0, 1], with labels (n,) in 0..classes-1."""

    def __init__(self, images: np.ndarray, labels: ArrayLike, *, classes: int = CLASSES, name: str = "data") -> None:
        images, labels = np.asarray(images), np.asarray(labels)
        if images.dtype not in (np.uint8, np.float32):
            raise DataTypeError(f"{name}: images are {images.dtype}, expected uint8 or float32")
        if images.ndim != 3 or images.size == 0:
            raise DataError(f"{name}: images have the shape {images.shape}, expected (n, H, W), none of them 0")
        validate_labels(labels, len(images), classes=classes, name=f"{name}: labels")
        if images.dtype == np.float32:
            validate_finite(images, name=f"{name}: images")
            if images.min() < 0 or images.max() > 1:
                raise DataError(f"{name}: images span {images.min()}..{images.max()}, expected values in 0..1")
        self._images, self._labels = images, labels

    @property
    def image_size(self) -> tuple[int, int]:
        return self._images.shape[1], self._images.shape[2]

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, indices: ArrayLike, epoch: int = 0) -> Batch:
        indices = validate_indices(indices, len(self))
        images = self._images[indices]
        if images.dtype == np.uint8:
            images = unit_range(images)
        return images[:, None], self._labels[indices].astype(np.int64)


class ClutteredDigits:
    """Digits (n, h, w) uint8 among clutter, n canvases painted when asked for: see clutter.py.

    With `fresh` every epoch has other canvases, each digit once; without, all epochs have those of epoch 0.
    Data sets with the same seed and another `stream` are independent.
    """

    def __init__(
        self,
        digits: np.ndarray,
        labels: np.ndarray,
        *,
        seed: int,
        stream: int = 0,
        fresh: bool = False,
        clutter: Clutter | None = None,
    ) -> None:
        if digits.dtype != np.uint8:
            raise DataTypeError(f"cluttered digits: digits are {digits.dtype}, expected uint8")
        if digits.ndim != 3 or digits.size == 0:
            raise DataError(f"cluttered digits: digits have the shape {digits.shape}, expected (n, h, w), none 0")
        validate_labels(labels, len(digits), name="cluttered digits: labels")
        self._clutter = clutter or Clutter()
        self._clutter.check_digit(digits.shape[1:])
        self._digits, self._labels, self._fresh = np.ascontiguousarray(digits), labels, fresh
        self._seed, self._stream = natural(seed, name="seed"), natural(stream, name="stream")
        self._of_epoch = self._begun(0)  # one attribute: threads may ask for batches of different epochs

    @property
    def image_size(self) -> tuple[int, int]:
        return self._clutter.canvas

    def __len__(self) -> int:
        return len(self._digits)

    def batch(self, indices: ArrayLike, epoch: int = 0) -> Batch:
        draws = self._draws(indices, epoch)
        levels = canvases(self._digits, draws, self._clutter)
        return unit_range(levels)[:, None], self._labels[draws.digit].astype(np.int64)

    def middles(self, indices: ArrayLike, epoch: int = 0) -> np.ndarray:
        """Where the middles of the digits are on the canvases of `batch`, which no network is told: (B, 2), (y, x)."""
        size = np.array(self._digits.shape[1:])
        return self._draws(indices, epoch).corner + (size - 1) / 2

    def _draws(self, indices: ArrayLike, epoch: int) -> Draws:
        epoch = natural(epoch, name="epoch") if self._fresh else 0
        begun = self._of_epoch
        if epoch != begun[0]:
            self._of_epoch = begun = self._begun(epoch)
        _, start, order = begun
        indices = validate_indices(indices, len(self))
        return draw(start, order, indices, self._digits.shape[1:], self._clutter)

    def _begun(self, epoch: int) -> tuple[int, np.uint64, np.ndarray]:
        """The epoch, where its random numbers start, and the order of its digits."""
        order_start, start = starts(self._seed, self._stream, epoch)
        return epoch, start, permutation(order_start, len(self))


class First:
    """The first `count` images of a data set, all if it has fewer."""

    def __init__(self, dataset: Dataset, count: int) -> None:
        self._dataset, self._count = dataset, min(natural(count, name="count"), len(dataset))

    @property
    def image_size(self) -> tuple[int, int]:
        return self._dataset.image_size

    def __len__(self) -> int:
        return self._count

    def batch(self, indices: ArrayLike, epoch: int = 0) -> AnyBatch:
        return self._dataset.batch(validate_indices(indices, len(self)), epoch)


def unit_range(levels: np.ndarray) -> np.ndarray:
    """Grey levels 0..255 as float32 in [0, 1]: the nearest number to level / 255."""
    return np.divide(levels, np.float32(255), dtype=np.float32)
