"""What the flows accept: two images, or two batches of them, brought to one form; and how they say how far they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Progress = Callable[[int, int], None]  # work done, all work of the pair


def counter(progress: Progress | None, total: int) -> Callable[[int], None]:
    """advance(work): adds up the work on a pair and tells `progress`."""
    done = 0

    def advance(work: int) -> None:
        nonlocal done
        done += work
        if progress is not None:
            progress(done, total)

    return advance


def each_pair(
    name: str,
    source: Any,
    target: Any,
    smallest: int,
    estimate: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    largest: int | None = None,
) -> np.ndarray:
    """estimate(source, target) for every pair: motions (N, 2, H, W) of batches, (2, H, W) of single images, float32.

    Images are (H, W), (C, H, W) or (N, C, H, W), C = 1 or 3, of any real dtype and in any unit: `estimate` gets
    (C, H, W) float32, stretched so that the smallest value of the pair is 0 and the largest 255. `smallest` is the
    least height and width, `largest` the greatest number of pixels, where memory bounds it. Raises ValueError and
    TypeError, as `name`, for anything else.
    """
    source, target = np.asarray(source), np.asarray(target)
    for side, images in (("source", source), ("target", target)):
        if images.dtype.kind not in "uif":
            raise TypeError(f"{name}: {side} is {images.dtype}, expected real numbers")
    if source.shape != target.shape:
        raise ValueError(f"{name}: source {source.shape} and target {target.shape}, expected the same shape")
    if source.ndim not in (2, 3, 4) or (source.ndim > 2 and source.shape[-3] not in (1, 3)):
        raise ValueError(f"{name}: images {source.shape}, expected (H, W), (C, H, W) or (N, C, H, W) with C = 1 or 3")
    if min(source.shape[-2:]) < smallest:
        raise ValueError(f"{name}: images {source.shape}, expected at least {smallest} x {smallest} pixels")
    H, W = source.shape[-2:]
    if largest is not None and H * W > largest:
        raise ValueError(
            f"{name}: images {source.shape} have {H * W:,} pixels, expected at most {largest:,}, for which it takes "
            "4 GB of memory; use brox, which takes less"
        )
    shape = (-1, *(1,) * (3 - min(source.ndim, 3)), *source.shape[-3:])
    sources, targets = source.reshape(shape), target.reshape(shape)
    for side, images in (("source", sources), ("target", targets)):
        for n, image in enumerate(images):
            if not np.isfinite(image).all():
                raise ValueError(f"{name}: image {n} of the {side} has NaN or infinity, expected finite numbers")
            if image.min() == image.max():
                raise ValueError(f"{name}: image {n} of the {side} is constant, expected something to match")
    motions = [estimate(*_stretched(s, t)) for s, t in zip(sources, targets, strict=True)]
    motion = np.array(motions, np.float32).reshape(len(motions), 2, *source.shape[-2:])
    return motion if source.ndim == 4 else motion[0]


def _stretched(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both images in float32 from 0 to 255, by one linear map."""
    low = float(min(source.min(), target.min()))
    high = float(max(source.max(), target.max()))
    s, t = (((image.astype(np.float64) - low) * (255 / (high - low))).astype(np.float32) for image in (source, target))
    return s, t
