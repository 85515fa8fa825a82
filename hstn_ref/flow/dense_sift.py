"""A SIFT descriptor at every pixel, for sift_flow.

    g        the gradient; of a colour image, at every pixel that of the channel where it is longest
    band_k   |g| max(0, cos(angle of g - 2 pi k / 8))^9,   k = 0 .. 7                                      (1)
    cell_k   band_k summed over 3x3 pixels with soft ends: weights (1/4, 1, 1, 1, 1/4) along x and along y   (2)
    raw(p)   cell_k(p + 3 (i, j)),   i, j = -1, 0, 1, 2, positions clamped to the image: 4 x 4 x 8 = 128     (3)
    s(p)     floor( 255 raw / (|raw| + 0.01) )                                                             (4)

No window, no rotation and no clipping as in Lowe's SIFT. The 0.01 belongs to images between 0 and 1: it keeps flat
regions flat.

Source: Liu, Yuen and Torralba (2011), section 2.1.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from hstn_ref.flow.variational import derivative

BINS = 8
CELL = 3  # pixels
CELLS = np.array([-1, 0, 1, 2])
SHARPNESS = 9
SOFT_BOX = np.array([0.25, 1, 1, 1, 0.25])
STRIP = 32  # rows that (3) and (4) are computed for at a time: of all at once, raw would be the largest array by far


def dense_sift(image: np.ndarray) -> np.ndarray:
    """Descriptors (H, W, 128) uint8 of image (C, H, W), values 0..1: equations (1) to (4)."""
    x, y = derivative(image, 2), derivative(image, 1)
    strongest = np.argmax(np.hypot(x, y), axis=0)[None]
    x, y = (np.take_along_axis(d, strongest, axis=0)[0] for d in (x, y))
    length = np.hypot(x, y)
    angles = (2 * np.pi * np.arange(BINS).reshape(-1, 1, 1) / BINS).astype(image.dtype)
    along = np.cos(angles) * x + np.sin(angles) * y  # |g| cos(difference of the angles)
    cosine = np.divide(along, length, out=np.zeros_like(along), where=length > 0)
    bands = length * np.maximum(cosine, 0) ** SHARPNESS  # (1)
    cells = bands
    for axis in (2, 1):
        cells = correlate1d(cells, SOFT_BOX, axis, mode="nearest")  # (2)
    cells = np.ascontiguousarray(cells.transpose(1, 2, 0))  # (8, H, W) -> (H, W, 8)
    H, W, _ = cells.shape
    rows, columns = (np.clip(np.arange(n)[:, None] + CELL * CELLS, 0, n - 1) for n in (H, W))
    s = np.empty((H, W, len(CELLS) ** 2 * BINS), np.uint8)
    for top in range(0, H, STRIP):
        strip = rows[top : top + STRIP]
        raw = cells[strip[:, None, :, None], columns[None, :, None, :]].reshape(len(strip), W, -1)  # (3)
        norm = np.sqrt(np.sum(raw * raw, axis=-1, keepdims=True))
        s[top : top + STRIP] = np.floor(255 * raw / (norm + 0.01))  # (4)
    return s
