"""The linear system of a level against dense linear algebra, energies written out in loops, and the scheme's
symmetries."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from hstn_ref.flow import sweeps
from hstn_ref.flow.variational import EPS, Matches, Weights, constancies, derivative, inside, minimise

from .samples import shifted

seeds = st.integers(0, 999)
joints = st.booleans()


def problem(seed, H=8, W=8, C=1, dtype=np.float64):
    """Rows (C, 3, 3, H, W), a mask, a start and a motion near it."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 3, (C, 3, 3, H, W)).astype(dtype)
    mask = (rng.random((H, W)) < 0.8).astype(dtype)
    w0 = rng.normal(0, 2, (2, H, W)).astype(dtype)
    return rows, mask, w0, w0 + rng.normal(0, 0.3, (2, H, W)).astype(dtype)


def dense_system(rows, mask, w0, w, alpha, gamma, joint):
    """Equations (5) to (8) as a matrix (2 H W, 2 H W) and a right-hand side, pixel by pixel."""
    C, _, _, H, W = rows.shape
    A, b = np.zeros((2 * H * W, 2 * H * W)), np.zeros(2 * H * W)

    def clamped(k, i, j):
        return w[k, min(max(i, 0), H - 1), min(max(j, 0), W - 1)]

    for i in range(H):
        for j in range(W):
            at = i * W + j
            du, dv = w[:, i, j] - w0[:, i, j]
            r = rows[:, :, 2, i, j] + rows[:, :, 0, i, j] * du + rows[:, :, 1, i, j] * dv  # (C, 3)
            first, second = (r[:, 0] ** 2).sum(), (r[:, 1:] ** 2).sum()
            if joint:
                p = 1 / np.sqrt(first + gamma * second + EPS**2)
                factors = (p, gamma * p, gamma * p)
            else:
                q = gamma / np.sqrt(second + EPS**2)
                factors = (1 / np.sqrt(first + EPS**2), q, q)
            for c in range(C):
                for k in range(3):
                    a = rows[c, k, :2, i, j]
                    block = mask[i, j] * factors[k] * np.outer(a, a)
                    which = np.array([at, H * W + at])
                    A[np.ix_(which, which)] += block
                    b[which] += block @ w0[:, i, j] - mask[i, j] * factors[k] * rows[c, k, 2, i, j] * a
            for di, dj in ((0, 1), (1, 0)):
                if i + di >= H or j + dj >= W:
                    continue
                s = EPS**2
                for k in range(2):
                    across = w[k, i + di, j + dj] - w[k, i, j]
                    along = sum(
                        (clamped(k, y + dj, x + di) - clamped(k, y - dj, x - di)) / 2
                        for y, x in ((i, j), (i + di, j + dj))
                    )
                    s += across**2 + (along / 2) ** 2
                g = alpha / np.sqrt(s)
                other = (i + di) * W + j + dj
                for base in (0, H * W):
                    A[base + at, base + at] += g
                    A[base + other, base + other] += g
                    A[base + at, base + other] -= g
                    A[base + other, base + at] -= g
    return A, b


@given(seeds, joints)
def test_many_sweeps_solve_the_dense_system(seed, joint):
    rows, mask, w0, w = problem(seed)
    A, b = dense_system(rows, mask, w0, w, 4.0, 2.0, joint)
    np.testing.assert_array_equal(A, A.T)
    assert np.linalg.eigvalsh(A)[0] > -1e-9 * np.linalg.eigvalsh(A)[-1]  # positive semi-definite
    gx, gy = sweeps.diffusivity(w, 4.0, EPS)
    system = sweeps.data_term(rows, mask, w, w0, 2.0, joint, EPS)
    found = w.copy()
    sweeps.relax(found, system, gx, gy, 3000, 1.5)
    np.testing.assert_allclose(found.ravel(), np.linalg.solve(A, b), rtol=0, atol=1e-8)


