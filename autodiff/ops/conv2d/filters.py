"""Filters in the order in which the tiles of cpu.py read them, kept for as long as they stay the same.

Where rows are transformed as winograd.py says, the kernels are too. With a single image all that takes longer than many
a convolution, and a trained network convolves with the same filters again and again. So the result is kept until the
array of the filters is gone; and since an array may be written in place, it is kept together with a copy of the numbers
that it was made of, and made anew when these differ.
"""

import weakref
from typing import NamedTuple

import numpy as np
from numba import njit

from ...memory import writable
from ...vectors import linear_map
from . import winograd
from .layout import Axis
from .reference import Shape

transform_filters_3, transform_filters_5 = (linear_map(winograd.filters(r)) for r in (3, 5))


class Order(NamedTuple):
    """Which numbers of an array of filters the tiles read, one after the other."""

    shape: Shape  # K, C, U, V
    first: int  # w[k,c,u,v] lies at first + (k, c, u, v) . steps
    steps: tuple[int, int, int, int]
    blocks: tuple[int, ...]  # filters of a tile; all numbers lie there once for each of these sizes
    tile: int  # rows of results of a tile of winograd.py, otherwise 0
    places: tuple[tuple[int, int], ...]  # row and column of the kernel of the taps, output phase by output phase
    groups: tuple[int, ...]  # the taps of output phase g are places[groups[g] : groups[g + 1]]


def order(
    rows: Axis, cols: Axis, shape: Shape, blocks: tuple[int, ...], *, swapped: bool = False, turned: bool = False
) -> Order:
    """The order for an array (K, C, U, V), read as (C, K, U, V) if `swapped`, its kernels backwards if `turned`."""
    K, C, U, V = shape
    first, steps = 0, (C * U * V, U * V, V, 1)
    if swapped:
        K, C, steps = C, K, (U * V, C * U * V, V, 1)
    if turned:
        first, steps = U * V - 1, (*steps[:2], -V, -1)
    places: list[tuple[int, int]] = []
    groups = [0]
    for row_taps in rows.taps:
        for col_taps in cols.taps:
            places += [(u, v) for u, _, _ in row_taps for v, _, _ in col_taps]
            groups.append(len(places))
    return Order((K, C, U, V), first, steps, blocks, rows.tile, tuple(places), tuple(groups))


class _Kept(NamedTuple):
    array: weakref.ref
    order: Order
    bits: np.ndarray
    packed: np.ndarray


_kept: dict[tuple[int, tuple[int, ...]], _Kept] = {}


def packed(weight: np.ndarray, order: Order) -> np.ndarray:
    """The numbers of an array of filters for each size of blocks: [output phase][block][channel, tap][filter in it]."""
    key = id(weight), order.steps
    flat = writable(weight).reshape(-1)
    bits = flat.view(f"u{flat.itemsize}")
    kept = _kept.get(key)
    if kept is None or kept.order != order or not _same(bits, kept.bits):
        kept = _Kept(weakref.ref(weight, lambda _: _kept.pop(key, None)), order, bits.copy(), _packed(flat, order))
        _kept[key] = kept
    return kept.packed


def _packed(flat, order):
    K, C = order.shape[:2]
    sizes = [order.groups[-1] * C * -(-K // block) * block for block in order.blocks]
    packed, at = np.empty(sum(sizes), flat.dtype), 0
    places, groups = np.array(order.places), np.array(order.groups)
    for block, size in zip(order.blocks, sizes, strict=True):
        _pack(packed[at : at + size], flat, order.first, order.steps, order.shape, block, places, groups, order.tile)
        at += size
    return packed


@njit(cache=True)
def _same(x, y):
    """Whether two arrays hold the same numbers, bit for bit."""
    differ = False
    for i in range(x.size):
        differ |= x[i] != y[i]
    return not differ


@njit(cache=True)
def _pack(packed, weight, first, steps, shape, filters, places, groups, tile):
    K, C, U, V = shape
    blocks, to = (K + filters - 1) // filters, 0
    if tile:  # rows of the kernel take the place of output phases, until they are transformed
        rows_ = np.empty(U * blocks * C * V * filters, packed.dtype)
        for u in range(U):
            for block in range(blocks):
                for c in range(C):
                    for v in range(V):
                        at = first + c * steps[1] + u * steps[2] + v * steps[3]
                        to = _lay(rows_, to, weight, at, steps[0], block * filters, filters, K)
        _transform(packed, rows_, U)
        return
    for g in range(groups.size - 1):
        for block in range(blocks):
            for c in range(C):
                for t in range(groups[g], groups[g + 1]):
                    at = first + c * steps[1] + places[t, 0] * steps[2] + places[t, 1] * steps[3]
                    to = _lay(packed, to, weight, at, steps[0], block * filters, filters, K)


@njit(cache=True)
def _lay(packed, to, weight, at, step, k, filters, K):
    """Copy one weight of the filters k, k + 1, ..., zeros beyond the last."""
    for f in range(k, k + filters):
        packed[to] = weight[at + f * step] if f < K else 0
        to += 1
    return to


@njit(cache=True)
def _transform(packed, rows_, U):
    """Transform kernels of U rows that lie one after the other: G w of winograd.py."""
    step, zero, least = rows_.size // U, packed.dtype.type(0), packed.dtype.type(-np.inf)
    if U == 3:
        transform_filters_3(packed, 0, step, rows_, 0, step, step, zero, least)
    else:
        transform_filters_5(packed, 0, step, rows_, 0, step, step, zero, least)
