"""keep_freed_memory: the pages of a freed array are used again. In a process of its own, since it is for good."""

import ctypes
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource
import numpy as np
from autodiff.memory import keep_freed_memory

kept = keep_freed_memory() if {keep} else False
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**23)  # 64 MB, more than the C library keeps by itself
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    command = [sys.executable, "-c", COUNT_FAULTS.format(keep=keep)]
    kept, count = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return kept == "True", int(count)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_freed_arrays_are_used_again():
    kept, few = faults(keep=True)
    _, many = faults(keep=False)
    assert kept
    assert few < 100 < many
