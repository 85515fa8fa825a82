"""conv2d in Numba: equations (1)-(3) and names from reference.py, placed in memory as layout.py says.

Work is cut into blocks: a few rows of an image, or a few small images. For each block the images are gathered
into planes that stay in the cache, a register tile (../../simd.py) runs over all taps for a few filters and a
few vectors of pixels at a time, and the results are scattered. Blocks are dealt to a fixed number of pieces,
and pieces to threads: the same bits at any number of threads.
"""

import numpy as np
from numba import njit, prange

from ...simd import BITS, BYTES, FILTERS, VECTORS, copy, copy_vector, correlate_tile, dot_tile
from . import layout, reference

NEAR = 768  # pixels of a block of (3): those of one tile's gradients stay in the first-level cache
ONE = np.int64(1)  # `copy` would be compiled once more for every place of a literal 1

span = njit(layout.span, cache=True)


def forward(x, weight, bias, stride, padding):
    shape = reference.out_shape(x.shape, weight.shape, stride, padding)
    axes = _axes(layout.forward_axis, x.shape, shape, weight.shape, stride, padding)
    return _correlation(x, weight, bias, shape, axes)  # (1)


def gradient_x(gy, weight, x_shape, stride, padding):
    axes = _axes(layout.adjoint_axis, x_shape, gy.shape, weight.shape, stride, padding)
    return _correlation(gy, weight.swapaxes(0, 1), None, x_shape, axes)  # (2)


