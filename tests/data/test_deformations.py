"""Deformed pairs: the motion is the true one, in both directions, and what is drawn is what was asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from hstn_ref.data import Deformation, random_pair
from hstn_ref.data.deformations import Field, inverse_motion, random_elastic, random_field

from ..flow.samples import waves

seeds = st.integers(0, 999)


def canvas(shape=(120, 130), channels=1):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    return np.stack([waves(x, y, c) for c in range(channels)])


def at(image, x, y):
    """image (H, W) between its pixels by cubic splines, another interpolation than the one under test."""
    return map_coordinates(image, [y, x], order=3, mode="nearest")


@given(seeds, st.sampled_from([1, 3]), st.sampled_from([(40, 48), (41, 41)]))
def test_the_target_is_the_source_moved(seed, channels, shape):
    image = canvas(channels=channels)
    pair = random_pair(image, shape, np.random.default_rng(seed))
    top, left = (120 - shape[0]) // 2, (130 - shape[1]) // 2
    np.testing.assert_array_equal(pair.source, image[:, top : top + shape[0], left : left + shape[1]])
    y, x = np.mgrid[: shape[0], : shape[1]]
    for plane, target in zip(image, pair.target, strict=True):
        expected = at(plane, x + left + pair.motion[0], y + top + pair.motion[1])
        # Bilinear between pixels of waves of 6 pixels: an eighth of the second derivative.
        assert abs(target - expected).max() < 20 and abs(target - expected).mean() < 3


@given(seeds)
def test_the_motion_there_and_back_is_none(seed):
    pair = random_pair(canvas((80, 90)), (64, 72), np.random.default_rng(seed))
    y, x = np.mgrid[:64, :72]
    u, v = pair.inverse
    back = np.stack([at(w, x + u, y + v) for w in pair.motion])
    landed = (x + u >= 2) & (x + u <= 69) & (y + v >= 2) & (y + v <= 61)  # where the grid of the motion reaches
    assert landed.any()
    # The spline and the hat between pixels differ by the curvature of the motion: some hundredths of a pixel at most.
    assert abs((pair.inverse + back)[:, landed]).max() < 0.03
    assert abs((pair.inverse + back)[:, landed]).mean() < 0.005


def test_swapping_exchanges_both():
    pair = random_pair(canvas(), (40, 48), np.random.default_rng(0))
    other = pair.swapped()
    assert other.source is pair.target and other.target is pair.source
    assert other.motion is pair.inverse and other.inverse is pair.motion


@given(seeds, st.floats(0, 4), st.floats(2, 12))
def test_the_elastic_motion_has_the_displacement_asked_for(seed, rms, sigma):
    e = random_elastic((50, 60), np.random.default_rng(seed), rms, sigma)
    assert np.sqrt((e[0] ** 2 + e[1] ** 2).mean()) == pytest.approx(rms, rel=1e-9, abs=1e-12)


def test_sigma_is_the_width_of_the_elastic_motion():
    """Noise after a Gaussian of sigma has the correlation exp(-d^2 / (4 sigma^2)) at distance d."""
    e = random_elastic((400, 400), np.random.default_rng(0), 1.0, 5.0)
    for d in (2, 5, 10):
        correlation = (e[..., d:] * e[..., :-d]).mean() / (e**2).mean()
        assert correlation == pytest.approx(np.exp(-(d**2) / 100), abs=0.03)


@given(seeds)
def test_the_affine_part_is_a_rotation_a_scale_a_shear_and_a_shift(seed):
    asked = Deformation(rotation=20, scale=0.1, shear=0.2, shift=0.05, rms=0)
    field = random_field((60, 80), np.random.default_rng(seed), asked)
    L = field.linear + np.eye(2)
    s, angle = np.hypot(*L[:, 0]), np.degrees(np.arctan2(L[1, 0], L[0, 0]))
    assert 0.9 <= s <= 1.1 and abs(angle) <= 20
    assert np.linalg.det(L) == pytest.approx(s**2)
    assert abs((L[:, 0] @ L[:, 1]) / s**2) <= 0.2
    assert abs(field.shift[0]) <= 4 and abs(field.shift[1]) <= 3
    centre = field.at(np.array([39.5, 29.5]).reshape(2, 1, 1)).ravel()
    np.testing.assert_allclose(centre, field.shift, atol=1e-12)
    corner = field.at(np.array([0.0, 0.0]).reshape(2, 1, 1)).ravel()
    np.testing.assert_allclose(corner, L @ [-39.5, -29.5] + [39.5, 29.5] + field.shift, atol=1e-9)


@given(seeds)
def test_no_motion_folds(seed):
    field = random_field((40, 48), np.random.default_rng(seed), Deformation(rms=2.5, sigma=5.0))
    w = field.at(np.mgrid[:40, :48][::-1].astype(float))
    x, y = np.diff(w, axis=2)[:, :-1], np.diff(w, axis=1)[:, :, :-1]
    assert ((1 + x[0]) * (1 + y[1]) - y[0] * x[1]).min() > 0


def test_a_motion_that_always_folds_is_an_error():
    with pytest.raises(
        ValueError, match=r"9\.0 pixels root-mean-square with sigma 2\.0 folds, or almost, in all of 100"
    ):
        random_pair(canvas(), (40, 48), np.random.default_rng(0), Deformation(rms=9.0, sigma=2.0))


def test_even_half_a_turn_is_inverted():
    field = Field((16, 21), -2 * np.eye(2), np.array([1.0, -2.0]), np.zeros((2, 24, 29)), 4)
    y, x = np.mgrid[:16, :21]
    np.testing.assert_allclose(inverse_motion(field), [20 - 2 * x + 1, 15 - 2 * y - 2], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_the_dtype_of_the_canvas_is_kept_and_integers_rounded(dtype):
    image = canvas().clip(0, 255)
    rng = [np.random.default_rng(3) for _ in range(2)]
    pair = random_pair(np.rint(image).astype(dtype), (40, 48), rng[0])
    assert pair.source.dtype == pair.target.dtype == dtype and pair.motion.dtype == np.float64
    exact = random_pair(np.rint(image), (40, 48), rng[1]).target
    assert abs(pair.target - exact).max() <= (0.5 if np.issubdtype(dtype, np.integer) else 1e-4)


def test_the_same_seed_gives_the_same_pair():
    pairs = [random_pair(canvas(), (40, 48), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(pairs[0].motion, pairs[1].motion)
    assert abs(pairs[0].motion - pairs[2].motion).max() > 0.1


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"canvas \(1, 30, 60\), expected \(C, h, w\) with h >= 40 and w >= 48"):
        random_pair(np.zeros((1, 30, 60)), (40, 48), np.random.default_rng(0))
    for rms, sigma in ((-1, 5), (1, 0)):
        with pytest.raises(ValueError, match="expected rms >= 0 and sigma > 0"):
            random_elastic((9, 9), np.random.default_rng(0), rms, sigma)
