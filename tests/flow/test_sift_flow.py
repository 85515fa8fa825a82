"""Belief propagation against dynamic programming and brute force, the descriptors against their definition."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hstn_ref.flow import sift_flow
from hstn_ref.flow.belief import data_cost, labels, propagate
from hstn_ref.flow.dense_sift import dense_sift
from hstn_ref.flow.sift_flow import ALPHA, ETA, D, halve, multigrid

from .samples import shifted

seeds = st.integers(0, 999)


def solved(cost, offset, eta, alpha, d, iterations):
    messages = np.zeros((2, *cost.shape[:2], 5, cost.shape[2]), np.float32)
    propagate(messages, cost, offset, eta, alpha, d, iterations)
    return labels(messages, offset, eta)


def energy(cost, offset, w, eta, alpha, d):
    """Equation (1) in loops; cost is (H, W, L, L) by [v, u]."""
    H, W, L, _ = cost.shape
    total = 0.0
    for i, j in np.ndindex(H, W):
        lu, lv = w[:, i, j] - offset[:, i, j] + L // 2
        total += cost[i, j, lv, lu] + eta * abs(w[:, i, j]).sum()
        for y, x in ((i + 1, j), (i, j + 1)):
            if y < H and x < W:
                total += np.minimum(alpha * abs(w[:, i, j] - w[:, y, x]), d).sum()
    return total


def best_on_a_chain(cost, offset, eta, alpha, d):
    """The least energy of one plane on a chain, by dynamic programming: cost (N, L), offset (N,)."""
    N, L = cost.shape
    component = offset[:, None] + np.arange(L) - L // 2
    unary = cost + eta * abs(component)
    best = unary[0]
    for n in range(1, N):
        jump = np.minimum(alpha * abs(component[n][:, None] - component[n - 1]), d)
        best = unary[n] + (best + jump).min(axis=1)
    return best.min()


@given(seeds, st.booleans(), st.integers(2, 10), st.integers(1, 4))
def test_on_a_chain_the_optimum_is_found(seed, upright, N, R):
    """With a cost that is a sum of one of u and one of v, the planes are two chains, where messages are exact."""
    rng = np.random.default_rng(seed)
    L, eta, alpha, d = 2 * R + 1, 5.0, 90.0, 250.0
    of_u, of_v = rng.integers(0, 1000, (2, N, L)).astype(np.float32)
    offset = rng.integers(-2, 3, (2, N))
    shape = (N, 1) if upright else (1, N)
    cost = (of_v[:, :, None] + of_u[:, None, :]).reshape(*shape, L, L)
    w = solved(cost, offset.reshape(2, *shape), eta, alpha, d, 8)
    best = best_on_a_chain(of_u, offset[0], eta, alpha, d) + best_on_a_chain(of_v, offset[1], eta, alpha, d)
    assert energy(cost, offset.reshape(2, *shape), w, eta, alpha, d) == pytest.approx(best, rel=1e-6)


@given(seeds)
def test_two_pixels_against_all_labellings(seed):
    """D couples the planes, so the graph has a loop; where the data speak clearly the messages still find the best."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(500, 1000, (1, 2, 3, 3)).astype(np.float32)
    for j in range(2):
        cost[0, j, rng.integers(3), rng.integers(3)] = 0
    offset = rng.integers(-1, 2, (2, 1, 2))
    options = [np.array(o).reshape(2, 1, 2) - 1 + offset for o in itertools.product(range(3), repeat=4)]
    best = min(energy(cost, offset, w, 1.0, 20.0, 100.0) for w in options)
    assert energy(cost, offset, solved(cost, offset, 1.0, 20.0, 100.0, 16), 1.0, 20.0, 100.0) == pytest.approx(best)


@pytest.mark.parametrize("grids", [0, 2])
def test_the_energy_is_below_that_of_the_start(grids):
    source, target = shifted((32, 37), (2.0, -1.0))
    s1, s2 = dense_sift(target / 255), dense_sift(source / 255)
    offset = np.zeros((2, 32, 37), np.int64)
    cost = data_cost(s1, s2, offset, 3)
    cost[np.isinf(cost)] = np.median(cost[np.isfinite(cost)])
    w = labels(multigrid(cost, offset, ETA, 30, grids), offset, ETA)
    assert energy(cost, offset, w, ETA, ALPHA, D) < 0.5 * energy(cost, offset, offset, ETA, ALPHA, D)