def gradient_weight(gy, x, weight_shape, stride, padding):
    axes = _axes(layout.forward_axis, x.shape, gy.shape, weight_shape, stride, padding)
    K, C = weight_shape[:2]
    plan = _plan(axes, x, K, min(layout.CACHE // x.itemsize, NEAR * (K + C)))
    parts = np.zeros((plan.pieces, _whole(K, FILTERS), plan.taps.size), x.dtype)
    _dots(parts, _plain(gy), _plain(x), plan)
    return parts[:, :K, : plan.groups[-1]].sum(axis=0).reshape(weight_shape)  # (3)


def _correlation(x, weight, bias, shape, axes):
    plan = _plan(axes, x, shape[1], layout.CACHE // x.itemsize)
    y = np.empty(shape, x.dtype)
    bias = np.zeros(shape[1], x.dtype) if bias is None else _plain(bias)
    _correlate(y, _plain(x), _packed(weight, axes), bias, plan)
    return y


def _axes(axis, x_shape, y_shape, weight_shape, stride, padding):
    return [axis(x_shape[i], y_shape[i], weight_shape[i], stride[i - 2], padding[i - 2][0]) for i in (2, 3)]


def _plan(axes, x, K, most):
    return layout.plan(*axes, *x.shape[:2], _whole(K, FILTERS), BYTES // x.itemsize, VECTORS, most)


def _packed(weight, axes):
    """The filters in the order that tiles read: [output phase][filter block][channel, tap][filter in block]."""
    K = weight.shape[0]
    padded = np.zeros((_whole(K, FILTERS), *weight.shape[1:]), weight.dtype)
    padded[:K] = weight
    blocks = padded.reshape(-1, FILTERS, *weight.shape[1:])
    rows, cols = ([[u for u, _, _ in taps] for taps in axis.taps] for axis in axes)
    phases = [blocks[:, :, :, us][..., vs] for us in rows for vs in cols]
    return np.concatenate([np.moveaxis(phase, 1, -1).ravel() for phase in phases])


def _whole(n, unit):
    """n rounded up to a multiple of unit."""
    return -(-n // unit) * unit


def _plain(x):
    """x, contiguous and writeable: one type of array for the kernels to be compiled for."""
    return np.require(x, requirements=["C", "A", "W"])


@njit(parallel=True, cache=True)
def _correlate(y, x, weight, bias, plan):
    groups, blocks = plan.groups.size - 1, -(-y.shape[1] // FILTERS)
    for piece in prange(plan.pieces):
        x_planes = np.zeros(x.shape[1] * plan.down_in * plan.right_in * plan.plane, x.dtype)
        y_planes = np.empty(groups * blocks * FILTERS * plan.plane, x.dtype)
        for block in range(*_share(plan, piece)):
            n, images, q, rows, vectors = _extent(plan, block, x.shape[0])
            _gather(x_planes, x, plan, n, images, q, rows)
            for m in range(0, vectors, VECTORS):
                for g in range(groups):
                    first, last = plan.groups[g], plan.groups[g + 1]
                    for k in range(blocks):
                        y_at = (g * blocks + k) * FILTERS * plan.plane
                        w_at = (first * blocks + k * (last - first)) * FILTERS
                        correlate_tile(
                            y_planes, y_at, plan.plane, x_planes, plan.starts, m, plan.taps, first, last,
                            weight, w_at, BITS, FILTERS, VECTORS,
                        )  # fmt: skip
            _scatter(y, y_planes, bias, plan, n, images, q, rows, blocks * FILTERS)


@njit(parallel=True, cache=True)
def _dots(parts, gy, x, plan):
    lanes, taps, blocks = BYTES // x.itemsize, plan.taps.size, -(-gy.shape[1] // FILTERS)
    for piece in prange(plan.pieces):
        gw = parts[piece].ravel()
        x_planes = np.zeros(x.shape[1] * plan.down_in * plan.right_in * plan.plane, x.dtype)
        gy_plane = np.zeros(plan.plane, x.dtype)
        gy_vectors = np.zeros(blocks * FILTERS * plan.vectors * lanes, x.dtype)
        for block in range(*_share(plan, piece)):
            n, images, q, rows, vectors = _extent(plan, block, x.shape[0])
            _gather(x_planes, x, plan, n, images, q, rows)
            _gather_vectors(gy_vectors, gy_plane, gy, plan, n, images, q, rows, vectors, lanes)
            for k in range(blocks):
                gy_at = k * FILTERS * vectors * lanes
                for s in range(0, taps, VECTORS):
                    dot_tile(
                        gw, k * FILTERS * taps + s, taps, gy_vectors, gy_at, x_planes, plan.starts, vectors,
                        plan.taps, s, BITS, FILTERS, VECTORS,
                    )  # fmt: skip


@njit(cache=True)
def _share(plan, piece):
    """The blocks of a piece."""
    piece = np.int64(piece)  # prange counts in unsigned ints
    return piece * plan.blocks // plan.pieces, (piece + 1) * plan.blocks // plan.pieces


@njit(cache=True)
def _extent(plan, block, N):
    """The images and lattice rows of a block, and how many vectors cover them."""
    n, q = block // plan.cuts * plan.images, block % plan.cuts * plan.rows
    images, rows = min(plan.images, N - n), min(plan.rows, plan.lattice_rows - q)
    vectors, end = plan.vectors, ((images - 1) * plan.high + rows) * plan.pitch
    while plan.starts[vectors - 1] >= end:
        vectors -= 1
    return n, images, q, rows, vectors


@njit(cache=True)
def _gather(planes, x, plan, n, images, q, rows):
    """Copy the rows that a block reads from x (N, C, H, W) into the planes of their phases, zero outside x."""
    _, C, H, W = x.shape
    x, down, right, zero = x.ravel(), plan.down_in, plan.right_in, x.dtype.type(0)
    high = rows + plan.high - plan.rows
    for phase in range(down * right):
        row_phase, col_phase = phase // right, phase % right
        top, bottom = span(q + plan.low_row, down, row_phase, H, high)
        left, stop = span(plan.low_col, right, col_phase, W, min(plan.wide, plan.pitch))
        a, b = down * (top + q + plan.low_row) + row_phase, right * (left + plan.low_col) + col_phase
        height, width = bottom - top, stop - left
        if down == right == 1 and width == plan.pitch == W:
            height, width = min(height, 1), height * width  # x and plane are alike: one long row
        for c in range(C):
            for i in range(images):
                at = (c * down * right + phase) * plan.plane + i * plan.high * plan.pitch
                _clear(planes, at, at + top * plan.pitch)
                _clear(planes, at + bottom * plan.pitch, at + high * plan.pitch)
                to, x_at = at + top * plan.pitch + left, (((n + i) * C + c) * H + a) * W + b
                copy(planes, to, (plan.pitch, ONE), x, x_at, (down * W, right), (height, width), zero)


@njit(cache=True)
def _scatter(y, planes, bias, plan, n, images, q, rows, K):
    """Copy the results of a block, plus bias, from the planes of their phases into y (N, K, I, J)."""
    _, _, I, J = y.shape
    y, down, right = y.ravel(), plan.down_out, plan.right_out
    for i in range(images):
        for k in range(bias.size):
            for phase in range(down * right):
                row_phase, col_phase = phase // right, phase % right
                height, width = min(rows, -((row_phase - I) // down) - q), -((col_phase - J) // right)
                if down == right == 1 and width == plan.pitch:
                    height, width = 1, height * width  # y and plane are alike: one long row
                to = (((n + i) * bias.size + k) * I + down * q + row_phase) * J + col_phase
                at = (phase * K + k) * plan.plane + i * plan.high * plan.pitch
                copy(y, to, (down * J, right), planes, at, (plan.pitch, ONE), (height, width), bias[k])


@njit(cache=True)
def _gather_vectors(vectors, plane, gy, plan, n, images, q, rows, count, lanes):
    """The vectors of gy that cover a block, zero beyond the ends of rows: [filter block][m][filter][lane]."""
    _, K, I, J = gy.shape
    gy, zero = gy.ravel(), gy.dtype.type(0)
    end = ((images - 1) * plan.high + rows) * plan.pitch
    _clear(plane, end, end + lanes)  # there may be rows of a larger block
    for k in range(K):
        for i in range(images):
            to, gy_at = i * plan.high * plan.pitch, (((n + i) * K + k) * I + q) * J
            copy(plane, to, (plan.pitch, ONE), gy, gy_at, (J, ONE), (rows, J), zero)
        for m in range(count):
            to = ((k // FILTERS * count + m) * FILTERS + k % FILTERS) * lanes
            copy_vector(vectors, to, plane, plan.starts[m], zero, BITS)


@njit(cache=True)
def _clear(x, start, stop):
    for i in range(start, stop):
        x[i] = 0
