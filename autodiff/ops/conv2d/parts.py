"""Sums over many images in parts, whose number does not depend on the threads that share them: so the bits do not."""

import numpy as np
from numba import njit, prange

PARTS = 16
MANY = 1 << 16  # numbers in a sum from which half as many parts are faster, each being written and read once more
SHARE = 1 << 12  # numbers of the total that a thread takes at a time


def count(size):
    """The number of parts for sums of `size` numbers."""
    return PARTS if size < MANY else PARTS // 2


def total(parts):
    """The sum of parts (P, n) over P, one after the other."""
    y = np.empty(parts.shape[1], parts.dtype)
    _total(y, parts.reshape(-1))
    return y


@njit(parallel=True, cache=True)
def _total(y, parts):
    for share in prange((y.size + SHARE - 1) // SHARE):
        first = np.int64(share) * SHARE  # prange counts in unsigned ints
        last = min(first + SHARE, y.size)
        y[first:last] = parts[first:last]
        for start in range(y.size, parts.size, y.size):
            _add(y[first:last], parts[start + first : start + last])


@njit(cache=True)
def _add(y, part):
    for i in range(y.size):
        y[i] += part[i]
