"""The most multiply-adds that the machine does: the register tile on data in the first-level cache."""

from __future__ import annotations

import time

import numba
import numpy as np

from autodiff.llvm import BITS, BYTES
from autodiff.simd import FILTERS, VECTORS, correlate_tile

TAPS, TILES, ROUNDS = 144, 4_000, 50  # a round takes about a millisecond: some are not interrupted


def peak(threads: int) -> float:
    """GFLOP/s in float32 of so many threads, the best of many short rounds.

    On a shared machine that still depends on the moment: measure now and then, and keep the largest.
    """
    numba.set_num_threads(threads)
    lanes = BYTES // 4
    x, weight = np.ones(2048, np.float32), np.ones(TAPS * FILTERS, np.float32)
    starts, taps = np.arange(VECTORS) * lanes, np.arange(TAPS)
    flop = 2 * threads * TILES * TAPS * FILTERS * VECTORS * lanes
    seconds = []
    for _ in range(1 + ROUNDS):  # the first compiles
        start = time.perf_counter()
        _tiles(np.zeros((threads, FILTERS * 256), np.float32), x, starts, taps, weight)
        seconds.append(time.perf_counter() - start)
    return flop / min(seconds[1:]) / 1e9


@numba.njit(parallel=True, cache=True)
def _tiles(y, x, starts, taps, weight):
    for thread in numba.prange(y.shape[0]):
        row = y[thread]
        for _ in range(TILES):
            correlate_tile(row, 0, 256, x, starts, 0, taps, 0, TAPS, weight, 0, VECTORS, BITS, FILTERS, VECTORS)
