"""keep_freed_memory: the pages of a freed array are used again. In a process of its own, since it is for good.

images_of: every image in any layout, and no copy of a slice of channels.
"""

import ctypes
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from autodiff.memory import images_of

from .arrays import LAYOUTS, laid_out

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


def images(flat, shape, step):
    """What a kernel reads."""
    size = int(np.prod(shape[1:]))
    return np.stack([flat[n * step : n * step + size].reshape(shape[1:]) for n in range(shape[0])])


@given(
    shape=st.tuples(*(st.integers(1, 3) for _ in range(3))),
    layout=st.sampled_from(LAYOUTS),
    take=st.sampled_from(["all", "channels", "backwards", "every second", "repeated", "transposed"]),
)
def test_images_in_any_layout(shape, layout, take):
    x = laid_out(np.random.default_rng(0).standard_normal((2 * shape[0], 4, *shape[1:])), layout)
    x = {
        "all": x,
        "channels": x[:, 1:3],
        "backwards": x[::-1],
        "every second": x[::2],
        "repeated": np.broadcast_to(x[:1], x.shape),
        "transposed": x.swapaxes(0, 1),
    }[take]
    flat, found, step = images_of(x)
    assert flat.ndim == 1 and flat.flags.c_contiguous and flat.flags.writeable and found == x.shape
    assert_array_equal(images(flat, found, step), x)


def test_a_slice_of_channels_is_not_copied():
    x = np.zeros((3, 5, 2, 2))
    assert np.shares_memory(images_of(x[:, 1:4])[0], x)
