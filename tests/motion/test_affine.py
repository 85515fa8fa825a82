"""affine_motion: equation (5) against its definition, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check
from hstn_ref.motion import affine_motion, identity_theta
from hstn_ref.motion.coordinates import pixels


def definition(theta, shape, scale):
    """(5) and (5') letter by letter, for one theta."""
    (H, W), (s_x, s_y) = shape, scale
    a, b, c, d, e, f = theta
    motion = np.zeros((2, H, W))
    for i, j in np.ndindex(H, W):
        x = (j - (W - 1) / 2) / s_x if W > 1 else 0.0
        y = (i - (H - 1) / 2) / s_y if H > 1 else 0.0
        motion[0, i, j] = s_x * ((a - 1) * x + b * y + c)
        motion[1, i, j] = s_y * (d * x + (e - 1) * y + f)
    return motion


def scales(coords, shape):
    H, W = shape
    return {
        "normalised": ((W - 1) / 2, (H - 1) / 2),
        "isotropic": ((max(H, W) - 1) / 2,) * 2,
        "pixel": (1.0, 1.0),
    }[coords]


@pytest.mark.parametrize("coords", ["normalised", "isotropic", "pixel"])
@given(shape=st.tuples(st.integers(2, 7), st.integers(2, 7)), seed=st.integers(0, 999))
def test_equation_5(coords, shape, seed):
    theta = np.random.default_rng(seed).standard_normal((3, 6))
    motion = affine_motion(theta, shape, coords=coords).data
    for n in range(3):
        assert_allclose(motion[n], definition(theta[n], shape, scales(coords, shape)), atol=1e-12)


@pytest.mark.parametrize("coords", ["normalised", "isotropic", "pixel"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (60, 60), (7, 12)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_identity_moves_nothing(coords, shape, dtype):
    motion = affine_motion(identity_theta(dtype)[None], shape, coords=coords)
    assert motion.dtype == dtype
    assert_array_equal(motion.data, np.zeros((1, 2, *shape)))


@pytest.mark.parametrize("coords", ["isotropic", "pixel"])
def test_a_rotation_stays_rigid_on_a_non_square_image(coords):
    c, s = np.cos(0.3), np.sin(0.3)
    motion = affine_motion(np.array([[c, -s, 0, s, c, 0]]), (5, 9), coords=coords).data[0]
    y, x = np.mgrid[:5, :9]
    moved = np.stack([x, y]) + motion
    assert_allclose(np.hypot(*(moved[:, 0, 8] - moved[:, 4, 0])), np.hypot(8, 4))
    normalised = affine_motion(np.array([[c, -s, 0, s, c, 0]]), (5, 9)).data[0]
    moved = np.stack([x, y]) + normalised
    assert abs(np.hypot(*(moved[:, 0, 8] - moved[:, 4, 0])) - np.hypot(8, 4)) > 0.1


@pytest.mark.parametrize("coords", ["normalised", "isotropic", "pixel"])
def test_after_another_motion_is_the_exact_composition(coords):
    """theta taken at p + w(p): compare with (5) evaluated at the moved points themselves."""
    rng = np.random.default_rng(1)
    theta, w, (H, W) = rng.standard_normal((1, 6)), rng.standard_normal((1, 2, 4, 6)), (4, 6)
    motion = affine_motion(theta, (H, W), coords=coords, after=Tensor(w)).data[0]
    (s_x, s_y), (a, b, c, d, e, f) = scales(coords, (H, W)), theta[0]
    for i, j in np.ndindex(H, W):
        x, y = (j + w[0, 0, i, j] - (W - 1) / 2) / s_x, (i + w[0, 1, i, j] - (H - 1) / 2) / s_y
        expected = s_x * ((a - 1) * x + b * y + c), s_y * (d * x + (e - 1) * y + f)
        assert_allclose(motion[:, i, j], expected, atol=1e-12)


def test_of_large_images_one_grid_is_kept():
    coords, dtype = "normalised", np.dtype(np.float32)
    small, large = pixels((60, 60), coords, dtype), pixels((300, 300), coords, dtype)
    assert large is pixels((300, 300), coords, dtype)
    pixels((300, 301), coords, dtype)
    assert large is not pixels((300, 300), coords, dtype)
    assert small is pixels((60, 60), coords, dtype)
    assert_array_equal(large, pixels((300, 300), coords, dtype))


def test_gradients():
    rng = np.random.default_rng(0)
    theta, w = rng.standard_normal((2, 6)), rng.standard_normal((2, 2, 3, 4))
    for results in (
        check.vjp(lambda theta: affine_motion(theta, (3, 4)), theta),
        check.adjoint(lambda theta: affine_motion(theta, (3, 4)), theta),
        check.vjp(lambda theta, w: affine_motion(theta, (3, 4), after=w), theta, w),
        check.second_order(lambda theta, w: affine_motion(theta, (3, 4), after=w), theta, w),
    ):
        assert all(result.passed for result in results)


def test_bad_input():
    with pytest.raises(ValueError, match=r"affine_motion: theta has shape \(2, 3\), expected \(N, 6\)"):
        affine_motion(np.zeros((2, 3)), (4, 4))
    with pytest.raises(ValueError, match="unknown coordinates 'polar', expected one of normalised, isotropic, pixel"):
        affine_motion(np.zeros((2, 6)), (4, 4), coords="polar")
    with pytest.raises(ValueError, match=r"affine_motion: after has shape \(1, 2, 1, 1\), expected \(1, 2, 4, 6\)"):
        affine_motion(np.zeros((1, 6)), (4, 6), after=Tensor(np.zeros((1, 2, 1, 1))))
    with pytest.raises(TypeError, match="affine_motion: inputs have different dtypes"):
        affine_motion(np.zeros((1, 6)), (4, 4), after=Tensor(np.zeros((1, 2, 4, 4), np.float32)))
    with pytest.raises(TypeError, match="affine_motion: got an input of dtype int64"):
        affine_motion(np.zeros((2, 6), int), (4, 4))
