"""1x1 convolutions: each pixel meets itself alone, so the channels of an image are planes as they lie in memory.

A convolution and its gradients are then products of two matrices for each image, and what is left to choose is which
numbers stay in the first-level cache while they meet all the others.
"""

from functools import lru_cache

import numpy as np
from numba import njit, prange

from ...llvm import BITS, BYTES
from ...memory import images_of
from ...simd import LINE, REGISTERS, correlate_tile_and_finish, multiply_tile, tile_width
from ...vectors import transpose
from .parts import count, total

# Filters and vectors of a tile: few vectors, because most of them lie in two cache lines.
BLOCK, WIDE = (8, 3) if REGISTERS == 32 else (4, 3)
NEAR = 40 << 10  # bytes of pixels, with all their channels, that meet all filters before the next do
MANY = 16  # images from which it pays to compute the last pixel apart


def mix_channels(y, x, x_shape, x_step, weight, bias, floor):
    """y = max(weight x + bias, floor) for every pixel; with floor None, for which it is faster, weight x + bias.

    `weight` has the filters in blocks for the tiles, and once more as a matrix (C, K): in one block of all.
    """
    _mix(y.reshape(len(y), -1), x, x_step, weight, bias, floor, *_division(x_shape, len(bias), x.itemsize))


@lru_cache(maxsize=64)
def _division(x_shape, K, itemsize):
    """Where the vectors and the channels of an image begin, and how many pixels are left to be computed apart.

    A square of an odd number is one more than a multiple of 8: a vector for the last pixel would mostly repeat others.
    With few images it would take longer to bring the filters into their order: then the last vector overlaps the one
    before.
    """
    N, C, H, W = x_shape
    lanes = BYTES // itemsize
    rest = H * W % lanes
    apart = rest if N >= MANY and K % lanes == 0 and 8 * rest <= lanes else 0
    last = H * W - apart - lanes
    return np.array([*range(0, last, lanes), last]), np.arange(C) * H * W, apart


@njit(parallel=True, cache=True)
def _mix(y, x, x_step, weight, bias, floor, starts, taps, apart):
    N, K, C, plane = y.shape[0], bias.size, taps.size, y.shape[1] // bias.size
    weight, matrix = weight[: weight.size // 2], weight[weight.size // 2 :]
    images = BLOCK if apart else 1
    for group in prange((N + images - 1) // images):
        first = np.int64(group) * images  # prange counts in unsigned ints
        sums = np.zeros((apart, images * K), x.dtype)
        for p in range(apart):
            _multiply_pixel(sums[p], first, N, x, x_step, plane - apart + p, plane, C, matrix)
        for n in range(first, min(first + images, N)):
            _mix_image(y, n, x, x_step, weight, bias, floor, starts, taps)
            for p in range(apart):
                for k in range(K):
                    total = sums[p, (n - first) * K + k] + bias[k]
                    if floor is not None and total < floor:
                        total = floor
                    y[n, k * plane + plane - apart + p] = total


@njit(cache=True)
def _mix_image(y, n, x, x_step, weight, bias, floor, starts, taps):
    C, K, plane = taps.size, bias.size, y.shape[1] // bias.size
    vectors, lanes = starts.size, BYTES // x.itemsize
    most = max(1, min(WIDE, (NEAR // (C * x.itemsize) - LINE // x.itemsize) // lanes))
    image, result, m = x[n * x_step :], y[n], 0
    while m < vectors:
        columns = tile_width(vectors - m, most)
        for k in range(0, K, BLOCK):
            correlate_tile_and_finish(
                result, k * plane, plane, image, starts, m, taps, 0, C, weight, k * C,
                starts, bias, k, floor, columns, BITS, BLOCK, WIDE,
            )  # fmt: skip
        m += columns


@njit(cache=True)
def _multiply_pixel(sums, first, N, x, x_step, p, plane, C, matrix):
    """The products of pixel p of as many images, from `first` on, as a tile has filters: here the filters are lanes."""
    K, lanes = matrix.size // C, BYTES // x.itemsize
    channels = np.empty(BLOCK * C, x.dtype)
    for i in range(BLOCK):
        at = min(first + i, N - 1) * x_step + p
        for c in range(C):
            channels[i * C + c] = x[at + c * plane]
    k = 0
    while k < K // lanes:
        columns = tile_width(K // lanes - k, WIDE)
        multiply_tile(
            sums, k * lanes, K, channels, 0, C, matrix, k * lanes, K, C, columns, BITS, BLOCK, WIDE
        )  # fmt: skip
        k += columns


def dot_channels(gy, x):
    """The gradient to the filters, (K, C, 1, 1): gy times x, summed over images and pixels."""
    K, C = gy.shape[1], x.shape[1]
    lanes = BYTES // x.itemsize
    padded = -(-C // lanes) * lanes  # whole vectors of channels
    parts = np.empty((min(count(K * padded), len(x)), K * padded), x.dtype)
    gy, _, gy_step = images_of(gy)
    x, (N, _, H, W), x_step = images_of(x)
    _dots(parts, gy, gy_step, x, x_step, N, K, C, H * W)
    return np.ascontiguousarray(total(parts).reshape(K, padded)[:, :C]).reshape(K, C, 1, 1)


@njit(parallel=True, cache=True)
def _dots(parts, gy, gy_step, x, x_step, N, K, C, plane):
    """With the channels of x side by side, one pixel after the other, each tile is a product of two matrices."""
    lanes, pieces = BYTES // x.itemsize, parts.shape[0]
    padded = parts.shape[1] // K
    near = tile_width(plane, max(1, NEAR // (padded * x.itemsize)))
    for piece in prange(pieces):
        piece = np.int64(piece)
        gw, channels = parts[piece], np.zeros(near * padded, x.dtype)
        gw[:] = 0
        for n in range(piece * N // pieces, (piece + 1) * N // pieces):
            for p in range(0, plane, near):
                pixels = min(near, plane - p)
                transpose(channels, 0, padded, x, n * x_step + p, plane, C, pixels)
                for k in range(0, K, BLOCK):
                    c = 0
                    while c < padded // lanes:
                        columns = tile_width(padded // lanes - c, WIDE)
                        multiply_tile(
                            gw, k * padded + c * lanes, padded, gy, n * gy_step + k * plane + p, plane,
                            channels, c * lanes, padded, pixels, columns, BITS, BLOCK, WIDE,
                        )  # fmt: skip
                        c += columns
