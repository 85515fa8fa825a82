"""Filters that the cpu voice keeps in its own order: never those of yesterday, and not for longer than their array."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from autodiff.ops.conv2d import cpu, filters, reference

PADDING = ((1, 1), (1, 1))


@pytest.fixture
def arrays():
    """Images large enough for transforms of rows, and as many filters as channels."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((1, 8, 20, 20)), rng.standard_normal((8, 8, 3, 3))


def assert_right(x, weight, stride=(1, 1)):
    """Both maps that take filters, against the reference."""
    y = reference.forward(x, weight, None, stride, PADDING)
    assert_allclose(cpu.forward(x, weight, None, stride, PADDING), y, atol=1e-11)
    expected = reference.gradient_x(y, weight, x.shape, stride, PADDING)
    assert_allclose(cpu.gradient_x(y, weight, x.shape, stride, PADDING), expected, atol=1e-10)


def packings(weight):
    return [kept.packed for (key, _), kept in filters._kept.items() if key == id(weight)]


def test_filters_are_laid_out_once(arrays):
    x, weight = arrays
    assert_right(x, weight)
    first = packings(weight)
    assert_right(x, weight)
    assert len(first) == 2
    assert all(a is b for a, b in zip(first, packings(weight), strict=True))


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_number_written_in_place_counts(arrays, place):
    x, weight = arrays
    assert_right(x, weight)
    weight.reshape(-1)[place] += 1
    assert_right(x, weight)


def test_an_array_serves_convolutions_of_several_kinds(arrays):
    x, weight = arrays
    for stride in ((1, 1), (2, 2), (2, 1), (1, 1)):
        assert_right(x, weight, stride)
        assert_right(x[:, :, :3, :5].copy(), weight, stride)  # too few rows for transforms


def test_what_is_kept_goes_with_the_array(arrays):
    x, weight = arrays
    weight = weight.copy()  # the fixture holds the other
    before = len(filters._kept)
    assert_right(x, weight)
    assert len(filters._kept) == before + 2
    del weight
    assert len(filters._kept) == before


def test_arrays_that_kernels_cannot_read(arrays):
    x, weight = arrays
    for unusual in (np.asfortranarray(weight), weight[::-1], np.broadcast_to(weight[:1], weight.shape)):
        assert_right(x, unusual)
        assert_right(x, unusual)
