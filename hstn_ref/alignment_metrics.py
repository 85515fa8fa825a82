"""What an alignment is judged by, in NumPy and float64.

    I'(p)   the image after alignment, I(p) the one it should be, C channels, grey levels 0..255
    w, w*   the motion found and the true one, pixels

    image_epe   mean_p  |I'(p) - I(p)|    Euclidean over the channels: the "EPE" that section 4.2 defines  (1)
    flow_epe    mean_p  |w(p) - w*(p)|    the usual endpoint error                                        (2)
    folding     share of squares between pixels in which a motion folds: motion.folding_fraction

The paper averages over "the central part" of the images without saying how large it is: `part` of both sides, 0.75
unless told. In (1) two motions that differ where the image is flat are equal, in (2) they are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PART = 0.75


@dataclass(frozen=True)
class Metrics:
    """How an alignment network does on pairs whose motion is known; means over the pairs, in the central part."""

    image_epe: float  # grey levels
    flow_epe: float  # pixels
    flow_epe_median: float
    share_below_1: float  # of pairs with a flow_epe below 1 pixel
    folding: float
    loss: float  # what training minimises
    images_per_second: float  # pairs


def central(images: np.ndarray, part: float = PART) -> np.ndarray:
    """The middle of the last two axes, `part` of each, at least a pixel: (..., H, W) -> (..., h, w), a view.

    Raises ValueError unless 0 < part <= 1.
    """
    if not 0 < part <= 1:
        raise ValueError(f"central: part is {part}, expected 0 < part <= 1")
    H, W = images.shape[-2:]
    rows, columns = (min(round(n * (1 - part) / 2), (n - 1) // 2) for n in (H, W))
    return images[..., rows : H - rows, columns : W - columns]


def image_epe(images: np.ndarray, targets: np.ndarray, *, part: float = PART) -> np.ndarray:
    """(1) for images (N, C, H, W) in the central part: (N,) grey levels.

    Images are uint8, 0..255, or floating, 0..1. Raises ValueError for shapes that differ.
    """
    _check("image_epe", images, targets)
    difference = central(_grey_levels(images) - _grey_levels(targets), part)
    return np.sqrt(np.sum(difference**2, axis=1)).mean(axis=(1, 2))  # (1)


def flow_epe(motions: np.ndarray, truth: np.ndarray, *, part: float = PART) -> np.ndarray:
    """(2) for motions (N, 2, H, W) in the central part: (N,) pixels. Raises ValueError for shapes that do not fit."""
    _check("flow_epe", motions, truth, channels=2)
    difference = central(motions.astype(np.float64) - truth, part)
    return np.hypot(difference[:, 0], difference[:, 1]).mean(axis=(1, 2))  # (2)


def share_below(errors: np.ndarray, limit: float = 1.0) -> float:
    """The share of errors below `limit`: with flow_epe, of pairs that were aligned to better than a pixel."""
    return float(np.mean(np.asarray(errors) < limit))


def _grey_levels(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float64) * (1 if images.dtype == np.uint8 else 255)


def _check(name: str, a: np.ndarray, b: np.ndarray, channels: int | None = None) -> None:
    expected = f"(N, {channels or 'C'}, H, W) twice"
    if a.shape != b.shape or a.ndim != 4 or a.size == 0 or (channels and a.shape[1] != channels):
        raise ValueError(f"{name}: {a.shape} and {b.shape}, expected {expected}")
