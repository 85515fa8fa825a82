"""Sums in parts: NumPy's order of additions, at any number of threads."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from autodiff.ops.conv2d import parts

from ..arrays import DTYPES

SIZES = st.one_of(st.integers(1, 9), st.integers(parts.SHARE - 1, 2 * parts.SHARE + 1))


@pytest.mark.parametrize("dtype", DTYPES)
@given(st.integers(1, 5), SIZES, st.integers(0, 99))
def test_total(dtype, count, size, seed):
    x = np.random.default_rng(seed).standard_normal((count, size)).astype(dtype)
    found = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            found.append(parts.total(x))
        finally:
            numba.set_num_threads(before)
    one_after_the_other = x[0].copy()
    for part in x[1:]:
        one_after_the_other = one_after_the_other + part
    for total in found:
        assert_array_equal(total, one_after_the_other, strict=True)
