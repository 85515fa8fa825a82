"""tps_motion: the interpolation conditions, the affine case, and the spline solved anew for every value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad
from hstn_ref.motion import affine_motion, control_points, tps_motion

from .fields import seeds, thetas

grids = st.tuples(st.integers(2, 5), st.integers(2, 5))
COORDS = ["normalised", "isotropic", "pixel"]


def scales(coords, shape):
    H, W = shape
    return {
        "normalised": ((W - 1) / 2, (H - 1) / 2),
        "isotropic": ((max(H, W) - 1) / 2,) * 2,
        "pixel": (1.0, 1.0),
    }[coords]


def definition(values, points, at):
    """(10) and (11): the thin-plate spline with `values` (K,) at `points` (K, 2), evaluated at the point `at`."""

    def U(p, q):
        r2 = (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2
        return r2 * np.log(r2) if r2 else 0.0

    K = len(points)
    A, right = np.zeros((K + 3, K + 3)), np.zeros(K + 3)
    for k, p in enumerate(points):
        A[k] = [*(U(p, q) for q in points), 1, *p]  # f(p_k) = v_k, for (w, c)
        right[k] = values[k]
        A[K, k], A[K + 1, k], A[K + 2, k] = 1, *p  # (11)
    w, c = np.split(np.linalg.solve(A, right), [K])
    return c[0] + c[1] * at[0] + c[2] * at[1] + sum(w[k] * U(at, q) for k, q in enumerate(points))


@pytest.mark.parametrize("coords", COORDS)
@given(grid=grids, shape=st.tuples(st.integers(2, 8), st.integers(2, 8)), seed=seeds)
def test_the_spline_solved_for_every_value(coords, grid, shape, seed):
    (R, C), (H, W), (s_x, s_y) = grid, shape, scales(coords, shape)
    offsets = np.random.default_rng(seed).standard_normal((1, 2, R, C))
    points = [
        ((j * (W - 1) / (C - 1) - (W - 1) / 2) / s_x, (i * (H - 1) / (R - 1) - (H - 1) / 2) / s_y)
        for i in range(R)
        for j in range(C)
    ]
    motion = tps_motion(offsets, shape, coords=coords).data[0]
    i, j = np.random.default_rng(seed + 1).integers(0, shape)
    at = (j - (W - 1) / 2) / s_x, (i - (H - 1) / 2) / s_y
    expected = [s * definition(offsets[0, k].ravel(), points, at) for k, s in enumerate((s_x, s_y))]
    assert_allclose(motion[:, i, j], expected, atol=1e-8)


@pytest.mark.parametrize("coords", COORDS)
@given(grid=grids, between=st.tuples(st.integers(1, 4), st.integers(1, 4)), seed=seeds)
def test_it_interpolates_its_control_points(coords, grid, between, seed):
    """On images whose pixels meet the points."""
    (R, C), (p, q) = grid, between
    shape = (R - 1) * p + 1, (C - 1) * q + 1
    offsets = np.random.default_rng(seed).standard_normal((2, 2, R, C))
    motion = tps_motion(offsets, shape, coords=coords).data
    s = np.array(scales(coords, shape)).reshape(2, 1, 1)
    assert_allclose(motion[:, :, ::p, ::q], offsets * s, atol=1e-10)
    rows, columns = control_points(shape, grid)
    assert_allclose(rows, np.arange(R) * p)
    assert_allclose(columns, np.arange(C) * q)


@pytest.mark.parametrize("coords", COORDS)
@given(grid=grids, shape=st.tuples(st.integers(2, 9), st.integers(2, 9)), seed=seeds)
def test_affine_offsets_give_the_affine_motion(coords, grid, shape, seed):
    (R, C), (H, W), (s_x, s_y) = grid, shape, scales(coords, shape)
    theta = thetas(seed, size=0.5)
    y, x = np.meshgrid(np.linspace(1 - H, H - 1, R) / 2 / s_y, np.linspace(1 - W, W - 1, C) / 2 / s_x, indexing="ij")
    A = theta.reshape(2, 2, 3) - np.eye(2, 3)
    offsets = np.stack([a[0] * x + a[1] * y + a[2] for M in A for a in M]).reshape(2, 2, R, C)
    motion = tps_motion(offsets, shape, coords=coords).data
    assert_allclose(motion, affine_motion(theta, shape, coords=coords).data, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_offsets_move_nothing(dtype):
    motion = tps_motion(np.zeros((3, 32), dtype), (7, 12))
    assert motion.dtype == dtype
    assert_array_equal(motion.data, np.zeros((3, 2, 7, 12)))


def test_flattened_offsets_are_x_before_y_row_by_row():
    offsets = np.random.default_rng(0).standard_normal((2, 2, 4, 4))
    expected = tps_motion(offsets, (7, 10)).data
    assert_array_equal(tps_motion(offsets.reshape(2, 32), (7, 10)).data, expected)
    assert_array_equal(tps_motion(offsets.reshape(2, 2, 16), (7, 10), grid=(4, 4)).data, expected)
    wide = np.random.default_rng(1).standard_normal((2, 2, 2, 8))
    assert_array_equal(tps_motion(wide.reshape(2, 32), (7, 10), grid=(2, 8)).data, tps_motion(wide, (7, 10)).data)


def test_an_offset_is_where_the_value_is_read():
    """The middle point of 3x3, one pixel to the right: its pixel is read one pixel further right."""
    offsets = np.zeros((1, 2, 3, 3))
    offsets[0, 0, 1, 1] = 1
    motion = tps_motion(offsets, (5, 9), coords="pixel").data[0]
    assert_allclose(motion[:, 2, 4], [1, 0], atol=1e-12)
    assert_allclose(motion[:, ::2, ::4].sum(), 1, atol=1e-12)  # nothing at the other points


def test_gradients():
    offsets = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    for results in (
        check.vjp(lambda offsets: tps_motion(offsets, (5, 6)), offsets),
        check.adjoint(lambda offsets: tps_motion(offsets, (5, 6)), offsets),
    ):
        assert all(result.passed for result in results)
    x = Tensor(offsets, requires_grad=True)
    gx = grad((tps_motion(x, (5, 6)) ** 2).sum(), x, create_graph=True)
    h = grad(gx.sum(), x).data  # linear in the offsets: the Hessian of the squares is 2 B B^T, whatever they are
    e = np.ones_like(offsets)
    y = tps_motion(e, (5, 6)).data
    assert_allclose(np.vdot(h, e), 2 * np.vdot(y, y))


@pytest.mark.parametrize(
    "offsets, shape, options, message",
    [
        ((2, 30), (5, 5), {}, r"offsets \(2, 30\) for a grid of 4x4 points, expected \(N, 2, 4, 4\)"),
        ((2, 2, 4, 4), (5, 5), {"grid": (2, 8)}, r"offsets \(2, 2, 4, 4\) for a grid of 2x8 points"),
        ((2, 3, 4, 4), (5, 5), {}, r"offsets \(2, 3, 4, 4\) for a grid of 4x4"),
        ((2, 2, 1, 4), (5, 5), {}, r"grid \(1, 4\) on images \(5, 5\), expected at least 2 rows and columns"),
        ((2, 32), (1, 5), {}, r"grid \(4, 4\) on images \(1, 5\)"),
        ((2, 32), (5, 5), {"coords": "polar"}, "unknown coordinates 'polar'"),
    ],
)
def test_bad_input(offsets, shape, options, message):
    with pytest.raises(ValueError, match=f"tps_motion: {message}"):
        tps_motion(np.zeros(offsets), shape, **options)


def test_bad_dtype():
    with pytest.raises(TypeError, match="tps_motion: got an input of dtype int64"):
        tps_motion(np.zeros((1, 32), int), (5, 5))
