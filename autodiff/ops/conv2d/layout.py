"""Where the cpu voice puts its numbers: a convolution as a sum of shifted flat signals.

Both convolution and its adjoint compute, along rows and likewise along columns, with q on a common lattice,

    out[step_out q + d] = sum over taps (u, phase, shift) of d   w[u] in[step_in (q + low + shift) + phase]     (L1)

- forward, equation (1): step_out = 1, and tap u reads in[s q + u - p], so s (low + shift) + phase = u - p;
- gradient to x, equation (2): step_in = 1, and out[s q + d] takes in[i] with s i + u - p = s q + d, so the taps of d
  are those with s | d + p - u, and low + shift = (d + p - u) / s.

Each phase of each channel becomes one *plane*: its lattice rows one after the other, `pitch` numbers apart, so that a
tap is one offset into memory and neighbouring q are neighbours in memory. The zeros to the right of a row double as
the zeros to the left of the next. The results of the lattice points in use are covered greedily by vectors.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

Tap = tuple[int, int, int]  # u, phase, shift

PIECES = 32  # units of work that threads share; must not depend on their number
CACHE = 192 * 1024  # bytes of planes that one block of work may fill: a part of the second-level cache


class Axis(NamedTuple):
    """Equation (L1) along rows or columns."""

    lattice: int  # q = 0 ... lattice - 1
    low: int
    reach: int  # shift = 0 ... reach - 1
    step_in: int
    size_in: int
    step_out: int
    size_out: int
    taps: tuple[tuple[Tap, ...], ...]  # the taps of each output phase d


class Plan(NamedTuple):
    """A block is `images` images by `rows` lattice rows; its planes lie in a scratch that stays in the cache."""

    low_row: int
    low_col: int
    down_in: int  # step_in of the rows
    right_in: int  # step_in of the columns
    down_out: int
    right_out: int
    lattice_rows: int
    lattice_cols: int
    high: int  # rows of a plane that one image of a block takes
    wide: int  # columns of a row that some tap reads
    pitch: int
    plane: int  # distance of planes
    images: int
    rows: int
    blocks: int
    cuts: int  # blocks along the rows of an image
    pieces: int
    vectors: int  # vectors that cover a block; `starts` goes on for a tile
    starts: np.ndarray
    taps: np.ndarray  # offsets into the planes of x
    groups: np.ndarray  # the taps of output phase g are taps[groups[g] : groups[g + 1]]


def forward_axis(size: int, out: int, kernel: int, step: int, before: int) -> Axis:
    """Equation (1): from `size` pixels to `out`, `before` zeros in front."""
    met = [(u, *divmod(u - before, step)) for u in range(kernel)]  # (u, low + shift, phase)
    low, high = met[0][1], met[-1][1]
    taps = tuple((u, phase, place - low) for u, place, phase in met)
    return Axis(out, low, high - low + 1, step, size, 1, out, (taps,))


def adjoint_axis(size: int, out: int, kernel: int, step: int, before: int) -> Axis:
    """Equation (2): from `out` numbers of gy to the `size` of gx."""
    met = [[(u, (d + before - u) // step) for u in range((d + before) % step, kernel, step)] for d in range(step)]
    places = [place for taps in met for _, place in taps]
    low, high = min(places), max(places)
    taps = tuple(tuple((u, 0, place - low) for u, place in taps) for taps in met)
    return Axis(-(-size // step), low, high - low + 1, 1, out, step, size, taps)


def span(low: int, step: int, phase: int, size: int, limit: int) -> tuple[int, int]:
    """The m in [0, limit) for which step (m + low) + phase lies in [0, size), as first and last + 1."""
    first = min(limit, max(0, -low))
    return first, max(first, min(limit, -((phase - size) // step) - low))


@lru_cache(maxsize=512)
def plan(rows: Axis, cols: Axis, N: int, C: int, K: int, lanes: int, tile: int, cache: int) -> Plan:
    """Cut (N, C) planes to (N, K) planes into blocks, place the planes of a block and cover them with vectors.

    `tile` is the number of vectors that a tile takes from `starts`, `cache` the numbers that a block may fill.
    """
    wide = cols.lattice + cols.reach - 1
    spans = [span(cols.low, cols.step_in, phase, cols.size_in, wide) for phase in range(cols.step_in)]
    pitch = max(cols.lattice, wide - spans[0][0], *(last for _, last in spans))

    planes = C * rows.step_in * cols.step_in + K * rows.step_out * cols.step_out
    fitting = max(1, cache // (planes * pitch))  # lattice rows that the cache holds
    cuts = -(-rows.lattice // min(fitting, -(-N * rows.lattice // PIECES)))
    height = -(-rows.lattice // cuts)
    high = height + rows.reach - 1
    images = 1 if cuts > 1 else max(1, min(fitting // high, -(-N // PIECES)))
    line = 64 // 4
    plane = -(-(images * high * pitch + cols.reach + lanes) // line)
    plane = (plane + 1 - plane % 2) * line  # an odd number of cache lines: planes do not compete for the same sets

    valid = np.arange(images)[:, None, None] * high + np.arange(height)[:, None]
    valid = (valid * pitch + np.arange(cols.lattice)).ravel()
    starts, at = [], 0
    while at < valid.size:  # the next vector begins at the first result that is not covered yet
        starts.append(valid[at])
        at = np.searchsorted(valid, valid[at] + lanes)

    taps, groups = [], [0]
    for row_taps in rows.taps:
        for col_taps in cols.taps:
            taps += [
                ((c * rows.step_in + row_phase) * cols.step_in + col_phase) * plane + row_shift * pitch + col_shift
                for c in range(C)
                for _, row_phase, row_shift in row_taps
                for _, col_phase, col_shift in col_taps
            ]
            groups.append(len(taps))

    blocks = -(-N // images) * cuts
    return Plan(
        low_row=rows.low,
        low_col=cols.low,
        down_in=rows.step_in,
        right_in=cols.step_in,
        down_out=rows.step_out,
        right_out=cols.step_out,
        lattice_rows=rows.lattice,
        lattice_cols=cols.lattice,
        high=high,
        wide=wide,
        pitch=pitch,
        plane=plane,
        images=images,
        rows=height,
        blocks=blocks,
        cuts=cuts,
        pieces=min(PIECES, blocks),
        vectors=len(starts),
        starts=np.array(starts + starts[-1:] * tile, np.int64),
        taps=np.array(taps, np.int64),
        groups=np.array(groups, np.int64),
    )
