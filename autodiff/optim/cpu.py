"""A step of Adam in Numba: equations (1)-(3) of reference.py, for all parameters in one call.

The kernel is told where the arrays of each parameter lie. It goes over blocks of numbers that stay in the first-level
cache, so memory is read and written once; each equation is a loop of its own, which the compiler turns into vectors.
"""

from ctypes import addressof, c_char
from functools import lru_cache

import numpy as np
from numba import njit

from ..vectors import array_at

BLOCK = 1024  # numbers: 7 arrays of so many stay in the first-level cache


def adam(xs, ms, vs, gs, b1, b2, rates, root, eps):
    arrays = [[np.empty(x.shape, x.dtype) for x in xs] for _ in range(3)]
    arrays += [[_plain(a, x.dtype) for a, x in zip(old, xs, strict=True)] for old in (xs, ms, vs, gs)]
    for dtype in {x.dtype for x in xs}:
        some = [i for i, x in enumerate(xs) if x.dtype == dtype and x.size]
        addresses = np.array([[addressof(c_char.from_buffer(of[i])) for of in arrays] for i in some], np.int64)
        numbers = (dtype.type(a) for a in (b1, 1 - b1, b2, 1 - b2, root, eps))
        blocks = _blocks(tuple(xs[i].size for i in some))
        _adam(addresses.reshape(-1, 7), blocks, np.array([rates[i] for i in some], dtype), *numbers)
    return arrays[:3]


def _plain(x, dtype):
    """x as an array of a dtype whose numbers lie one after the other."""
    return x if x.flags.carray and x.dtype == dtype else np.require(x, dtype, ["C", "A", "W"])


@lru_cache(maxsize=16)
def _blocks(sizes):
    """Which parameter, from which number to which, for all blocks."""
    blocks = [(i, first, min(first + BLOCK, size)) for i, size in enumerate(sizes) for first in range(0, size, BLOCK)]
    return np.array(blocks, np.int64).reshape(-1, 3)


@njit(cache=True)
def _adam(addresses, blocks, rates, b1, c1, b2, c2, root, eps):
    for block in range(len(blocks)):
        i, first, last = blocks[block]
        _update(addresses[i], rates[i], first, last - first, b1, c1, b2, c2, root, eps)


@njit(cache=True, error_model="numpy")
def _update(addresses, rate, first, count, b1, c1, b2, c2, root, eps):
    """One block of a parameter."""
    new_x, new_m, new_v, x, m, v, g = (
        array_at(addresses[0], first, count, eps), array_at(addresses[1], first, count, eps),
        array_at(addresses[2], first, count, eps), array_at(addresses[3], first, count, eps),
        array_at(addresses[4], first, count, eps), array_at(addresses[5], first, count, eps),
        array_at(addresses[6], first, count, eps),
    )  # fmt: skip
    for j in range(count):
        new_m[j] = b1 * m[j] + c1 * g[j]  # (1)
    for j in range(count):
        new_v[j] = b2 * v[j] + c2 * (g[j] * g[j])  # (2)
    for j in range(count):
        new_x[j] = x[j] - rate * new_m[j] / (np.sqrt(new_v[j]) * root + eps)  # (3)
