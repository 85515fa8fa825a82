"""The matches of ldof against the definition in loops, and that they reach where warping does not."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hstn_ref.flow import brox, ldof
from hstn_ref.flow.ldof import BETA, normalised, splat_matches
from hstn_ref.flow.matching import _best, descriptors, find_matches, interesting
from hstn_ref.flow.variational import constancies, minimise

from .samples import inside, shifted


def test_what_is_small_and_moves_far_is_found():
    """A patch of 24x24 pixels moves by 30 while all else stays: where that is a pixel, the patch is less than one."""
    rng = np.random.default_rng(0)
    background, _ = shifted((96, 96), (0, 0))
    patch = np.kron(rng.uniform(0, 255, (6, 6)), np.ones((4, 4)))
    source, target = background[0].copy(), background[0].copy()
    target[40:64, 22:46] = patch
    source[40:64, 52:76] = patch
    there = (slice(None), slice(43, 61), slice(25, 43))
    assert abs(ldof(source, target)[there] - np.reshape([30, 0], (2, 1, 1))).mean() < 2
    assert abs(brox(source, target)[there] - np.reshape([30, 0], (2, 1, 1))).mean() > 10


def test_motions_as_long_as_the_radius_are_found():
    source, target = shifted((160, 200), (64, -3))
    there = (slice(None), slice(20, 140), slice(16, 120))
    for radius, found in ((40, False), (70, True)):
        error = abs(ldof(source, target, radius=radius)[there] - np.reshape([64, -3], (2, 1, 1))).max()
        assert (error < 0.1) == found


def test_every_level_has_the_weights_of_the_definition(monkeypatch):
    """alpha, beta, gamma of the authors' program, the first two over sqrt(3); the last passes have no matches."""
    passes = []

    def watched(rows, mask, w0, weights, matches=None, **options):
        passes.append((weights, matches))
        return minimise(rows, mask, w0, weights, matches, **options)

    monkeypatch.setattr(sys.modules["hstn_ref.flow.ldof"], "minimise", watched)
    ldof(*shifted((40, 48), (2, -1)))
    levels = len(passes) - 5
    assert 15 <= 40 * 0.95 ** (levels - 1) < 15 / 0.95  # the coarsest has 15 rows
    for k, (weights, matches) in zip(range(levels - 1, -1, -1), passes, strict=False):
        assert weights.alpha == pytest.approx(30 / 3**0.5) and weights.gamma == pytest.approx(5 * 0.95**k)
        assert weights.relaxations == 5 and matches is not None
    for weights, matches in passes[levels:]:
        assert weights.alpha == pytest.approx(30 / 3**0.5) and weights.gamma == 5
        assert weights.relaxations == 10 and matches is None
    assert not any(weights.joint for weights, _ in passes)


def test_a_certain_match_weighs_beta():
    one = np.ones(1)
    found = splat_matches(np.array([[3, 2]]), np.array([[4.0, -1.0]]), one, (6, 8), (6, 8))
    assert found.weight[2, 3] == pytest.approx(300 / 3**0.5) and np.count_nonzero(found.weight) == 1
    np.testing.assert_array_equal(found.motion[:, 2, 3], [4, -1])


def test_a_radius_of_nothing_is_refused():
    with pytest.raises(ValueError, match="ldof: radius is 0, expected at least 1 pixel"):
        ldof(*shifted((32, 32), (1, 1)), radius=0)


def test_matches_of_a_shift():
    source, target = shifted((64, 64), (7, -5))
    points, motions, rho = find_matches(source, target)
    assert len(points) > 50
    assert np.mean(np.all(motions == (7, -5), axis=1)) > 0.9
    assert (rho >= 0).all() and rho.max() <= 5


@given(st.integers(0, 99))
def test_the_best_candidate_is_that_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    H, W, K, radius, colour = 9, 11, 5, 3, 200.0
    d1, d2 = rng.uniform(1, 3, (2, H, W, K)).astype(np.float32)
    image1, image2 = rng.uniform(0, 20, (2, 3, H, W)).astype(np.float32)
    points = np.stack([rng.integers(0, W, 6), rng.integers(0, H, 6)], axis=1)
    points[0] = -1
    found, rho = _best(d1, d2, image1, image2, points, radius, colour)
    for n, (x, y) in enumerate(points):
        candidates = []
        for i in range(H):
            for j in range(W):
                ratio = float((d2[i, j] ** 2).sum() / (d1[y, x] ** 2).sum())
                near = abs(i - y) <= radius and abs(j - x) <= radius
                alike = ((image1[:, y, x] - image2[:, i, j]) ** 2).sum() <= colour
                if x >= 0 and near and alike and 0.5 <= ratio <= 2:
                    candidates.append((float(((d1[y, x] - d2[i, j]) ** 2).sum()), j, i))
        candidates.sort()
        assert tuple(found[n]) == (candidates[0][1:] if candidates else (-1, -1))
        expected = candidates[1][0] / candidates[0][0] - 1 if len(candidates) > 1 else 0
        assert rho[n] == pytest.approx(expected, rel=1e-4, abs=1e-4)  # a difference of float32 sums


