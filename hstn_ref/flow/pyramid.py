"""Images and motions from level to level of a pyramid. Pixel centres stay aligned: x becomes (x + 1/2) s - 1/2."""

from __future__ import annotations

import numpy as np
from PIL import Image


def sizes(shape: tuple[int, int], eta: float, coarsest: int) -> list[tuple[int, int]]:
    """The sizes (H, W) of all levels, coarse to fine: round(eta^k shape) while both sides have `coarsest` pixels."""
    levels = [shape]
    while True:
        size = tuple(round(side * eta ** len(levels)) for side in shape)
        if min(size) < coarsest:
            return levels[::-1]
        levels.append((size[0], size[1]))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """image (C, h, w) -> (C, H, W) float32, bicubic; on the way down the kernel widens, so that nothing aliases."""
    planes = [Image.fromarray(p).resize(size[::-1], Image.Resampling.BICUBIC) for p in image.astype(np.float32)]
    return np.stack([np.asarray(plane) for plane in planes])


def resize_motion(motion: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """motion (2, h, w) -> (2, H, W) float32, bilinear, in pixels of the new size."""
    (h, w), (H, W) = motion.shape[1:], size
    u, v = (Image.fromarray(p).resize((W, H), Image.Resampling.BILINEAR) for p in motion.astype(np.float32))
    return np.stack([np.asarray(u) * np.float32(W / w), np.asarray(v) * np.float32(H / h)])
