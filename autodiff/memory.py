"""Keep freed memory for the next step.

A training step allocates the same large arrays again and again. By default the C library gives a freed array of many
megabytes back to the system at once, and the next one of its size is mapped afresh, page by page, each page cleared by
the kernel: on the networks here a sixth of the whole step. NumPy's arrays come from malloc, so one setting of malloc
removes that for all of them, without a pool of our own and without a rule about who may hold which array.
"""

from __future__ import annotations

import ctypes

import numpy as np

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Let this process keep what it frees: large arrays are taken from the heap, and the heap is never trimmed.

    The setting is global to the process and lasts until it ends. Returns whether the C library has it (glibc does).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


def writable(x: np.ndarray) -> np.ndarray:
    """x itself if its numbers lie one after the other in row-major order and can be written, otherwise a copy.

    The kernels are compiled for this one kind of array.
    """
    flags = x.flags
    return x if flags.carray else np.require(x, requirements=["C", "A", "W"])


def images_of(x: np.ndarray) -> tuple[np.ndarray, tuple[int, ...], int]:
    """x (N, ...) as flat memory, its shape, and the distance of two images in numbers.

    A copy is made only if the numbers of an image do not lie one after the other in row-major order, or cannot be
    written. So a slice of channels, such as the gradient to a part of a concatenation, is read where it lies.
    """
    if x.flags.carray and x.size:
        return x.reshape(-1), x.shape, x.size // len(x)
    step, rest = divmod(x.strides[0], x.itemsize) if x.size else (0, 0)
    apart = len(x) == 1 or (rest == 0 and step >= x[0].size)
    if not (x.size and apart and x.flags.writeable and x.flags.aligned and x[0].flags.c_contiguous):
        x = writable(x)
        step = x[0].size if len(x) else 0
    step = step if len(x) > 1 else x[0].size
    flat = np.lib.stride_tricks.as_strided(x, ((len(x) - 1) * step + x[0].size,), (x.itemsize,))
    return flat, x.shape, step
