"""Where the cpu voice puts its numbers: a convolution as a sum of shifted flat signals.

Both convolution and its adjoint compute, along the rows and likewise along the columns, with q on a lattice,

    out[step_out q + d] = sum over the taps (u, phase, shift) of d
                                           w[u] in[step_in (q + low + shift) + phase]                       (L1)

- Forward, equation (1): step_out = 1. Tap u reads in[s q + u - p], so s (low + shift) + phase = u - p.
- Gradient to x, equation (2): step_in = 1. out[s q + d] takes in[i] with s i + u - p = s q + d, so the taps of
  d are the u for which s divides d + p - u, and low + shift = (d + p - u) / s.
- Winograd's filtering along the rows, winograd.py: q counts tiles of m rows of results. The n rows of pixels that meet
  a tile, transformed, are the phases of `in`; its n rows of products, not yet transformed back, those of `out`; each
  has one tap, the row of the transformed kernel with the same number.

Each phase of each channel becomes a *plane*: its lattice rows one after the other, `pitch` numbers apart. So a
tap is one offset into memory, and neighbouring q are neighbours in memory. The zeros to the right of a row
double as the zeros to the left of the next. Vectors cover the results greedily: the next one begins at the
first result that is not covered yet, be it in the same row or in the next. Where results need no more than a bias and
a rectifier, they go straight to y; then the vectors cover each row by itself, the last overlapping the one before.

Rows of small images fill no vector, and it is row by row that they are transformed. There as many images as a vector
has lanes are computed *abreast*, as one wide image whose neighbouring columns hold the same pixel of each: a row of W
pixels is W whole vectors, and a step to the next pixel one of as many columns as there are images.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...llvm import BITS
from ...simd import LINE
from . import winograd

Tap = tuple[int, int, int]  # u, phase, shift

PIECES = 32  # units of work that threads share; must not depend on the number of threads
LEAST = 128  # numbers of a plane that make a block of its own, however many threads wait for work ...
FEW_PIECES = 4  # ... up to so many
CACHE = (384 if BITS < 512 else 768) * 1024  # bytes that a block's planes may take: much of a second-level cache
NUMBERS = LINE // 4  # in a cache line (float32)


class Axis(NamedTuple):
    """Equation (L1) along the rows or along the columns."""

    lattice: int  # q = 0 ... lattice - 1
    low: int
    reach: int  # shift = 0 ... reach - 1
    step_in: int
    size_in: int
    step_out: int
    taps: tuple[tuple[Tap, ...], ...]  # the taps of each output phase d
    tile: int = 0  # m of winograd.py, 0 if its transforms are not used
    abreast: int = 1  # images whose columns these are, see `abreast_axis`


class Plan(NamedTuple):
    """How work is cut into blocks, `images` images by `rows` lattice rows, and where a block lies in memory."""

    blocks: int
    cuts: int  # blocks that an image is cut into, of equal heights but for one row
    pieces: int  # groups of blocks
    all_images: int  # images; here and below, those abreast count as one
    images: int
    rows: int  # of the highest block
    lattice_rows: int
    lattice_cols: int
    low_row: int
    low_col: int
    down_in: int  # step_in of the rows
    right_in: int  # step_in of the columns
    down_out: int
    right_out: int
    high: int  # rows of a plane that an image of a block takes
    wide: int  # columns of a row that some tap reads
    pitch: int
    plane: int  # distance of planes
    vectors: int  # vectors that cover a block
    starts: np.ndarray  # where they begin
    targets: np.ndarray  # where the results of each begin in y; empty if they go through planes
    taps: np.ndarray  # offsets into the planes of x
    groups: np.ndarray  # the taps of output phase g are taps[groups[g] : groups[g + 1]]
    tile: int  # rows of results of a lattice row with Winograd's filtering, otherwise 0
    abreast: int  # images whose pixels lie side by side


def forward_axis(size: int, out: int, kernel: int, step: int, before: int) -> Axis:
    """Equation (1): from `size` pixels to `out`, with `before` zeros in front."""
    met = [(u, *divmod(u - before, step)) for u in range(kernel)]  # u, low + shift, phase
    low, high = met[0][1], met[-1][1]
    taps = tuple((u, phase, place - low) for u, place, phase in met)
    return Axis(out, low, high - low + 1, step, size, 1, (taps,))


def adjoint_axis(size: int, out: int, kernel: int, step: int, before: int) -> Axis:
    """Equation (2): from `out` numbers of gy to the `size` of gx."""
    us = [range((d + before) % step, kernel, step) for d in range(step)]
    met = [[(u, (d + before - u) // step) for u in us[d]] for d in range(step)]  # u, low + shift
    places = [place for taps in met for _, place in taps]
    low, high = min(places), max(places)
    taps = tuple(tuple((u, 0, place - low) for u, place in taps) for taps in met)
    return Axis(-(-size // step), low, high - low + 1, 1, out, step, taps)


def winograd_axis(size: int, out: int, kernel: int, before: int) -> Axis:
    """Winograd's filtering in place of `forward_axis` with step 1, for the rows."""
    m = winograd.N - kernel + 1
    taps = tuple(((t, t, 0),) for t in range(winograd.N))
    return Axis(-(-out // m), -before, 1, winograd.N, size, winograd.N, taps, m)


def abreast_axis(cols: Axis, images: int) -> Axis:
    """The columns of several images abreast, pixel w of image i in column w images + i; for columns without phases."""
    taps = tuple(tuple((v, phase, shift * images) for v, phase, shift in taps) for taps in cols.taps)
    return cols._replace(
        lattice=cols.lattice * images,
        low=cols.low * images,
        reach=(cols.reach - 1) * images + 1,
        size_in=cols.size_in * images,
        taps=taps,
        abreast=images,
    )


def span(low: int, step: int, phase: int, size: int, limit: int) -> tuple[int, int]:
    """The m in [0, limit) for which step (m + low) + phase lies in [0, size), as first and last + 1."""
    first = min(limit, max(0, -low))
    return first, max(first, min(limit, -((phase - size) // step) - low))


@lru_cache(maxsize=512)
def plan(rows: Axis, cols: Axis, N: int, C: int, K: int, lanes: int, most: int, pieces: int, straight: bool) -> Plan:
    """Cut the way from x (N, C, ...) to y (N, K, ...) into blocks of at most `most` numbers, and place them.

    `lanes` is the length of a vector, `pieces` the number of the groups of blocks, if there are enough. `straight` lets
    tiles write their results into y itself, where that is possible.
    """
    all_images = -(-N // cols.abreast)
    wide = cols.lattice + cols.reach - 1
    spans = [span(cols.low, cols.step_in, phase, cols.size_in, wide) for phase in range(cols.step_in)]
    pitch = max(cols.lattice, wide - spans[0][0], *(last for _, last in spans))

    straight = straight and rows.step_out == cols.step_out == cols.abreast == 1 and cols.lattice >= lanes
    planes = C * rows.step_in * cols.step_in + (0 if straight else K * rows.step_out * cols.step_out)
    if rows.tile:
        planes //= winograd.N  # the tap of an output phase lies in the input phase with its number: one at a time
    fitting = max(1, most // (planes * pitch))  # lattice rows
    few = max(-(-all_images * rows.lattice // pieces), -(-LEAST // pitch))
    cuts = -(-rows.lattice // min(fitting, few))
    if all_images == 1 and rows.lattice > 1:
        cuts += cuts % 2  # two threads share an image evenly
    height = -(-rows.lattice // cuts)
    high = height + rows.reach - 1
    while pieces > FEW_PIECES and -(-all_images // pieces) * high * pitch < LEAST:
        pieces //= 2
    images = 1 if cuts > 1 else max(1, min(fitting // high, -(-all_images // pieces)))
    lines = -(-(images * high * pitch + cols.reach + lanes) // NUMBERS)
    plane = (lines + 1 - lines % 2) * NUMBERS  # odd: neighbouring planes fall into different sets of the cache

    starts, targets = _vectors(images, height, high, pitch, cols.lattice, lanes), []
    if straight:
        places = [*range(0, cols.lattice - lanes, lanes), cols.lattice - lanes]
        both = [(i * high + q, i * K * rows.lattice + q) for i in range(images) for q in range(height)]
        starts = [line * pitch + place for line, _ in both for place in places]
        targets = [line * cols.lattice + place for _, line in both for place in places]

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

    blocks = -(-all_images // images) * cuts
    return Plan(
        blocks=blocks,
        cuts=cuts,
        pieces=min(pieces, blocks),
        all_images=all_images,
        images=images,
        rows=height,
        lattice_rows=rows.lattice,
        lattice_cols=cols.lattice,
        low_row=rows.low,
        low_col=cols.low,
        down_in=rows.step_in,
        right_in=cols.step_in,
        down_out=rows.step_out,
        right_out=cols.step_out,
        high=high,
        wide=wide,
        pitch=pitch,
        plane=plane,
        vectors=len(starts),
        starts=np.array(starts, np.int64),
        targets=np.array(targets, np.int64),
        taps=np.array(taps, np.int64),
        groups=np.array(groups, np.int64),
        tile=rows.tile,
        abreast=cols.abreast,
    )


def _vectors(images: int, height: int, high: int, pitch: int, width: int, lanes: int) -> list[int]:
    """Where the vectors begin that cover `height` rows of `width` results of each image, with zeros between them."""
    results = np.arange(images)[:, None, None] * high + np.arange(height)[:, None]
    results = (results * pitch + np.arange(width)).ravel()
    starts, covered = [], 0
    while covered < results.size:
        starts.append(results[covered])
        covered = np.searchsorted(results, results[covered] + lanes)
    return starts