def test_eta_doubles_from_level_to_level_and_halves_from_grid_to_grid(monkeypatch):
    """1.275 of a pixel of the finest level: twice that on the next, and (2) for the coarser grids of nodes."""
    seen = []

    def watched(messages, cost, offset, eta, alpha, d, iterations):
        seen.append((cost.shape[:2], cost.shape[2], eta, alpha, d, iterations))
        return propagate(messages, cost, offset, eta, alpha, d, iterations)

    monkeypatch.setattr(sys.modules["hstn_ref.flow.sift_flow"], "propagate", watched)
    sift_flow(*shifted((64, 96), (2, -1)))
    expected = []  # 60 iterations on the coarsest level, 30 on the others, 20 on all coarser grids
    for k, radius, iterations, grids in ((3, 10, 60, 2), (2, 4, 30, 1), (1, 3, 30, 2), (0, 2, 30, 3)):
        for grid in range(grids, -1, -1):
            shape = tuple(-(-(n >> k) // 2**grid) for n in (64, 96))
            rounds = iterations if grid == 0 else 20
            eta = 1.275 * 2**k / 2**grid
            expected += [(shape, 2 * radius + 1, eta, 510, 10200, min(8, rounds - at)) for at in range(0, rounds, 8)]
    assert seen == expected


@given(seeds, st.integers(0, 2))
def test_the_data_cost_is_the_distance_of_descriptors(seed, R):
    rng = np.random.default_rng(seed)
    s1, s2 = rng.integers(0, 256, (2, 4, 5, 7)).astype(np.uint8)  # differences of uint8 must not wrap around
    offset = rng.integers(-2, 3, (2, 4, 5))
    cost = data_cost(s1, s2, offset, R)
    for i, j, lv, lu in np.ndindex(*cost.shape):
        y, x = i + offset[1, i, j] + lv - R, j + offset[0, i, j] + lu - R
        within = 0 <= y < 4 and 0 <= x < 5
        expected = abs(s1[i, j].astype(int) - s2[y, x].astype(int)).sum() if within else np.inf
        assert cost[i, j, lv, lu] == expected


def test_a_descriptor_by_hand():
    """A ramp along x: every gradient is along angle 0, whose neighbours at 45 degrees get cos(45)^9."""
    image = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32), (1, 40, 40))
    s = dense_sift(image)
    assert s.shape == (40, 40, 128) and s.dtype == np.uint8
    slope, side = 1 / 39, np.sqrt(0.5) ** 9
    cell = slope * 3.5**2 * np.array([1, side, 0, 0, 0, 0, 0, side])  # the box of 0.25, 1, 1, 1, 0.25, twice
    raw = np.tile(cell, 16)
    expected = 255 * raw / (np.linalg.norm(raw) + 0.01)
    np.testing.assert_allclose(s[20, 20], expected, atol=1)  # floor


def test_of_a_colour_image_the_strongest_channel_counts():
    rng = np.random.default_rng(0)
    strong, weak = rng.random((20, 20)).astype(np.float32), np.full((20, 20), 0.3, np.float32)
    colour = dense_sift(np.stack([weak, strong, weak]))
    np.testing.assert_array_equal(colour, dense_sift(strong[None]))


def test_flat_images_have_flat_descriptors():
    noise = np.random.default_rng(0).random((1, 20, 20)).astype(np.float32) * 1e-5
    assert dense_sift(noise).max() <= 2  # without the 0.01 these would be as long as those of a photograph


def test_strips_do_not_show(monkeypatch):
    image = np.random.default_rng(1).random((1, 23, 20)).astype(np.float32)
    whole = dense_sift(image)
    halves = [halve(whole), halve(whole[:22])]
    monkeypatch.setattr("hstn_ref.flow.dense_sift.STRIP", 5)
    monkeypatch.setattr(sys.modules[multigrid.__module__], "STRIP", 3)
    np.testing.assert_array_equal(dense_sift(image), whole)
    for found, expected in zip((halve(whole), halve(whole[:22])), halves, strict=True):
        np.testing.assert_array_equal(found, expected)


@given(st.integers(4, 9), st.integers(4, 9))
def test_halving_is_a_blur_and_a_mean(H, W):
    s = np.random.default_rng(H * W).integers(0, 256, (H, W, 3)).astype(np.uint8)
    taps = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 0.67**2))
    taps /= taps.sum()
    found = halve(s)
    assert found.shape == (H // 2, W // 2, 3)
    for i, j, k in np.ndindex(*found.shape):
        total = 0.0
        for y, x, a, b in itertools.product((2 * i, 2 * i + 1), (2 * j, 2 * j + 1), range(5), range(5)):
            at = min(max(y + a - 2, 0), H - 1), min(max(x + b - 2, 0), W - 1)
            total += taps[a] * taps[b] * float(s[(*at, k)]) / 4
        assert abs(found[i, j, k] - total) <= 0.501
