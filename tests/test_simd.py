"""The vector tiles for every register width, against NumPy; LLVM splits vectors that are too wide for a machine."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import llvm, simd, vectors

# (1) to (3) sum at most 50 products of numbers of size 1 to 4.
ATOL = {np.float32: 1e-4, np.float64: 1e-12}

registers = pytest.mark.parametrize(
    "bits, dtype",
    [(128, np.float32), (256, np.float32), (512, np.float32), (128, np.float64), (512, np.float64)],
)


def tiles(bits, filters, most):
    """Both tiles of these sizes as plain functions."""

    @njit
    def correlate(y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, count):
        simd.correlate_tile(y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, count, bits, filters, most)

    @njit
    def dot(g, g_at, y, y_at, x, starts, M, taps, s, count):
        simd.dot_tile(g, g_at, y, y_at, x, starts, M, taps, s, count, bits, filters, most)

    return correlate, dot


@registers
def test_correlate_tile(bits, dtype):
    """Equation (1) at the pixels of tiles of every width, and nothing written elsewhere."""
    rng, lanes, F, V = np.random.default_rng(0), bits // 8 // np.dtype(dtype).itemsize, 4, 3
    correlate, _ = tiles(bits, F, V)
    x, w = rng.standard_normal(300).astype(dtype), rng.standard_normal(200).astype(dtype)
    taps = rng.permutation(100)[:20]
    starts = np.array([3, 5, 5 + lanes, 7 + 2 * lanes])  # neighbours or not, all unaligned
    for first, last, count in [(0, 20, 3), (4, 11, 1), (4, 11, 2), (6, 6, 3)]:
        y = np.full(5 + F * 90, 7, dtype)
        expected = y.copy()
        for f in range(F):
            for start in starts[1 : 1 + count]:
                for p in range(start, start + lanes):
                    expected[5 + 90 * f + p] = sum(
                        w[10 + (s - first) * F + f] * x[taps[s] + p] for s in range(first, last)
                    )
        correlate(y, 5, 90, x, starts, 1, taps, first, last, w, 10, count)
        assert_allclose(y, expected, atol=ATOL[dtype])


@registers
def test_correlate_tile_and_finish(bits, dtype):
    """Equation (1), a number for each filter, and no result below the floor if there is one."""
    rng, lanes, F, V = np.random.default_rng(0), bits // 8 // np.dtype(dtype).itemsize, 4, 2

    @njit
    def finished(y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, targets, plus, k, floor, count):
        simd.correlate_tile_and_finish(
            y, y_at, y_plane, x, starts, m, taps, first, last, w, w_at, targets, plus, k, floor, count, bits, F, V
        )

    x, w, plus = (rng.standard_normal(size).astype(dtype) for size in (300, 200, 9))
    taps, starts, targets = rng.permutation(100)[:20], np.array([1, 3, 5 + lanes]), np.array([60, 4 + lanes, 1])
    for count in (1, 2):
        y = np.full(5 + F * 90, 7, dtype)
        expected = y.copy()
        for f in range(F):
            for start, target in zip(starts[1 : 1 + count], targets[1:], strict=False):
                for lane in range(lanes):
                    total = sum(w[10 + s * F + f] * x[taps[s] + start + lane] for s in range(20))
                    expected[5 + 90 * f + target + lane] = total + plus[2 + f]
        finished(y, 5, 90, x, starts, 1, taps, 0, 20, w, 10, targets, plus, 2, None, count)
        assert_allclose(y, expected, atol=ATOL[dtype])
        assert y.min() < -0.5
        finished(y, 5, 90, x, starts, 1, taps, 0, 20, w, 10, targets, plus, 2, dtype(-0.5), count)
        assert_allclose(y, np.maximum(expected, -0.5), atol=ATOL[dtype])


@registers
def test_dot_tile(bits, dtype):
    """Equation (2), added to what is there, and nothing written elsewhere."""
    rng, lanes, F, T, M = np.random.default_rng(0), bits // 8 // np.dtype(dtype).itemsize, 4, 3, 3
    _, dot = tiles(bits, F, T)
    x, y = rng.standard_normal(300).astype(dtype), rng.standard_normal(6 + M * F * lanes).astype(dtype)
    taps, starts = np.array([90, 4, 0, 33, 77]), np.array([2, 3 + lanes, 9 + 3 * lanes])
    for count in (1, 2, 3):
        g = rng.standard_normal(40).astype(dtype)
        expected = g.copy()
        for f in range(F):
            for t in range(count):
                for m in range(M):
                    gradients = y[6 + (m * F + f) * lanes :][:lanes]
                    expected[3 + F * t + f] += gradients @ x[taps[1 + t] + starts[m] :][:lanes]
        dot(g, 3, y, 6, x, starts, M, taps, 1, count)
        assert_allclose(g, expected, atol=ATOL[dtype])


@registers
def test_multiply_tile(bits, dtype):
    """Equation (3), added to what is there, and nothing written elsewhere."""
    rng, lanes, F, V = np.random.default_rng(0), bits // 8 // np.dtype(dtype).itemsize, 4, 3

    @njit
    def multiply(y, y_at, y_step, w, w_at, w_step, x, x_at, x_step, count, columns):
        simd.multiply_tile(y, y_at, y_step, w, w_at, w_step, x, x_at, x_step, count, columns, bits, F, V)

    w, x = rng.standard_normal(100).astype(dtype), rng.standard_normal(1200).astype(dtype)
    for count, columns in [(20, 3), (7, 1), (1, 2), (0, 3)]:
        y = rng.standard_normal(5 + F * 60).astype(dtype)
        expected = y.copy()
        for f in range(F):
            for p in range(columns * lanes):
                expected[5 + 60 * f + p] += sum(w[2 + 23 * f + s] * x[9 + 50 * s + p] for s in range(count))
        multiply(y, 5, 60, w, 2, 23, x, 9, 50, count, columns)
        assert_allclose(y, expected, atol=ATOL[dtype])


@given(left=st.integers(1, 100), most=st.integers(1, 12))
def test_tile_width(left, most):
    """No tile is wider than the widest, none more than one wider than another, and there are as few as can be."""
    widths = []
    while (rest := left - sum(widths)) > 0:
        widths.append(simd.tile_width(rest, most))
    assert sum(widths) == left and len(widths) == -(-left // most)
    assert most >= max(widths) and max(widths) - min(widths) <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    shape=st.tuples(st.integers(0, 3), st.integers(0, 40)),
    to_step=st.integers(1, 3),
    x_step=st.integers(1, 3),
    at=st.integers(0, 5),
)
def test_copy(dtype, shape, to_step, x_step, at):
    x = np.arange(600, dtype=dtype)
    to, expected = np.zeros(600, dtype), np.zeros(600, dtype)
    for i, j in np.ndindex(shape):
        expected[at + 131 * i + to_step * j] = max(x[7 + 140 * i + x_step * j] + 0.5, 200)
    vectors.copy(to, at, (131, to_step), x, 7, (140, x_step), shape, dtype(0.5), dtype(200))
    assert_array_equal(to, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(count=st.integers(0, 80), at=st.integers(0, 5), floor=st.sampled_from([-np.inf, 50]))
def test_interleave(dtype, count, at, floor):
    x = np.random.default_rng(0).permutation(200).astype(dtype)
    to, expected = np.zeros(100, dtype), np.zeros(100, dtype)
    for j in range(count):
        expected[at + j] = max(x[(90 if j % 2 else 7) + j // 2] + 0.5, floor)
    vectors.interleave(to, at, x, 7, 90, count, dtype(0.5), dtype(floor))
    assert_array_equal(to, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(rows=st.integers(0, 40), cols=st.integers(0, 40), at=st.integers(0, 5))
def test_transpose(dtype, rows, cols, at):
    x = np.arange(2000, dtype=dtype)
    to, expected = np.zeros(2000, dtype), np.zeros(2000, dtype)
    for i, j in np.ndindex(rows, cols):
        expected[at + 41 * j + i] = x[7 + 43 * i + j]
    vectors.transpose(to, at, 41, x, 7, 43, rows, cols)
    assert_array_equal(to, expected)


MATRIX = np.array([[1, 0, -1, 0.5], [0, 0, 0, 2], [-1, 3, 1, 0]])
mix = vectors.linear_map(MATRIX)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(count=st.integers(1, 40), at=st.integers(0, 5))
def test_linear_map(dtype, count, at):
    x = np.random.default_rng(0).standard_normal(200).astype(dtype)
    to, expected = np.zeros(150, dtype), np.zeros(150, dtype)
    for t, row in enumerate(MATRIX):
        mixed = sum(row[j] * x[7 + 45 * j :][:count] for j in range(4)) + 0.25
        expected[at + 43 * t :][:count] = np.maximum(mixed, -1)
    mix(to, at, 43, x, 7, 45, count, dtype(0.25), dtype(-1))
    assert_allclose(to, expected, atol=ATOL[dtype] / 100)


def test_a_floor_lets_nan_pass():
    x, to = np.array([np.nan, -1, 2, np.nan, 0.0]), np.zeros(5)
    vectors.copy(to, 0, (1, 1), x, 0, (1, 1), (1, 5), 0.0, 0.0)
    assert_array_equal(to, [np.nan, 0, 2, np.nan, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(count=st.integers(0, 200), at=st.integers(0, 9))
def test_sum_of(dtype, count, at):
    x = np.random.default_rng(0).standard_normal(300).astype(dtype)
    assert_allclose(vectors.sum_of(x, at, count), x[at : at + count].sum(dtype=np.float64), atol=ATOL[dtype])


@pytest.mark.parametrize(
    "features, bits",
    [("", 128), ("+sse2,-avx2", 128), ("+avx2,-avx512f", 256), ("+avx2,+avx512f,+fma", 512)],
)
def test_register_bits(features, bits):
    assert llvm.register_bits(features) == bits


def test_the_width_is_the_one_that_numba_compiles_for():
    """Numba can be told to compile for a smaller machine than this one."""
    ran = subprocess.run(
        [sys.executable, "-c", "from autodiff import llvm, simd; print(llvm.BITS, simd.VECTORS)"],
        env={**os.environ, "NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"},
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.stderr) == ("128 3\n", "")


@pytest.mark.parametrize("filters, vectors", [(simd.FILTERS, simd.VECTORS), (simd.FEW_FILTERS, simd.MANY_VECTORS)])
def test_the_tiles_fit_into_the_registers(filters, vectors):
    assert filters * vectors + vectors + 1 <= simd.REGISTERS == (32 if llvm.BITS == 512 else 16)
    assert llvm.BYTES * 8 == llvm.BITS


def test_every_linear_map_has_a_name_of_its_own():
    """Numba's cache would take one for another otherwise."""
    names = [vectors.linear_map(matrix).py_func.__qualname__ for matrix in (MATRIX, MATRIX, MATRIX.T, -MATRIX)]
    assert names[0] == names[1] and len(set(names)) == 3
