"""1x1 convolutions: each pixel meets itself alone, so the channels of an image are planes as they lie in memory.

An image and its result are read and written once and are larger than the first-level cache, and for each number there
is less to do than in other convolutions. So while a few vectors of pixels are computed, those that come next, of all
channels, and the room for their results are fetched.
"""

from functools import lru_cache

import numpy as np
from numba import njit, prange

from ...llvm import BITS, BYTES
from ...memory import images_of
from ...simd import FILTERS, VECTORS, correlate_tile_and_finish, dot_tile, prefetch_rows, tile_width
from ...vectors import copy_vector
from .parts import count, total

NEAR = 2 * VECTORS  # channels that meet all gradients before the next do: they stay in the first-level cache
TOGETHER = 512  # pixels, of a few small images, whose products are added up in registers


def mix_channels(y, x, x_shape, x_step, weight, bias, floor):
    """y = max(weight x + bias, floor) for every pixel, with the filters in the order of tiles."""
    _mix(y.reshape(len(y), -1), x, x_step, weight, bias, floor, *_places(x_shape, x.itemsize))


@lru_cache(maxsize=64)
def _places(x_shape, itemsize):
    """Where the vectors and the channels of an image begin."""
    _, C, H, W = x_shape
    starts = [*range(0, H * W - BYTES // itemsize, BYTES // itemsize), H * W - BYTES // itemsize]
    return np.array(starts), np.arange(C) * H * W


@njit(parallel=True, cache=True)
def _mix(y, x, x_step, weight, bias, floor, starts, taps):
    C, K, plane = taps.size, bias.size, y.shape[1] // bias.size
    vectors = starts.size
    pairs = (C * FILTERS + 2 * K - 1) // (2 * K)  # of channels, for each tile: all of them in one round of k
    for n in prange(y.shape[0]):
        n = np.int64(n)
        image, result, after = x[n * x_step :], y[n], min(n + 1, y.shape[0] - 1)
        x_after, y_after = x[after * x_step :], y[after]
        m = 0
        while m < vectors:
            columns = tile_width(vectors - m, VECTORS)
            ahead = m + columns
            x_next, y_next, start = x_after, y_after, np.int64(0)
            if ahead < vectors:
                x_next, y_next, start = image, result, starts[ahead]
            c = 0
            for k in range(0, K, FILTERS):
                prefetch_rows(y_next, k * plane + start, plane, 1, BITS, FILTERS, VECTORS)
                for _ in range(pairs):
                    prefetch_rows(x_next, c * plane + start, plane, 0, BITS, 2, VECTORS)
                    c += 2
                correlate_tile_and_finish(
                    result, k * plane, plane, image, starts, m, taps, 0, C, weight, k * C,
                    starts, bias, k, floor, columns, BITS, FILTERS, VECTORS,
                )  # fmt: skip
            m = ahead


def dot_channels(gy, x):
    """The gradient to the filters, (K, C, 1, 1): gy times x, summed over images and pixels."""
    K, C = gy.shape[1], x.shape[1]
    parts = np.empty((min(count(K * C), len(x)), K * C + BYTES // x.itemsize), x.dtype)
    gy, _, gy_step = images_of(gy)
    x, (N, _, H, W), x_step = images_of(x)
    _dots(parts, gy, gy_step, x, x_step, N, K, C, H * W)
    gw = total(parts)[: K * C].reshape(-1, C, FILTERS).swapaxes(1, 2)
    return np.ascontiguousarray(gw).reshape(K, C, 1, 1)


@njit(parallel=True, cache=True)
def _dots(parts, gy, gy_step, x, x_step, N, K, C, plane):
    lanes, pieces = BYTES // x.itemsize, parts.shape[0]
    vectors, together = (plane + lanes - 1) // lanes, max(1, TOGETHER // plane)
    starts = np.empty(together * vectors, np.int64)
    for m in range(starts.size):
        starts[m] = m // vectors * x_step + min(m % vectors * lanes, plane - lanes)
    taps = np.arange(C) * plane
    for piece in prange(pieces):
        piece = np.int64(piece)
        gw, gradients = parts[piece], np.empty(together * vectors * K * lanes, x.dtype)
        gw[:] = 0
        end = (piece + 1) * N // pieces
        for n in range(piece * N // pieces, end, together):
            images = min(together, end - n)
            _gather(gradients, gy, n * gy_step, gy_step, images, K, plane, vectors, lanes)
            pixels, M = x[n * x_step :], images * vectors
            for near in range(0, C, NEAR):
                for k in range(0, K, FILTERS):
                    c, stop = near, min(near + NEAR, C)
                    while c < stop:
                        columns = tile_width(stop - c, VECTORS)
                        dot_tile(
                            gw, k * C + c * FILTERS, gradients, k * M * lanes, pixels, starts, M, taps, c,
                            columns, BITS, FILTERS, VECTORS,
                        )  # fmt: skip
                        c += columns


@njit(cache=True)
def _gather(gradients, gy, at, gy_step, images, K, plane, vectors, lanes):
    """The vectors of a few images of gy in the order of tiles: [filter block][image, m][filter][lane].

    The last vector of a channel overlaps the one before; what both hold is zero there.
    """
    zero, least, twice = gy.dtype.type(0), gy.dtype.type(-np.inf), vectors * lanes - plane
    to = 0
    for block in range(0, K, FILTERS):
        for i in range(images):
            for m in range(vectors):
                for k in range(block, block + FILTERS):
                    pixel = min(m * lanes, plane - lanes)
                    copy_vector(gradients, to, gy, at + i * gy_step + k * plane + pixel, zero, least, BITS)
                    if m == vectors - 1:
                        gradients[to : to + twice] = zero
                    to += lanes
