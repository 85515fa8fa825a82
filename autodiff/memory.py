"""Keep freed memory for the next step.

A training step allocates the same large arrays again and again. By default the C library gives a freed array of many
megabytes back to the system at once, and the next one of its size is mapped afresh, page by page, each page cleared by
the kernel: on the networks here a sixth of the whole step. NumPy's arrays come from malloc, so one setting of malloc
removes that for all of them, without a pool of our own and without a rule about who may hold which array.
"""

from __future__ import annotations

import ctypes

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
