"""1x1 convolutions: each pixel meets itself alone, so the channels of an image are planes as they lie in memory.

An image and its result are read and written once and are larger than the first-level cache, and for each number there
is less to do than in other convolutions. So while one image is computed, the next one and the room for its result are
fetched into the second-level cache.
"""

from functools import lru_cache

import numpy as np
from numba import njit, prange

from ...simd import BITS, BYTES, FILTERS, VECTORS, correlate_tile_and_finish, prefetch
from .layout import LINE


def mix_channels(y, x, x_shape, x_step, weight, bias, floor):
    """y = max(weight x + bias, floor) for every pixel, with the filters in the order of tiles."""
    _mix(y.reshape(len(y), -1), x, x_step, weight, bias, floor, *_places(x_shape, x.itemsize))


@lru_cache(maxsize=64)
def _places(x_shape, itemsize):
    """Where the vectors and the channels of an image begin."""
    _, C, H, W = x_shape
    starts = [*range(0, H * W - BYTES // itemsize, BYTES // itemsize), H * W - BYTES // itemsize]
    starts += starts[-1:] * (-len(starts) % VECTORS)  # the last overlaps the one before, and fills the tile
    return np.array(starts), np.arange(C) * H * W


@njit(parallel=True, cache=True)
def _mix(y, x, x_step, weight, bias, floor, starts, taps):
    C, K, plane = taps.size, bias.size, y.shape[1] // bias.size
    tiles = starts.size // VECTORS * (K // FILTERS)
    for n in prange(y.shape[0]):
        n = np.int64(n)
        image, result, after = x[n * x_step :], y[n], min(n + 1, y.shape[0] - 1)
        x_next, y_next = x[after * x_step :], y[after]
        x_part, y_part = (C * plane + tiles - 1) // tiles, (K * plane + tiles - 1) // tiles
        x_at = y_at = 0
        for m in range(0, starts.size, VECTORS):
            for k in range(0, K, FILTERS):
                for i in range(x_at, x_at + x_part, LINE):
                    prefetch(x_next, i, 0)
                for i in range(y_at, y_at + y_part, LINE):
                    prefetch(y_next, i, 1)
                x_at, y_at = x_at + x_part, y_at + y_part
                correlate_tile_and_finish(
                    result, k * plane, plane, image, starts, m, taps, 0, C, weight, k * C,
                    starts, bias, k, floor, BITS, FILTERS, VECTORS,
                )  # fmt: skip
