"""The sampler in Numba: equations (1)-(4) and names from reference.py.

The output's pixels are taken in blocks. First the taps and weights of a block are found, one axis at a time,
in a loop without branches that the compiler turns into vector instructions; then all channels use them.
`sample` deals the blocks to the threads, `splat` whole images: no two threads write the same number.
"""

import numpy as np
from numba import njit, prange

BLOCK = 512  # pixels; their taps and weights, 16 KB in float32, stay in the first-level cache
ZEROS, EDGE, REFLECT = range(3)
CODES = {"zeros": ZEROS, "edge": EDGE, "reflect": REFLECT}


def sample(image, motion, a, b, border):
    return _sample(np.ascontiguousarray(image), np.ascontiguousarray(motion), a, b, CODES[border])


def splat(g, motion, size, a, b, border):
    return _splat(np.ascontiguousarray(g), np.ascontiguousarray(motion), *size, a, b, CODES[border])


@njit(parallel=True, cache=True)
def _sample(image, motion, a, b, border):
    N, C, H, W = image.shape
    _, _, I, J = motion.shape
    grid, shift = _grid(motion), motion.reshape(N, 2, I * J)
    sampled = np.empty((N, C, I * J), image.dtype)
    blocks = (I * J + BLOCK - 1) // BLOCK
    for piece in prange(N * blocks):
        n, first = piece // blocks, piece % blocks * BLOCK
        last = min(first + BLOCK, I * J)
        m, u = _taps(grid[0, first:last], shift[n, 0, first:last], W, a, border)
        l, v = _taps(grid[1, first:last], shift[n, 1, first:last], H, b, border)
        for c in range(C):
            _gather(image[n, c], l, m, v, u, sampled[n, c, first:last])
    return sampled.reshape(N, C, I, J)


@njit(parallel=True, cache=True)
def _splat(g, motion, H, W, a, b, border):
    N, C, I, J = g.shape
    grid, shift = _grid(motion), motion.reshape(N, 2, I * J)
    g = g.reshape(N, C, I * J)
    image = np.empty((N, C, H, W), g.dtype)
    for n in prange(N):
        image[n] = 0
        for first in range(0, I * J, BLOCK):
            last = min(first + BLOCK, I * J)
            m, u = _taps(grid[0, first:last], shift[n, 0, first:last], W, a, border)
            l, v = _taps(grid[1, first:last], shift[n, 1, first:last], H, b, border)
            for c in range(C):
                _scatter(g[n, c, first:last], l, m, v, u, image[n, c])
    return image


@njit(cache=True)
def _gather(plane, l, m, v, u, sampled):
    zero = plane.dtype.type(0)
    for k in range(sampled.size):
        total = zero
        for s in range(2):
            for r in range(2):
                weight = v[s, k] * u[r, k]
                total += weight * plane[l[s, k], m[r, k]] if weight != 0 else zero  # (1)
        sampled[k] = total


@njit(cache=True)
def _scatter(g, l, m, v, u, plane):
    for k in range(g.size):
        for s in range(2):
            for r in range(2):
                weight = v[s, k] * u[r, k]
                if weight != 0:
                    plane[l[s, k], m[r, k]] += weight * g[k]  # (4)


@njit(cache=True)
def _taps(grid, shift, size, order, border):
    """index and weight, (2, K) each, of the taps of K pixels along one axis: `_taps_1d` of reference.py.

    Typed constants keep float32 from becoming float64. An index is clipped as a float, which makes 0 of NaN.
    """
    index, weight = np.empty((2, grid.size), np.uint32), np.empty((2, grid.size), shift.dtype)
    real = shift.dtype.type
    zero, one, two = real(0), real(1), real(2)
    end, period = real(size - 1), real(max(2 * (size - 1), 1))
    for k in range(grid.size):
        x = grid[k] + shift[k]
        if border == REFLECT:
            x -= period * np.floor(x / period)
        else:
            x = -two if x < -two else x
            x = end + one if x > end + one else x
        q0 = np.floor(x)
        q1 = q0 + one
        t = x - q0
        w0 = zero * t - one if order else one - t  # (2)
        w1 = zero * t + one if order else t
        if border == ZEROS:  # (3)
            w0 = zero if (q0 < zero) | (q0 > end) else w0
            w1 = zero if (q1 < zero) | (q1 > end) else w1
        if border == REFLECT:
            q0 = min(abs(q0), abs(period - q0))
            q1 = min(abs(q1), abs(period - q1))
        q0 = q0 if q0 > zero else zero
        q1 = q1 if q1 > zero else zero
        q0 = q0 if q0 < end else end
        q1 = q1 if q1 < end else end
        index[0, k], index[1, k] = np.int32(q0), np.int32(q1)
        weight[0, k] = w0 + w1 if q0 == q1 else w0
        weight[1, k] = zero if q0 == q1 else w1
    return index, weight


@njit(cache=True)
def _grid(motion):
    """The coordinates (x, y) = (j, i) of the output's pixels, row after row: (2, I J)."""
    _, _, I, J = motion.shape
    grid = np.empty((2, I, J), motion.dtype)
    for i in range(I):
        for j in range(J):
            grid[0, i, j], grid[1, i, j] = j, i
    return grid.reshape(2, I * J)
