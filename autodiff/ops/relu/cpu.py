"""The rectifier in Numba: equations (1), (2) and names from reference.py, in one pass over the memory."""

import numpy as np
from numba import njit, prange

from ...memory import images_of, writable

PIECE = 1 << 14  # numbers that a thread takes at a time


def forward(x):
    x = writable(x)
    y = np.empty(x.shape, x.dtype)
    _forward(y.reshape(-1), x.reshape(-1))
    return y


def gradient(gy, x):
    gx = np.empty(x.shape, x.dtype)
    if x.ndim == 0 or (gy.flags.c_contiguous and x.flags.c_contiguous):
        gy, x = gy.reshape(1, -1), x.reshape(1, -1)
    gy, _, gy_step = images_of(gy)
    x, shape, x_step = images_of(x)
    _gradient(gx.reshape(shape[0], gx.size // max(1, shape[0])), gy, gy_step, x, x_step)
    return gx


@njit(parallel=True, cache=True)
def _forward(y, x):
    if x.size <= PIECE:  # to call the threads would take longer
        _forward_of(y, x)
        return
    for piece in prange((x.size + PIECE - 1) // PIECE):
        first = np.int64(piece) * PIECE  # prange counts in unsigned ints
        last = min(first + PIECE, x.size)
        _forward_of(y[first:last], x[first:last])


@njit(cache=True)
def _forward_of(y, x):  # a function of its own: inside prange, this loop would not become vector instructions
    zero = x.dtype.type(0)
    for i in range(y.size):
        y[i] = zero if x[i] <= zero else x[i]  # (1)


@njit(parallel=True, cache=True)
def _gradient(gx, gy, gy_step, x, x_step):
    N, size = gx.shape
    pieces = (size + PIECE - 1) // PIECE
    for piece in prange(N * pieces):
        n, first = piece // pieces, piece % pieces * PIECE
        last = min(first + PIECE, size)
        _gradient_of(gx[n, first:last], gy[n * gy_step + first :], x[n * x_step + first :])


@njit(cache=True)
def _gradient_of(gx, gy, x):
    zero = x.dtype.type(0)
    for i in range(gx.size):
        gx[i] = gy[i] if x[i] > zero else zero  # (2)
