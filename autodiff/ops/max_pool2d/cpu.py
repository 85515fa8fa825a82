"""Max-pooling in Numba: equations (1), (3), (4) and names from reference.py.

Each thread owns whole planes (n, c). Windows of 2 x 2 with stride 2, the only ones in our networks, have a loop of their own
without bounds and branches, which the compiler turns into vector instructions.
"""

import numpy as np
from numba import njit, prange

from . import reference


def argmax(x, size, stride, padding):
    x = np.ascontiguousarray(x)
    I, J = reference.out_shape(x.shape[2:], size, stride, padding)
    positions = np.empty((*x.shape[:2], I, J), np.int32)
    y = np.empty(positions.shape, x.dtype)
    if size == stride == (2, 2) and not np.any(padding):
        _argmax_2x2(x, positions, y)
    else:
        (top, _), (left, _) = padding
        _argmax(x, *size, *stride, top, left, positions, y)
    return positions, y


def gather(x, positions):
    return _gather(np.ascontiguousarray(x), positions)


def scatter(g, positions, plane_shape):
    return _scatter(np.ascontiguousarray(g), positions, *plane_shape)


@njit(parallel=True, cache=True)
def _argmax(x, U, V, s, t, top, left, positions, y):
    N, C, H, W = x.shape
    _, _, I, J = y.shape
    for nc in prange(N * C):
        n, c = nc // C, nc % C
        for i in range(I):
            for j in range(J):
                h0, w0 = max(s * i - top, 0), max(t * j - left, 0)
                best, position = x[n, c, h0, w0], h0 * W + w0
                for h in range(h0, min(s * i - top + U, H)):
                    for w in range(w0, min(t * j - left + V, W)):
                        best, position = _winner(best, position, x[n, c, h, w], h * W + w)  # (1)
                y[n, c, i, j], positions[n, c, i, j] = best, position


@njit(parallel=True, cache=True)
def _argmax_2x2(x, positions, y):
    N, C, _, W = x.shape
    _, _, I, J = y.shape
    for nc in prange(N * C):
        n, c = nc // C, nc % C
        for i in range(I):
            _argmax_2x2_row(x[n, c, 2 * i], x[n, c, 2 * i + 1], 2 * i * W, W, positions[n, c, i], y[n, c, i])


@njit(cache=True)
def _argmax_2x2_row(upper, lower, start, W, positions, y):
    """Equation (1) for the windows of two rows of pixels, the upper one at `start` in the plane."""
    start, W, one, two = np.int32(start), np.int32(W), np.int32(1), np.int32(2)
    for j in range(y.size):
        first = start + two * np.int32(j)
        best, position = _winner(upper[2 * j], first, upper[2 * j + 1], first + one)
        best, position = _winner(best, position, lower[2 * j], first + W)
        best, position = _winner(best, position, lower[2 * j + 1], first + W + one)
        y[j], positions[j] = best, position


@njit(cache=True)
def _winner(best, position, pixel, later):
    """The best so far and where it is, or a later pixel of the window if that is larger or the first NaN."""
    wins = (best == best) & (not (pixel <= best))
    return pixel if wins else best, later if wins else position


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
    x = np.zeros((N, C, H * W), g.dtype)
    for nc in prange(N * C):
        n, c = nc // C, nc % C
        for i in range(I):
            for j in range(J):
                x[n, c, positions[n, c, i, j]] += g[n, c, i, j]  # (4)
    return x.reshape(N, C, H, W)
