"""conv2d in Numba: equations (1)-(3) and names from reference.py, placed in memory as layout.py says.

Work is cut into blocks: a few rows of an image, or a few small images. For each block the images are gathered
into planes that stay in the cache, a register tile (../../simd.py) runs over all taps for a few filters and a
few vectors of pixels at a time, and the results are scattered. planes.py has what comes before and after the
tiles, and transforms columns of pixels there, where that saves products. Blocks are dealt to a fixed number of
pieces, and pieces to threads: the same bits at any number of threads.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from ...backend import one_blas_thread
from ...llvm import BITS, BYTES
from ...memory import images_of, writable
from ...simd import (
    FEW_FILTERS,
    FILTERS,
    MANY_VECTORS,
    VECTORS,
    correlate_tile,
    correlate_tile_and_finish,
    dot_tile,
    tile_width,
)
from ...vectors import sum_of
from . import filters, layout, reference, winograd
from .parts import count, total
from .planes import gather, gather_phases, gather_vectors, scatter, scatter_phases, scratch
from .pointwise import BLOCK, dot_channels, mix_channels

NEAR = 1536  # pixels of a block of (3): those of one tile's gradients stay in the first-level cache
NARROW = 16  # columns of results up to which it is faster to transform images abreast, with 8 lanes and with 16
FEW = 6  # channels or filters for which transforms would cost more than the products they save


def forward(x, weight, bias, stride, padding, rectify=False):
    recipe = _forward_recipe(x.shape, weight.shape, stride, padding, x.itemsize)
    return _correlation(x, weight, bias, recipe, rectify)  # (1)


def gradient_x(gy, weight, x_shape, stride, padding, bias=None, rectify=False):
    recipe = _adjoint_recipe(gy.shape, tuple(x_shape), weight.shape, stride, padding, gy.itemsize)
    return _correlation(gy, weight, bias, recipe, rectify)  # (2)


def gradient_weight(gy, x, weight_shape, stride, padding):
    if _forward_recipe(x.shape, weight_shape, stride, padding, x.itemsize).direct:
        return dot_channels(gy, x)  # (3)
    axes = _forward_axes(x.shape, gy.shape, weight_shape, stride, padding, x.itemsize)
    K, C, U, V = weight_shape
    most = min(layout.CACHE // x.itemsize, NEAR * (K + C))
    plan = _plan(axes, x.shape, K, x.itemsize, most, pieces=count(C * K * U * V))
    blocks, taps = -(-K // FILTERS), plan.taps.size
    parts = np.empty((plan.pieces, blocks * taps * FILTERS + BYTES // x.itemsize), x.dtype)
    _dots(parts, *images_of(gy), *images_of(x), plan)
    gw = total(parts)[: blocks * taps * FILTERS].reshape(blocks, taps, FILTERS)
    gw = gw.swapaxes(1, 2).reshape(-1, taps)[:K]  # (3)
    if plan.tile:  # (2) of winograd.py
        gw = _mixed(winograd.filters(U).T, gw.reshape(K, winograd.N, C, V), axis=1).swapaxes(1, 2)
    return np.ascontiguousarray(gw.reshape(weight_shape))


def gradient_bias(gy):
    parts = np.empty(gy.shape[:2], gy.dtype)
    gy, shape, step = images_of(gy)
    _sums(parts, gy, shape[2] * shape[3], step)
    return total(parts)  # (4)


class Recipe(NamedTuple):
    """How a convolution is computed, as far as that follows from shapes."""

    shape: reference.Shape  # of the result
    plan: layout.Plan
    order: filters.Order
    direct: bool  # whether the planes are the channels of the images as they lie in memory


@lru_cache(maxsize=512)
def _forward_recipe(x_shape, weight_shape, stride, padding, itemsize):
    y_shape = reference.out_shape(x_shape, weight_shape, stride, padding)
    axes = _forward_axes(x_shape, y_shape, weight_shape, stride, padding, itemsize)
    return _recipe(axes, x_shape, y_shape, weight_shape, itemsize)


@lru_cache(maxsize=512)
def _adjoint_recipe(y_shape, x_shape, weight_shape, stride, padding, itemsize):
    C, K, U, V = weight_shape
    if turned := stride == (1, 1):  # (2) is (1) with the filters turned round
        pads = tuple((k - 1 - before, k - 1 - after) for k, (before, after) in zip((U, V), padding, strict=True))
        axes = _forward_axes(y_shape, x_shape, (K, C, U, V), stride, pads, itemsize)
    else:
        axes = _axes(layout.adjoint_axis, x_shape, y_shape, weight_shape, stride, padding)
    return _recipe(axes, y_shape, x_shape, weight_shape, itemsize, swapped=True, turned=turned)


def _recipe(axes, x_shape, y_shape, weight_shape, itemsize, **places):
    K = y_shape[1]
    plain = all((axis.step_in, axis.step_out, axis.low, axis.reach) == (1, 1, 0, 1) for axis in axes)
    whole = all(axis.lattice == axis.size_in for axis in axes) and K % BLOCK == 0
    direct = plain and whole and not axes[0].tile and axes[0].lattice * axes[1].lattice * itemsize >= BYTES
    few = K <= FEW_FILTERS and not axes[0].tile  # a tile of FILTERS would mostly multiply by zero
    block = BLOCK if direct else FEW_FILTERS if few else FILTERS
    blocks = (block, K) if direct else (block,)
    plan = _plan(axes, x_shape, K, itemsize, layout.CACHE // itemsize, block, K % FILTERS == 0)
    return Recipe(tuple(y_shape), plan, filters.order(*axes, weight_shape, blocks, **places), direct)


def _correlation(x, weight, bias, recipe, rectify):
    shape, plan, order, direct = recipe
    y = np.empty(shape, x.dtype)
    packed = filters.packed(weight, order)
    bias = np.zeros(shape[1], x.dtype) if bias is None else writable(bias)
    x, x_shape, x_step = images_of(x)
    if direct:
        mix_channels(y, x, x_shape, x_step, packed, bias, x.dtype.type(0) if rectify else None)
    else:
        floor = x.dtype.type(0 if rectify else -np.inf)
        correlate = _finish if plan.targets.size else _correlate if order.blocks[0] == FILTERS else _correlate_few
        correlate(y, x, x_shape, x_step, packed, bias, floor, plan)
    return y


def _forward_axes(x_shape, y_shape, weight_shape, stride, padding, itemsize):
    rows, cols = _axes(layout.forward_axis, x_shape, y_shape, weight_shape, stride, padding)
    lanes = BYTES // itemsize
    if stride == (1, 1) and min(weight_shape[:2]) >= FEW and winograd.saves(weight_shape[2], y_shape[2]):
        tiles, places = layout.winograd_axis(x_shape[2], y_shape[2], weight_shape[2], padding[0][0]), cols
        if cols.lattice <= NARROW and 5 * x_shape[0] >= 4 * _whole(x_shape[0], lanes):  # few lanes are left empty
            places = layout.abreast_axis(cols, lanes)
        few, many = (_effort(axes, x_shape, y_shape[1], itemsize) for axes in ((tiles, places), (rows, cols)))
        if 4 * few <= 3 * many:  # what is left pays for the transforms
            return tiles, places
    return rows, cols


def _effort(axes, x_shape, K, itemsize):
    """How many vectors of products (1) takes, for each filter: a tile of one vector takes as long as one of two."""
    plan = _plan(axes, x_shape, K, itemsize, layout.CACHE // itemsize, straight=K % FILTERS == 0)
    return plan.blocks * max(plan.vectors, 2) * plan.taps.size


def _axes(axis, x_shape, y_shape, weight_shape, stride, padding):
    return [axis(x_shape[i], y_shape[i], weight_shape[i], stride[i - 2], padding[i - 2][0]) for i in (2, 3)]


def _plan(axes, x_shape, K, itemsize, most, block=FILTERS, straight=False, pieces=layout.PIECES):
    lanes = BYTES // itemsize
    return layout.plan(*axes, *x_shape[:2], _whole(K, block), lanes, most, pieces, straight)


def _mixed(matrix, x, axis):
    """x with the vectors along an axis multiplied by a matrix."""
    x = np.moveaxis(x, axis, 0)
    with one_blas_thread():
        mixed = matrix.astype(x.dtype) @ x.reshape(len(x), -1)
    return np.moveaxis(mixed.reshape(-1, *x.shape[1:]), 0, axis)


def _whole(n, unit):
    """n rounded up to a multiple of unit."""
    return -(-n // unit) * unit


@njit(parallel=True, cache=True)
def _correlate(y, x, x_shape, x_step, weight, bias, floor, plan):
    groups, blocks = plan.groups.size - 1, -(-y.shape[1] // FILTERS)
    for piece in prange(plan.pieces):
        x_planes = np.zeros(x_shape[1] * plan.down_in * plan.right_in * plan.plane, x.dtype)
        y_planes = np.empty(groups * blocks * FILTERS * plan.plane, x.dtype)
        rows_, stack = scratch(plan, x_shape, y.shape, x.dtype)
        for block in range(*_share(plan.blocks, plan.pieces, piece)):
            n, images, q, rows, vectors = _extent(plan, block)
            gather(x_planes, rows_, stack, x, x_shape, x_step, plan, n, images, q, rows)
            for g in range(groups):
                first, last = plan.groups[g], plan.groups[g + 1]
                m = 0
                while m < vectors:
                    columns = tile_width(vectors - m, VECTORS)
                    for k in range(blocks):
                        y_at = (g * blocks + k) * FILTERS * plan.plane
                        w_at = (first * blocks + k * (last - first)) * FILTERS
                        correlate_tile(
                            y_planes, y_at, plan.plane, x_planes, plan.starts, m, plan.taps, first, last,
                            weight, w_at, columns, BITS, FILTERS, VECTORS,
                        )  # fmt: skip
                    m += columns
            scatter(y, rows_, stack, y_planes, bias, floor, plan, n, images, q, rows, blocks * FILTERS)


@njit(parallel=True, cache=True)
def _correlate_few(y, x, x_shape, x_step, weight, bias, floor, plan):
    """The same loop for the filters of one tile, which no transform serves."""
    groups = plan.groups.size - 1
    for piece in prange(plan.pieces):
        x_planes = np.zeros(x_shape[1] * plan.down_in * plan.right_in * plan.plane, x.dtype)
        y_planes = np.empty(groups * FEW_FILTERS * plan.plane, x.dtype)
        for block in range(*_share(plan.blocks, plan.pieces, piece)):
            n, images, q, rows, vectors = _extent(plan, block)
            gather_phases(x_planes, x, x_shape, x_step, plan, n, images, q, rows)
            for g in range(groups):
                first, last = plan.groups[g], plan.groups[g + 1]
                m = 0
                while m < vectors:
                    columns = tile_width(vectors - m, MANY_VECTORS)
                    correlate_tile(
                        y_planes, g * FEW_FILTERS * plan.plane, plan.plane, x_planes, plan.starts, m, plan.taps,
                        first, last, weight, first * FEW_FILTERS, columns, BITS, FEW_FILTERS, MANY_VECTORS,
                    )  # fmt: skip
                    m += columns
            scatter_phases(y, y_planes, bias, floor, plan, n, images, q, rows, np.int64(FEW_FILTERS))


@njit(parallel=True, cache=True)
def _finish(y, x, x_shape, x_step, weight, bias, floor, plan):
    """The same loop, but tiles add the bias, rectify, and write into y."""
    _, K, I, J = y.shape
    y, taps = y.reshape(y.size), plan.taps.size
    for piece in prange(plan.pieces):
        planes = np.zeros(x_shape[1] * plan.down_in * plan.right_in * plan.plane, x.dtype)
        for block in range(*_share(plan.blocks, plan.pieces, piece)):
            n, images, q, rows, vectors = _extent(plan, block)
            gather_phases(planes, x, x_shape, x_step, plan, n, images, q, rows)
            y_at, m = (n * K * I + q) * J, 0
            while m < vectors:
                columns = tile_width(vectors - m, VECTORS)
                for k in range(0, K, FILTERS):
                    correlate_tile_and_finish(
                        y, y_at + k * I * J, I * J, planes, plan.starts, m, plan.taps, 0, taps,
                        weight, k * taps, plan.targets, bias, k, floor, columns, BITS, FILTERS, VECTORS,
                    )  # fmt: skip
                m += columns


@njit(parallel=True, cache=True)
def _dots(parts, gy, gy_shape, gy_step, x, x_shape, x_step, plan):
    groups, blocks, taps = plan.groups.size - 1, -(-gy_shape[1] // FILTERS), plan.taps.size
    lanes = BYTES // x.itemsize
    for piece in prange(parts.shape[0]):
        gw = parts[piece]
        gw[:] = 0
        x_planes = np.zeros(x_shape[1] * plan.down_in * plan.right_in * plan.plane, x.dtype)
        gy_planes = np.zeros(groups * plan.plane, x.dtype)
        gy_vectors = np.zeros(groups * blocks * FILTERS * plan.vectors * lanes, x.dtype)
        rows_, stack = scratch(plan, x_shape, gy_shape, x.dtype)
        for block in range(*_share(plan.blocks, parts.shape[0], piece)):
            n, images, q, rows, vectors = _extent(plan, block)
            gather(x_planes, rows_, stack, x, x_shape, x_step, plan, n, images, q, rows)
            gather_vectors(
                gy_vectors, gy_planes, rows_, stack, gy, gy_shape, gy_step, plan, n, images, q, rows, vectors, lanes
            )
            for g in range(groups):
                first, last = plan.groups[g], plan.groups[g + 1]
                for k in range(blocks):
                    gy_at = (g * blocks + k) * FILTERS * vectors * lanes
                    s = first
                    while s < last:
                        columns = tile_width(last - s, VECTORS)
                        dot_tile(
                            gw, (k * taps + s) * FILTERS, gy_vectors, gy_at, x_planes, plan.starts, vectors,
                            plan.taps, s, columns, BITS, FILTERS, VECTORS,
                        )  # fmt: skip
                        s += columns


@njit(parallel=True, cache=True)
def _sums(parts, gy, size, step):
    N, K = parts.shape
    for nk in prange(N * K):
        n, k = nk // K, nk % K
        parts[n, k] = sum_of(gy, np.int64(n * step + k * size), size)


@njit(cache=True)
def _share(blocks, pieces, piece):
    """The blocks of a piece, the first and the one after the last."""
    piece = np.int64(piece)  # prange counts in unsigned ints
    return piece * blocks // pieces, (piece + 1) * blocks // pieces


@njit(cache=True)
def _extent(plan, block):
    """The images and lattice rows of a block, and how many vectors cover them."""
    n, cut = block // plan.cuts * plan.images, block % plan.cuts
    q = cut * plan.lattice_rows // plan.cuts
    images = min(plan.images, plan.all_images - n)
    rows = (cut + 1) * plan.lattice_rows // plan.cuts - q
    vectors, end = plan.vectors, ((images - 1) * plan.high + rows) * plan.pitch
    while plan.starts[vectors - 1] >= end:
        vectors -= 1
    return n, images, q, rows, vectors