@given(seeds, joints, st.integers(3, 9), st.integers(3, 9), st.sampled_from([1, 3]))
def test_the_system_is_that_of_its_definition(seed, joint, H, W, C):
    rows, mask, w0, w = problem(seed, H, W, C)
    A, b = dense_system(rows, mask, w0, w, 4.0, 2.0, joint)
    gx, gy = sweeps.diffusivity(w, 4.0, EPS)
    a11, a12, a22, c1, c2 = sweeps.data_term(rows, mask, w, w0, 2.0, joint, EPS)
    g = gx[:, :-1] + gx[:, 1:] + gy[:-1] + gy[1:]
    diagonal = np.concatenate([(a11 + g).ravel(), (a22 + g).ravel()])
    scale = abs(A).max()  # sums of some twenty terms of this size, in float64
    np.testing.assert_allclose(diagonal, np.diag(A), rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(a12.ravel(), np.diag(A, H * W), rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(np.concatenate([c1.ravel(), c2.ravel()]), b, rtol=0, atol=1e-11 * scale)


def energy(rows, mask, w0, w, weights):
    """(3) or (4), with the gradient of the motion on the edges, as the diffusivity sees it."""
    dw = w - w0
    r = rows[:, :, 2] + rows[:, :, 0] * dw[0] + rows[:, :, 1] * dw[1]  # (C, 3, H, W)
    first, second = (r[:, 0] ** 2).sum(axis=0), (r[:, 1:] ** 2).sum(axis=(0, 1))
    if weights.joint:
        data = mask * np.sqrt(first + weights.gamma * second + EPS**2)
    else:
        data = mask * (np.sqrt(first + EPS**2) + weights.gamma * np.sqrt(second + EPS**2))
    smooth = 0.0
    for axis in (1, 2):
        p = np.pad(w, ((0, 0), (1, 1), (1, 1)), mode="edge")
        central = {1: (p[:, 2:, 1:-1] - p[:, :-2, 1:-1]) / 2, 2: (p[:, 1:-1, 2:] - p[:, 1:-1, :-2]) / 2}[3 - axis]
        n = w.shape[axis]
        along = (central.take(range(1, n), axis) + central.take(range(n - 1), axis)) / 2
        smooth += np.sqrt((np.diff(w, axis=axis) ** 2 + along**2).sum(axis=0) + EPS**2).sum() / 2
    return data.sum() + weights.alpha * smooth


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("shift", [(0.4, -0.3), (-0.9, 0.7)])
def test_fixed_points_lower_the_energy(joint, shift):
    source, target = (image.astype(np.float64) for image in shifted((24, 30), shift))
    w0 = np.zeros((2, 24, 30))
    rows, mask = constancies(target, source, w0), inside(w0)
    weights = Weights(alpha=8, gamma=2, joint=joint, relaxations=200)
    energies = [energy(rows, mask, w0, w0, weights)]
    w = w0
    for _ in range(6):
        gx, gy = sweeps.diffusivity(w, weights.alpha, EPS)
        system = sweeps.data_term(rows, mask, w, w0, weights.gamma, joint, EPS)
        w = w.copy()
        sweeps.relax(w, system, gx, gy, weights.relaxations, 1.8)
        energies.append(energy(rows, mask, w0, w, weights))
    assert energies[-1] < 0.2 * energies[0]
    # The last ones differ by little: an edge's derivative along it makes (5) a near, not an exact, majorant.
    assert all(after <= before * 1.001 for before, after in itertools.pairwise(energies))


def test_derivatives_are_exact_for_polynomials_of_degree_four():
    t = np.arange(12.0)
    image = np.broadcast_to(t**4 - 3 * t**3 + t, (1, 5, 12))
    expected = 4 * t**3 - 9 * t**2 + 1
    np.testing.assert_allclose(derivative(image, 2)[0, 2, 2:-2], expected[2:-2], rtol=1e-12)
    np.testing.assert_allclose(derivative(image, 1), 0, atol=1e-9)


@given(seeds, st.sampled_from([1, 3]))
def test_warping_is_exact_for_quadratic_images(seed, C):
    """Keys's convolution reproduces polynomials of degree two; positions outside take the edge."""
    rng = np.random.default_rng(seed)
    a, b, c, d, e, f = rng.normal(0, 1, (6, C, 1, 1))

    def polynomial(x, y):
        return a + b * x + c * y + d * x * x + e * x * y + f * y * y

    y, x = np.mgrid[:12, :15]
    motion = np.stack([rng.uniform(1, 13, (12, 15)) - x, rng.uniform(1, 10, (12, 15)) - y])
    found = sweeps.warp(polynomial(x, y), motion)
    np.testing.assert_allclose(found, polynomial(x + motion[0], y + motion[1]), rtol=0, atol=1e-9)
    image = rng.normal(0, 1, (C, 5, 6))
    np.testing.assert_array_equal(sweeps.warp(image, np.zeros((2, 5, 6))), image)
    np.testing.assert_array_equal(
        sweeps.warp(image, np.full((2, 5, 6), 99.0)), np.broadcast_to(image[:, -1:, -1:], image.shape)
    )


def test_at_the_true_motion_no_residual_is_left():
    """z of all three constancies, for a shift that is no whole number of pixels; before it is 100 times as large."""
    source, target = shifted((24, 30), (2.5, -1.25))
    still, true = (np.broadcast_to(np.reshape(w, (2, 1, 1)), (2, 24, 30)).copy() for w in ((0.0, 0.0), (2.5, -1.25)))
    inner = (slice(None), slice(None), 2, slice(5, -5), slice(5, -5))
    before, after = (abs(constancies(target, source, w)[inner]).mean(axis=(0, 2, 3)) for w in (still, true))
    assert (after < 0.01 * before).all()


def test_equal_channels_are_as_good_as_one():
    source, target = shifted((20, 24), (0.6, -0.4))
    w0 = np.zeros((2, 20, 24), np.float32)
    weights = Weights(alpha=8, gamma=2, joint=False, relaxations=10)
    grey = minimise(constancies(target, source, w0), inside(w0), w0, weights)
    three = [np.repeat(image, 3, axis=0) for image in (target, source)]
    colour = minimise(constancies(*three, w0), inside(w0), w0, weights)
    np.testing.assert_allclose(colour, grey, atol=1e-3)  # 250 sweeps in float32, rounded differently


def test_where_p_plus_w_leaves_the_image_the_data_do_not_count():
    w = np.zeros((2, 4, 5))
    w[0, 1, 4], w[0, 2, 3], w[1, 0, 2], w[1, 3, 0] = 0.1, 1.0, -0.1, 0.1
    expected = np.ones((4, 5))
    expected[1, 4] = expected[0, 2] = expected[3, 0] = 0
    np.testing.assert_array_equal(inside(w), expected)


def test_a_strong_match_pulls_the_motion_to_it():
    w0 = np.zeros((2, 9, 9), np.float32)
    rows, mask = np.zeros((1, 3, 3, 9, 9), np.float32), np.ones((9, 9), np.float32)
    weight, known = np.zeros((9, 9), np.float32), np.zeros((2, 9, 9), np.float32)
    weight[4, 4], known[:, 4, 4] = 1e6, (2.0, -1.0)
    w = minimise(rows, mask, w0, Weights(alpha=1, gamma=1, joint=False, relaxations=200), Matches(known, weight))
    np.testing.assert_allclose(w, np.broadcast_to([[[2.0]], [[-1.0]]], w.shape), atol=0.02)  # nothing else is known


@given(seeds, joints)
def test_matches_are_weighed_as_the_energy_says(seed, joint):
    """Against dense systems: five times (5) to (8) at the last motion, with the term (10) of beta Psi(|w - w1|^2)."""
    rows, mask, w0, _ = problem(seed, 6, 6)
    rng = np.random.default_rng(seed)
    known, beta = rng.normal(0, 2, w0.shape), rng.uniform(0, 3, mask.shape) * (rng.random(mask.shape) < 0.5)
    w = w0
    for _ in range(5):
        A, b = dense_system(rows, mask, w0, w, 4.0, 2.0, joint)
        s = beta / np.sqrt((w[0] - known[0]) ** 2 + (w[1] - known[1]) ** 2 + 1e-6)
        pull = np.concatenate([s.ravel(), s.ravel()])
        w = np.linalg.solve(A + np.diag(pull), b + pull * known.ravel()).reshape(w0.shape)
    weights = Weights(alpha=4.0, gamma=2.0, joint=joint, relaxations=3000)
    np.testing.assert_allclose(minimise(rows, mask, w0, weights, Matches(known, beta)), w, rtol=0, atol=1e-5)


@given(seeds, st.integers(1, 3), st.integers(3, 11), st.integers(3, 11))
def test_median5_is_the_median(seed, K, H, W):
    w = np.random.default_rng(seed).normal(0, 1, (K, H, W)).astype(np.float32).round(1)  # with ties
    expected = np.stack([median_filter(plane, 5, mode="nearest") for plane in w])
    np.testing.assert_array_equal(sweeps.median5(w), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    rows, mask, w0, w = problem(0, dtype=dtype)
    gx, gy = sweeps.diffusivity(w, 4.0, EPS)
    system = sweeps.data_term(rows, mask, w, w0, 2.0, True, EPS)
    sweeps.relax(w, system, gx, gy, 3, 1.8)
    assert {a.dtype for a in (gx, gy, system, w, sweeps.median5(w))} == {np.dtype(dtype)}
