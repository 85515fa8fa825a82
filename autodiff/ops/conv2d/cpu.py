"""conv2d in Numba: equations (1)-(3) and names from reference.py, placed in memory as layout.py says.

Work is cut into blocks, a few rows of an image or a few small images. For each block the images are gathered into
planes that stay in the cache, a register tile (../../simd.py) runs over all taps of a few filters and a few vectors of
pixels, and the results are scattered. Blocks are dealt to a fixed number of pieces, and pieces to threads: the same
bits at any number of threads.
"""

import numpy as np
from numba import njit, prange

from ...simd import BITS, BYTES, FILTERS, VECTORS, copy, copy_vector, correlate_tile, dot_tile
from . import layout, reference

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
    N, C, _, _ = x.shape
    K = weight_shape[0]
    lanes = BYTES // x.itemsize
    plan = layout.plan(*axes, N, C, _whole(K, FILTERS), lanes, 0, min(layout.CACHE // x.itemsize, 768 * (C + K)))
    taps = np.append(plan.taps, plan.taps[:1].repeat(-plan.taps.size % VECTORS))
    parts = np.zeros((plan.pieces, _whole(K, FILTERS), taps.size), x.dtype)
    _dots(parts, _plain(gy), _plain(x), plan._replace(taps=taps))
    return parts.sum(axis=0)[:K, : plan.taps.size].reshape(weight_shape)  # (3)


def _correlation(x, weight, bias, shape, axes):
    N, C, _, _ = x.shape
    K = shape[1]
    plan = layout.plan(*axes, N, C, _whole(K, FILTERS), BYTES // x.itemsize, VECTORS, layout.CACHE // x.itemsize)
    y = np.empty(shape, x.dtype)
    bias = np.zeros(K, x.dtype) if bias is None else _plain(bias)
    _correlate(y, _plain(x), _packed(weight, axes), bias, plan)
    return y


def _axes(axis, x_shape, y_shape, weight_shape, stride, padding):
    return [axis(x_shape[i], y_shape[i], weight_shape[i], stride[i - 2], padding[i - 2][0]) for i in (2, 3)]


def _packed(weight, axes):
    """The filters in the order that tiles read: [output phase][filter block][channel and tap][filter in the block]."""
    K = weight.shape[0]
    padded = np.zeros((_whole(K, FILTERS), *weight.shape[1:]), weight.dtype)
    padded[:K] = weight
    rows, cols = ([[u for u, _, _ in taps] for taps in axis.taps] for axis in axes)
    phases = [padded[:, :, us][..., vs] for us in rows for vs in cols]
    blocks = [phase.reshape(len(padded) // FILTERS, FILTERS, phase[0].size).swapaxes(1, 2).ravel() for phase in phases]
    return np.concatenate(blocks)


def _whole(n, unit):
    return -(-n // unit) * unit


def _plain(x):
    """x, contiguous and writeable: one type of array for the kernels to be compiled for."""
    return np.require(x, requirements=["C", "W"])


@njit(parallel=True, cache=True)
def _correlate(y, x, weight, bias, plan):
    for piece in prange(plan.pieces):
        _correlate_piece(y, x, weight, bias, plan, piece)


@njit(cache=True)
def _correlate_piece(y, x, weight, bias, plan, piece):
    groups, blocks = plan.groups.size - 1, -(-y.shape[1] // FILTERS)
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
    for piece in prange(plan.pieces):
        _dots_piece(parts[piece].ravel(), gy, x, plan, piece)


@njit(cache=True)
def _dots_piece(gw, gy, x, plan, piece):
    lanes, taps = BYTES // x.itemsize, plan.taps.size
    blocks = -(-gy.shape[1] // FILTERS)
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
                    gw, k * FILTERS * taps + s, taps, gy_vectors, gy_at, x_planes, plan.starts, vectors, plan.taps, s,
                    BITS, FILTERS, VECTORS,
                )  # fmt: skip


@njit(cache=True)
def _share(plan, piece):
    """The blocks of a piece."""
    return piece * plan.blocks // plan.pieces, (piece + 1) * plan.blocks // plan.pieces


@njit(cache=True)
def _extent(plan, block, N):
    """The images and lattice rows of a block, and how many vectors cover them."""
    n, q = block // plan.cuts * plan.images, block % plan.cuts * plan.rows
    images, rows = min(plan.images, N - n), min(plan.rows, plan.lattice_rows - q)
    end = ((images - 1) * plan.high + rows) * plan.pitch
    return n, images, q, rows, np.searchsorted(plan.starts[: plan.vectors], end)


@njit(cache=True)
def _gather(planes, x, plan, n, images, q, rows):
    """Copy the rows that a block reads from x (N, C, H, W) into the planes of their phases; zero outside of x."""
    _, C, H, W = x.shape
    x, down, right, zero = x.ravel(), plan.down_in, plan.right_in, x.dtype.type(0)
    high = rows + plan.high - plan.rows
    for c in range(C):
        for phase in range(down * right):
            at = (c * down * right + phase) * plan.plane
            start, stop = span(plan.low_col, right, phase % right, W, min(plan.wide, plan.pitch))
            b = right * (start + plan.low_col) + phase % right
            for i in range(images):
                for r in range(high):
                    to = at + (i * plan.high + r) * plan.pitch + start
                    a = down * (q + r + plan.low_row) + phase // right
                    if 0 <= a < H:
                        copy(planes, to, 1, x, (((n + i) * C + c) * H + a) * W + b, right, stop - start, zero)
                    else:
                        planes[to : to + stop - start] = 0


@njit(cache=True)
def _scatter(y, planes, bias, plan, n, images, q, rows, K):
    """Copy the lattice results of a block, plus bias, from the planes of their phases into y (N, K, I, J)."""
    _, _, I, J = y.shape
    y, down, right = y.ravel(), plan.down_out, plan.right_out
    for i in range(images):
        for k in range(bias.size):
            for r in range(rows):
                for phase in range(down * right):
                    a, b = down * (q + r) + phase // right, phase % right
                    if a < I:
                        at = (phase * K + k) * plan.plane + (i * plan.high + r) * plan.pitch
                        count = span(0, right, b, J, plan.lattice_cols)[1]
                        to = (((n + i) * bias.size + k) * I + a) * J + b
                        copy(y, to, right, planes, at, 1, count, bias[k])


@njit(cache=True)
def _gather_vectors(vectors, plane, gy, plan, n, images, q, rows, count, lanes):
    """The vectors of gy that cover a block, zero beyond the ends of rows: [filter block][vector][filter][lane]."""
    _, K, I, J = gy.shape
    gy, zero = gy.ravel(), gy.dtype.type(0)
    end = ((images - 1) * plan.high + rows) * plan.pitch
    plane[end : end + lanes] = 0  # there may be rows of a larger block
    for k in range(K):
        for i in range(images):
            for r in range(rows):
                to = (i * plan.high + r) * plan.pitch
                copy(plane, to, 1, gy, (((n + i) * K + k) * I + q + r) * J, 1, J, zero)
        for m in range(count):
            to = ((k // FILTERS * count + m) * FILTERS + k % FILTERS) * lanes
            copy_vector(vectors, to, plane, plan.starts[m], zero, BITS)
