"""Winograd's filtering: its matrices, the kernels of the cpu voice that use it, and what it costs in digits."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from autodiff.llvm import BITS
from autodiff.ops.conv2d import cpu, reference, winograd

from ..arrays import DTYPES, LAYOUTS, laid_out

KERNELS = (2, 3, 4, 5)
TOLERANCE = {np.float32: 1e-5, np.float64: 2e-14}  # of the largest number; sums of up to 45 products


@pytest.mark.parametrize("r", KERNELS)
def test_the_matrices_filter(r):
    """Equation (1) on unit vectors: every product of a pixel and a weight goes where it belongs, and nowhere else."""
    A, G, B = winograd.matrices(r)
    m, n = A.shape
    for j in range(n):
        for u in range(r):
            y = A @ (G[:, u] * B[:, j])
            assert_allclose(y, [j == i + u for i in range(m)], atol=1e-14)


@pytest.mark.parametrize("r", KERNELS)
def test_the_matrices_give_the_adjoints(r):
    """Equation (2), against the sums that (1) stands for."""
    rng = np.random.default_rng(0)
    A, G, B = winograd.matrices(r)
    m, n = A.shape
    x, w, gy = rng.standard_normal(n), rng.standard_normal(r), rng.standard_normal(m)
    gx = np.array([sum(gy[i] * w[j - i] for i in range(m) if 0 <= j - i < r) for j in range(n)])
    gw = np.array([sum(gy[i] * x[i + u] for i in range(m)) for u in range(r)])
    assert_allclose(B.T @ ((G @ w) * (A.T @ gy)), gx, atol=1e-13)
    assert_allclose(G.T @ ((A.T @ gy) * (B @ x)), gw, atol=1e-13)


def test_products_are_saved_where_a_kernel_uses_it():
    """The rows of products that tiles take, beside those of the sum as it stands."""
    for r in range(1, 9):
        for rows in range(1, 70):
            if winograd.saves(r, rows):
                assert winograd.N * -(-rows // (winograd.N - r + 1)) <= 0.8 * r * rows
    assert winograd.saves(3, 60) and winograd.saves(5, 24)
    assert (
        not winograd.saves(3, 2)
        and not winograd.saves(2, 60)
        and not winograd.saves(1, 60)
        and not winograd.saves(4, 60)
    )


@pytest.mark.skipif(BITS != 512, reason="measured with vectors of 16 numbers")
@pytest.mark.parametrize(
    "C, K, size, kernel, few, many",  # of images: the most without transforms, the least with them
    [(32, 32, 13, 3, 1, 2), (64, 128, 12, 3, 1, 2), (128, 128, 10, 3, 8, 16), (20, 20, 12, 5, 1, 2)],
)
def test_transforms_are_taken_where_they_pay(C, K, size, kernel, few, many):
    """Not for few narrow images: their vectors would be half empty, and each filter would meet but one vector."""
    for N, pays in [(few, False), (many, True), (64, True)]:
        recipe = cpu._forward_recipe((N, C, size, size), (K, C, kernel, kernel), (1, 1), ((0, 0), (0, 0)), 4)
        assert bool(recipe.plan.tile) == pays
    wide = cpu._forward_recipe((1, C, 29, 29), (K, C, kernel, kernel), (1, 1), ((0, 0), (0, 0)), 4)
    assert wide.plan.tile


@st.composite
def problems(draw, dtype):
    """x, weight, bias, gy, stride and padding of convolutions that all have enough rows for a tile."""
    N, C, K = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 9))
    U, V = draw(st.sampled_from((3, 5))), draw(st.integers(1, 5))
    pads = [(draw(st.integers(0, 5)), draw(st.integers(0, 5))) for _ in range(2)]
    H, W = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    assume(H + sum(pads[0]) >= U and W + sum(pads[1]) >= V)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = (N, C, H, W), (K, C, U, V), (K,), (N, K, H + sum(pads[0]) - U + 1, W + sum(pads[1]) - V + 1)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return *(laid_out(a, draw(st.sampled_from(LAYOUTS))) for a in arrays), (1, 1), tuple(pads)


@contextmanager
def transforms_from(channels):
    """Let the voice transform rows for layers of so many channels, also where that does not pay."""
    recipes = cpu._forward_recipe, cpu._adjoint_recipe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "FEW", channels)
        patch.setattr(cpu, "_effort", lambda axes, *_: int(not axes[0].tile))
        for recipe in recipes:
            recipe.cache_clear()
        yield
    for recipe in recipes:
        recipe.cache_clear()


@pytest.fixture(scope="module")
def any_number_of_channels():
    with transforms_from(1):
        yield


@pytest.mark.usefixtures("any_number_of_channels")
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_the_voice_agrees_with_the_reference(dtype, data):
    x, weight, bias, gy, *options = data.draw(problems(dtype))
    rows, _ = cpu._forward_axes(x.shape, gy.shape, weight.shape, *options, x.itemsize)
    assume(rows.tile)
    for result, expected in (
        (cpu.forward(x, weight, bias, *options), reference.forward(x, weight, bias, *options)),
        (cpu.gradient_x(gy, weight, x.shape, *options), reference.gradient_x(gy, weight, x.shape, *options)),
        (cpu.gradient_weight(gy, x, weight.shape, *options), reference.gradient_weight(gy, x, weight.shape, *options)),
    ):
        assert (result.shape, result.dtype) == (expected.shape, dtype)
        assert_allclose(result, expected, rtol=0, atol=TOLERANCE[dtype] * max(1, abs(expected).max()))


@pytest.mark.parametrize("size", [3, 5])
def test_rounding_error(size):
    """Root mean square, of float32 against float64, beside the same sums without transforms."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 32, 36, 36)), rng.standard_normal((32, 32, size, size))
    exact = reference.forward(x, weight, None, (1, 1), ((1, 1), (1, 1)))
    x, weight = x.astype(np.float32), weight.astype(np.float32)
    errors = []
    for channels in (1, 1000):  # with and without transforms
        with transforms_from(channels):
            y = cpu.forward(x, weight, None, (1, 1), ((1, 1), (1, 1)))
        errors.append(np.sqrt(np.mean((y - exact) ** 2) / np.mean(exact**2)))
    transformed, plain = errors
    assert plain < transformed < 4 * plain < 4e-6