def test_a_descriptor_is_made_of_histograms_of_directions():
    """On a ramp all gradients point the same way: in each of the nine cells one bin, blurred around the circle."""
    y, x = np.mgrid[:30, :30].astype(np.float32)
    angle = 2 * np.pi * 3.5 / 15  # the middle of bin 3
    ramp = (np.cos(angle) * x + np.sin(angle) * y)[None]
    middle = descriptors(ramp)[15, 15].reshape(9, 15)
    taps = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 0.8**2))
    expected = np.zeros(15)
    expected[:7] = taps / taps.sum()  # 4 sigma is 3 bins either way
    np.testing.assert_allclose(middle, np.tile(expected, (9, 1)), atol=1e-5)


def test_flat_regions_and_edges_have_no_points():
    image = np.zeros((1, 64, 64), np.float32)
    image[:, :, 40:] = 100  # an edge: no corner
    image[:, 12:20, 12:20] = 100
    points = interesting(image)
    assert len(points) > 0
    assert (abs(points - 15.5) < 12).all()


@given(st.integers(0, 99), st.sampled_from([(8, 8), (13, 5), (30, 40)]))
def test_splatted_matches_are_weighted_means(seed, size):
    rng = np.random.default_rng(seed)
    shape, M = (30, 40), 20
    points = np.stack([rng.uniform(0, 39, M), rng.uniform(0, 29, M)], axis=1)
    motions, rho = rng.normal(0, 5, (M, 2)), rng.uniform(0.1, 5, M)
    found = splat_matches(points, motions, rho, shape, size)
    sx, sy = size[1] / 40, size[0] / 30
    weights = np.zeros((M, *size))
    for m in range(M):
        for i in range(-1, size[0] + 1):
            for j in range(-1, size[1] + 1):
                x, y = (points[m] + 0.5) * (sx, sy) - 0.5
                near = max(0, 1 - abs(x - j)) * max(0, 1 - abs(y - i))
                weights[m, min(max(i, 0), size[0] - 1), min(max(j, 0), size[1] - 1)] += near * rho[m]
    total = weights.sum(axis=0)
    known = total > 0
    mean = np.einsum("mij,mk->kij", weights, np.column_stack([motions * (sx, sy), rho]))[:, known] / total[known]
    np.testing.assert_allclose(found.motion[:, known], mean[:2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.weight[known], BETA * mean[2], rtol=1e-5)
    assert (found.weight[~known] == 0).all()


def test_normalised_rows_have_the_root_of_their_length():
    rows = np.random.default_rng(0).normal(0, 5, (1, 3, 3, 4, 4)).astype(np.float32)
    found = normalised(rows)
    length, before = np.hypot(found[:, :, 0], found[:, :, 1]), np.hypot(rows[:, :, 0], rows[:, :, 1])
    np.testing.assert_allclose(length, before / np.sqrt(before + 0.01), rtol=1e-5)
    np.testing.assert_allclose(found[:, :, 2] * np.sqrt(before + 0.01), rows[:, :, 2], rtol=1e-5)


def test_three_equal_channels_have_the_normalised_rows_of_one_in_the_mean():
    target, source = np.random.default_rng(0).uniform(0, 255, (2, 1, 8, 9)).astype(np.float32)
    still = np.zeros((2, 8, 9), np.float32)
    grey, colour = (
        (normalised(constancies(target.repeat(C, axis=0), source.repeat(C, axis=0), still)) ** 2).sum(axis=0)
        for C in (1, 3)
    )
    np.testing.assert_allclose(colour, grey, rtol=1e-4)


def test_on_smooth_motions_ldof_is_as_good_as_without_matches():
    error = inside(ldof(*shifted((64, 64), (9.5, -6.25))) - np.reshape([9.5, -6.25], (2, 1, 1)), 16)
    assert abs(error).mean() < 0.02
