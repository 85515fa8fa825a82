"""Pairs of images to train an alignment with, made when they are asked for: no labels are needed.

    I     an image, p a pixel (x, y) of the pair
    c, z  centre and zoom of a window in I, at random; m the centre of the pair
    Q     mirror and quarter turns, at random: one of the eight symmetries of a square, of the four of a rectangle
    w     an affine plus elastic motion, at random, that does not fold: deformations.py

    source(p) = I(c + z Q (p - m))                                                                         (1)
    target(p) = I(c + z Q (p + w(p) - m)) ~ source(p + w(p))                                               (2)

Both are one interpolation of I, of which there are copies of half, quarter, ... size, so that a pixel of the pair is
about one of I. Beyond the edge of I its border pixels go on. Pair n of epoch e follows from (seed, stream, e, n) alone.
Where nothing can be seen, as in a margin that is all white, nothing can be aligned: such a pair is drawn again, with c
where grey levels change, or as near as the window stays in I.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from autodiff import Tensor, no_grad
from autodiff.ops import bilinear_sample
from hstn_ref.data.checks import natural, validate_indices
from hstn_ref.data.datasets import DataSplits, unit_range
from hstn_ref.data.deformations import Deformation, random_field
from hstn_ref.data.images import each_image, load_photographs, to_eight_bits, to_grey
from hstn_ref.data.opening import EMBEDDED
from hstn_ref.errors import DataError, DataTypeError
from hstn_ref.motion.coordinates import pixel_positions

SMALLEST = 8  # pixels, height and width of a pair
LARGEST = 4  # the largest zoom: an image is kept no larger than it needs
HELD_OUT = 0.1  # the share of the images that validation gets, and the test: none of them is trained with
FEW = 20  # fewer images serve all three: one or two that are held out say little
DRAWS = 100  # of a pair, until something can be seen in both windows
FAINT = 1e-5  # of 1, contrast that is rounding: a four-hundredth of a grey level

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # source and target (B, C, H, W) float32 in [0, 1], motion


class ImagePairs:
    """`count` random pairs from images (C, h, w) uint8, all of the same C: see above.

    With `fresh` every epoch has other pairs, otherwise all have those of epoch 0.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        image_size: tuple[int, int],
        count: int,
        *,
        seed: int = 0,
        stream: int = 0,
        fresh: bool = False,
        deformation: Deformation | None = None,
    ) -> None:
        if count < 1 or len(images) == 0:
            raise DataError(f"pairs: {count} pairs from {len(images)} images, expected at least one of each")
        for n, image in enumerate(images):
            if image.dtype != np.uint8:
                raise DataTypeError(f"pairs: image {n} is {image.dtype}, expected uint8")
        self.image_size = _checked(image_size)
        self._copies = [_copies(image, self.image_size) for image in images]
        self._count, self._fresh = count, fresh
        self._seed, self._stream = natural(seed, name="seed"), natural(stream, name="stream")
        self._deformation = deformation or Deformation()
        self._grid = pixel_positions(self.image_size).astype(np.float32)

    def __len__(self) -> int:
        return self._count

    def batch(self, indices: ArrayLike, epoch: int = 0) -> Pairs:
        """(source, target, motion) of B > 0 indices, in any order, repeated or not.

        motion (B, 2, H, W) float32 is the true one, in pixels: target(p) ~ source(p + motion(p)). Raises DataError or
        DataTypeError for indices that are no integers of 0..len-1, DataError where there is nothing to be seen.
        """
        epoch = natural(epoch, name="epoch") if self._fresh else 0
        order = validate_indices(indices, len(self)).tolist()
        rngs = [np.random.default_rng([self._seed, self._stream, epoch, n]) for n in order]
        drawn = self._draw(rngs, aimed=False)
        for _ in range(DRAWS):
            blank = np.flatnonzero(_is_blank(drawn[0]) | _is_blank(drawn[1]))
            if len(blank) == 0:
                return drawn
            for array, again in zip(drawn, self._draw([rngs[b] for b in blank], aimed=True), strict=True):
                array[blank] = again
        raise DataError(
            f"pairs: pair {order[blank[0]]} was drawn {DRAWS} times and shows one grey level alone, expected images "
            "with more to be seen"
        )

    def _draw(self, rngs: Sequence[np.random.Generator], *, aimed: bool) -> Pairs:
        """The next pair of each generator, anywhere or aimed at where grey levels change."""
        plans = [self._plan(rng, aimed) for rng in rngs]
        sources = _read([(image, at) for image, at, _, _ in plans])  # (1)
        targets = _read([(image, at + np.tensordot(zQ, w, 1)) for image, at, zQ, w in plans])  # (2)
        return sources, targets, np.stack([w for _, _, _, w in plans])

    def _plan(self, rng: np.random.Generator, aimed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """I (C, h, w), the positions (2, H, W) of (1), the matrix z Q, the motion w (2, H, W)."""
        copies = self._copies[rng.integers(len(self._copies))]
        largest = _zoom(copies[0], self.image_size)
        zoom = min(1.0, largest) * max(1.0, largest) ** rng.random()
        while len(copies) > 1 and zoom > np.sqrt(2):  # zoom is now of the next copy, of half the size
            copies, zoom = copies[1:], zoom / 2
        H, W = self.image_size
        _, h, w = copies[0].shape
        Q = np.diag(rng.choice([-1, 1], 2))
        if H == W and rng.random() < 0.5:
            Q = Q[::-1]
        middle, end = np.array([W - 1, H - 1]) / 2, np.array([w - 1, h - 1])
        reach = np.maximum(0, end / 2 - zoom * middle)
        c = end / 2 + reach * rng.uniform(-1, 1, 2)
        if aimed and len(places := _changes(copies[0])):
            c = np.clip(places[rng.integers(len(places))], end / 2 - reach, end / 2 + reach)
        field = random_field(self.image_size, rng, self._deformation, margin=0)
        at = c.reshape(2, 1, 1) + np.tensordot(zoom * Q, self._grid - middle.reshape(2, 1, 1), 1)
        return copies[0], at, zoom * Q, field.at_pixels().astype(np.float32)


def open_pairs(
    spec: str | os.PathLike[str] = EMBEDDED,
    *,
    size: tuple[int, int] = (64, 64),
    channels: int = 1,
    pairs: int = 2000,
    seed: int = 0,
    fresh: bool = True,
    deformation: Deformation | None = None,
) -> DataSplits:
    """Pairs of `size` (H, W), grey or colour, from a folder of images or from the "embedded" photographs.

    An epoch of training has so many `pairs`, validation and test an eighth each, which never change. A tenth of the
    images each, drawn by the seed, is kept for validation and for the test alone; fewer than twenty images serve all
    three, in other pairs. Greys of 16 bits are stretched to 8, each image from its darkest pixel to its brightest.

    Raises FileError for a folder that is missing or has no images, DataError for channels other than 1 and 3, for an
    image that is constant or a line of single pixels, and what `read_image` raises.
    """
    if channels not in (1, 3):
        raise DataError(f"pairs: {channels} channels, expected 1 (grey) or 3 (colour)")
    size = _checked(size)
    digest, images = hashlib.sha256(), []
    named: Iterable[tuple[str, np.ndarray]] = load_photographs().items() if spec == EMBEDDED else each_image(spec)
    for name, image in named:
        _check_image(image, f"{spec}/{name}")
        digest.update(repr(image.shape).encode() + image.tobytes())
        image = to_eight_bits(image)
        image = to_grey(image) if channels == 1 else np.broadcast_to(image, (3, *image.shape[1:]))
        images.append(_shrunk(image, size))
    order = np.random.default_rng(natural(seed, name="seed")).permutation(len(images))
    held = round(HELD_OUT * len(images)) if len(images) >= FEW else 0
    ends = [0, held, 2 * held, len(images)]
    test, valid, train = ([images[i] for i in order[a:b]] for a, b in pairwise(ends))
    fewer = max(1, pairs // 8)
    splits = (
        ImagePairs(
            part or images, size, count, seed=seed, stream=stream, fresh=fresh and stream == 0, deformation=deformation
        )
        for stream, (part, count) in enumerate(((train, pairs), (valid, fewer), (test, fewer)))
    )
    attributes: dict[str, str | int] = {
        "kind": "pairs of images",
        "generator": "hstn_ref.data.pairs 1",
        "seed": seed,
        "images": len(images),
        "held_out": 2 * held,
        "images_sha256": digest.hexdigest(),
        "deformation": str(deformation or Deformation()),
    }
    train_pairs, valid_pairs, test_pairs = splits
    return DataSplits(train_pairs, valid_pairs, test_pairs, attributes)


def _checked(size: Sequence[int]) -> tuple[int, int]:
    H, W = (int(side) for side in size)
    if min(H, W) < SMALLEST:
        raise DataError(f"pairs: images of {H}x{W} pixels, expected at least {SMALLEST}x{SMALLEST}")
    return H, W


def _check_image(image: np.ndarray, path: str) -> None:
    """Raise DataError for an image (C, h, w) of which no window shows anything."""
    _, h, w = image.shape
    if min(h, w) < 2:
        raise DataError(f"{path}: the image has {w}x{h} pixels, expected at least 2x2")
    if _is_blank(image[None]).all():
        raise DataError(f"{path}: the image is constant, expected something to be seen")


def _is_blank(images: np.ndarray) -> np.ndarray:
    """Which of B images (B, C, H, W) are constant in every channel, (B,): in [0, 1] but for rounding."""
    return np.ptp(images, axis=(2, 3)).max(axis=1) <= FAINT


def _changes(image: np.ndarray) -> np.ndarray:
    """The pixels (K, 2), x first, of an image (C, h, w) that differ from the next one to the right or below."""
    changes = np.zeros(image.shape[1:], bool)
    for axis, rest in ((1, np.s_[:-1, :]), (2, np.s_[:, :-1])):
        changes[rest] |= np.diff(image, axis=axis).any(axis=0)
    return np.argwhere(changes)[:, ::-1]


def _zoom(image: np.ndarray, size: tuple[int, int]) -> float:
    """The zoom of the largest window of an image (C, h, w)."""
    return min((n - 1) / (m - 1) for n, m in zip(image.shape[1:], size, strict=True))


def _shrunk(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image, no larger than for a zoom of LARGEST; uint8."""
    factor = LARGEST / _zoom(image, size)
    return image if factor >= 1 else _resized(image, factor)


def _resized(image: np.ndarray, factor: float) -> np.ndarray:
    from hstn_ref.flow.pyramid import resize

    _, h, w = image.shape
    small = resize(image, (max(2, round(factor * h)), max(2, round(factor * w))))
    return np.rint(small).clip(0, 255).astype(np.uint8)


def _copies(image: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The image and its halves, down to the last that has more than a window."""
    copies = [np.ascontiguousarray(image)]
    while _zoom(copies[-1], size) > np.sqrt(2):
        copies.append(_resized(copies[-1], 0.5))
    return copies


def _read(wanted: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """B images (C, h, w) uint8, each at its positions (2, H, W): (B, C, H, W) float32 in [0, 1].

    Only what is read of them is copied, and all are sampled in one go.
    """
    parts, places = [], []
    for image, positions in wanted:
        at = np.clip(positions, 0, np.reshape(image.shape[:0:-1], (2, 1, 1)) - 1)  # beyond the edge its pixels go on
        left, top = at.min(axis=(1, 2)).astype(int)
        right, bottom = at.max(axis=(1, 2)).astype(int) + 2
        parts.append(image[:, top:bottom, left:right])
        places.append(at - np.reshape([left, top], (2, 1, 1)))
    size = np.max([part.shape for part in parts], axis=0)
    levels = np.zeros((len(parts), *size), np.uint8)
    for room, part in zip(levels, parts, strict=True):
        room[:, : part.shape[1], : part.shape[2]] = part
    motions = (np.stack(places) - pixel_positions(places[0].shape[1:])).astype(np.float32)
    with no_grad():
        return bilinear_sample(Tensor(unit_range(levels)), Tensor(motions)).data
