"""Max-pooling in Numba: equations (1), (3), (4) and names from reference.py.

Each thread owns whole planes (n, c). Windows of 2 x 2 with stride 2, the only ones in the paper's networks,
have a loop of their own, without bounds to test.
"""

import numpy as np
from numba import njit, prange

from ...llvm import BITS, BYTES
from ...vectors import HALF, argmax_2x2_vector
from . import reference

FEW = 1 << 15  # pixels that one thread reads as fast as several


def argmax(x, size, stride, padding, rectify=False):
    x = np.ascontiguousarray(x)
    positions = np.empty((*x.shape[:2], *reference.out_shape(x.shape[2:], size, stride, padding)), np.int32)
    y = np.empty(positions.shape, x.dtype)
    floor = x.dtype.type(0 if rectify else -np.inf)
    if size == stride == (2, 2) and padding == ((0, 0), (0, 0)):
        _argmax_2x2(x, floor, positions, y)
    else:
        (top, _), (left, _) = padding
        _argmax(x, *size, *stride, top, left, floor, positions, y)
    return positions, y


def gather(x, positions):
    return _gather(np.ascontiguousarray(x), positions)


def scatter(g, positions, plane_shape):
    return _scatter(np.ascontiguousarray(g), positions, *plane_shape)


@njit(parallel=True, cache=True)
def _argmax(x, U, V, s, t, top, left, floor, positions, y):
    N, C = x.shape[:2]
    for nc in prange(N * C):
        n, c = nc // C, nc % C
        _argmax_plane(x[n, c], U, V, s, t, top, left, floor, positions[n, c], y[n, c])


@njit(cache=True)
def _argmax_plane(x, U, V, s, t, top, left, floor, positions, y):
    (H, W), (I, J) = x.shape, y.shape
    for i in range(I):
        for j in range(J):
            h0, w0 = max(s * i - top, 0), max(t * j - left, 0)
            best, position = x[h0, w0], h0 * W + w0
            for h in range(h0, min(s * i - top + U, H)):
                for w in range(w0, min(t * j - left + V, W)):
                    if _wins(x[h, w], best):
                        best, position = x[h, w], h * W + w
            y[i, j], positions[i, j] = floor if best < floor else best, position  # (1)


@njit(parallel=True, cache=True)
def _argmax_2x2(x, floor, positions, y):
    N, C, H, W = x.shape
    _, _, I, J = y.shape
    x, positions, y = x.ravel(), positions.ravel(), y.ravel()
    if x.size <= FEW:  # to call the threads would take longer
        for nc in range(N * C):
            _argmax_2x2_plane(x, H, W, floor, positions, y, I, J, nc)
        return
    for nc in prange(N * C):
        _argmax_2x2_plane(x, H, W, floor, positions, y, I, J, np.int64(nc))  # prange counts in unsigned ints


@njit(cache=True)
def _argmax_2x2_plane(x, H, W, floor, positions, y, I, J, nc):
    lanes = BYTES // x.itemsize
    for i in range(I):
        at, upper, start = (nc * I + i) * J, (nc * H + 2 * i) * W, 2 * i * W
        lower = upper + W
        if J >= lanes:
            for j in range(0, J, lanes):
                k = min(j, J - lanes)  # the last vector overlaps the one before
                argmax_2x2_vector(y, positions, at + k, x, upper + 2 * k, lower + 2 * k, start + 2 * k, W, floor, BITS)
        elif J >= lanes // 2:
            for k in (0, J - lanes // 2):
                argmax_2x2_vector(y, positions, at + k, x, upper + 2 * k, lower + 2 * k, start + 2 * k, W, floor, HALF)
        else:
            for k in range(J):
                argmax_2x2_vector(y, positions, at + k, x, upper + 2 * k, lower + 2 * k, start + 2 * k, W, floor, 1)


@njit(cache=True)
def _wins(pixel, best):
    """Whether a later pixel takes the place of the best so far: it is larger, or the first NaN."""
    return (best == best) & (not (pixel <= best))


@njit(parallel=True, cache=True)
def _gather(x, positions):
    N, C, I, J = positions.shape
    x, y = x.reshape(N, C, -1), np.empty(positions.shape, x.dtype)
    for nc in prange(N * C):
        n, c = nc // C, nc % C
        for i in range(I):
            for j in range(J):
                y[n, c, i, j] = x[n, c, positions[n, c, i, j]]  # (3)
    return y


@njit(parallel=True, cache=True)
def _scatter(g, positions, H, W):
    N, C, I, J = g.shape
    x = np.empty((N, C, H * W), g.dtype)
    for nc in prange(N * C):
        n, c = nc // C, nc % C
        x[n, c] = 0
        for i in range(I):
            for j in range(J):
                x[n, c, positions[n, c, i, j]] += g[n, c, i, j]  # (4)
    return x.reshape(N, C, H, W)
