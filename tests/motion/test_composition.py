"""compose and inverse of motions and of affine parameters: the definition, the group, gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import map_coordinates

from autodiff import Tensor, check, grad
from autodiff.ops import bilinear_sample
from hstn_ref.motion import (
    NotConverged,
    affine_motion,
    compose,
    compose_theta,
    identity_theta,
    inverse,
    inverse_residual,
    inverse_theta,
)

from .fields import inside, seeds, sizes, thetas, waves

# Theta


@given(seed=seeds)
def test_theta_composes_as_matrices(seed):
    outer, inner = thetas(seed, size=1.0), thetas(seed + 1, size=1.0)
    composed = compose_theta(outer, inner).data
    for n in range(2):
        A, B = (np.vstack([theta[n].reshape(2, 3), [0, 0, 1]]) for theta in (outer, inner))
        assert_allclose(composed[n].reshape(2, 3), (A @ B)[:2], atol=1e-12)


@given(seed=seeds)
def test_theta_and_its_inverse_are_the_identity(seed):
    theta = thetas(seed)
    identity = np.broadcast_to(identity_theta(np.float64), (2, 6))
    assert_allclose(compose_theta(theta, inverse_theta(theta)).data, identity, atol=1e-12)
    assert_allclose(compose_theta(inverse_theta(theta), theta).data, identity, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_identity_composes_exactly(dtype):
    identity, theta = identity_theta(dtype)[None], thetas(3, N=1).astype(dtype)
    assert compose_theta(identity, theta).dtype == dtype
    assert_array_equal(compose_theta(identity, theta).data, theta)
    assert_array_equal(compose_theta(theta, identity).data, theta)
    assert_array_equal(inverse_theta(identity).data, identity)


@pytest.mark.parametrize("coords", ["normalised", "isotropic", "pixel"])
def test_the_motion_of_composed_thetas_is_the_motion_after_the_other(coords):
    outer, inner, size = thetas(0), thetas(1), (5, 8)
    first = affine_motion(inner, size, coords=coords)
    expected = first + affine_motion(outer, size, coords=coords, after=first)
    assert_allclose(affine_motion(compose_theta(outer, inner), size, coords=coords).data, expected.data, atol=1e-12)


def test_gradients_of_thetas():
    outer, inner = thetas(0), thetas(1)
    for fun, arrays in ((compose_theta, (outer, inner)), (inverse_theta, (outer,))):
        for results in (check.vjp(fun, *arrays), check.adjoint(fun, *arrays), check.second_order(fun, *arrays)):
            assert all(result.passed for result in results)


# Motions


@given(shape=sizes, seed=seeds)
def test_compose_is_its_definition(shape, seed):
    """(14) with SciPy's interpolation, which clamps positions as the border "edge" does."""
    outer, inner = waves(shape, seed, 2.0), waves(shape, seed + 1, 2.0)
    composed = compose(outer, inner).data
    y, x = np.mgrid[: shape[0], : shape[1]]
    for n, k in np.ndindex(2, 2):
        at = y + inner[n, 1], x + inner[n, 0]
        read = map_coordinates(outer[n, k], at, order=1, mode="nearest")
        assert_allclose(composed[n, k], inner[n, k] + read, atol=1e-10)


def test_sampling_by_a_composition_is_sampling_twice():
    """By whole pixels, where nothing is interpolated: `outer` warps the image first."""
    image = np.random.default_rng(0).random((1, 1, 8, 9))
    outer, inner = np.zeros((2, 1, 2, 8, 9))
    outer[:, 0], inner[:, 1] = 2.0, -1.0
    outer[:, :, 3] = 1.0  # not a translation: the order matters
    twice = bilinear_sample(bilinear_sample(image, outer), inner).data
    once = bilinear_sample(image, compose(outer, inner)).data
    assert_array_equal(once[:, :, 1:], twice[:, :, 1:])
    assert (bilinear_sample(image, compose(inner, outer)).data != twice)[:, :, 1:].any()


@given(seed=seeds)
def test_affine_motions_compose_to_the_affine_motion_of_the_composition(seed):
    """Where the first one stays inside: bilinear interpolation of an affine motion is exact."""
    size, outer, inner = (9, 12), thetas(seed), thetas(seed + 1)
    first = affine_motion(inner, size).data
    found = compose(affine_motion(outer, size), first).data
    expected = affine_motion(compose_theta(outer, inner), size).data
    there = np.broadcast_to(inside(first)[:, None], found.shape)
    assert there.any()
    assert_allclose(found[there], expected[there], atol=1e-10)


@given(shape=sizes, seed=seeds, slope=st.floats(0.0, 0.45))
def test_a_motion_undoes_its_inverse(shape, seed, slope):
    """Everywhere, for this is how the inverse is found; the other way round it is a theorem, see below."""
    motion = waves(shape, seed, slope)
    found = inverse(motion).data
    assert_allclose(compose(motion, found).data, 0, atol=1e-12)
    assert (inverse_residual(motion, found) < 1e-12).all()


@given(seed=seeds)
def test_the_inverse_undoes_the_motion_away_from_the_border(seed):
    """Up to the error of interpolation, 1/8 of second differences along each axis, once for either motion."""
    motion = waves((20, 24), seed, 0.3)
    found = inverse(motion).data
    back = compose(found, motion).data
    there = np.broadcast_to(inside(motion, 3)[:, None], back.shape)  # all that was read on the way is in the image
    curved = [abs(np.diff(found, 2, axis)).max() for axis in (2, 3)]
    assert abs(back[there]).max() <= sum(curved) / 4
    assert sum(curved) / 4 < abs(motion).max() / 4  # so that the assertion says something


@given(seed=seeds)
def test_the_inverse_of_an_affine_motion_is_that_of_its_theta(seed):
    size, theta = (9, 12), thetas(seed)
    expected = affine_motion(inverse_theta(theta), size).data
    found = inverse(affine_motion(theta, size)).data
    there = np.broadcast_to(inside(expected)[:, None], found.shape)
    assert there.any()
    assert_allclose(found[there], expected[there], atol=1e-10)


def test_an_image_comes_back():
    y, x = np.mgrid[:40, :40]
    image = np.exp(-((x - 22.0) ** 2 + (y - 17) ** 2) / 60)[None, None]
    motion = waves((40, 40), 1, 0.8, N=1)
    back = bilinear_sample(bilinear_sample(image, motion), inverse(motion)).data
    assert abs(bilinear_sample(image, motion).data - image).max() > 0.2
    assert abs(back - image)[..., 5:-5, 5:-5].max() < 0.03  # twice interpolated


@pytest.mark.parametrize("theta", [[2, 0, 0, 0, 2, 0], [0.5, -(0.75**0.5), 0, 0.75**0.5, 0.5, 0]])
def test_a_smaller_step_comes_through_what_1_does_not(theta):
    """An enlargement by 2 and a rotation by 60 degrees: the slopes of both motions have the size 1."""
    motion = affine_motion(np.array([theta], np.float32), (31, 31))
    with pytest.warns(NotConverged):
        inverse(motion)
    found = inverse(motion, step=0.5)
    assert found.dtype == np.float32
    assert inverse_residual(motion, found).max() < 1e-4


def test_a_folding_motion_is_reported_with_its_residual():
    motion = np.zeros((3, 2, 9, 9))
    motion[1, 0] = 4 * np.sin(2.0 * np.arange(9))  # neighbours overtake each other
    with pytest.warns(NotConverged, match=r"after 50 iterations a position of image 1 comes back .* pixels") as caught:
        found = inverse(motion, iterations=50)
    residual = inverse_residual(motion, found)
    assert residual.shape == (3,) and (residual > 0.1).tolist() == [False, True, False]
    assert f"{residual[1]:.3g} pixels" in str(caught[0].message)


def test_the_last_iteration_counts(recwarn):
    found = inverse(np.ones((1, 2, 5, 6)), iterations=1)  # a shift, which the first finds
    assert_array_equal(found.data, -1)
    assert not recwarn.list


def test_the_residual_is_that_of_the_worst_position():
    motion = np.zeros((2, 2, 4, 5))
    motion[1, :, 2, 3] = 3, -4
    assert_array_equal(inverse_residual(np.zeros_like(motion), motion), [0, 5])


def test_the_tolerance_ends_the_iteration():
    motion = waves((9, 9), 0, 0.45)
    coarse, fine = (inverse_residual(motion, inverse(motion, tolerance=t)).max() for t in (0.1, 1e-9))
    assert 1e-9 < coarse <= 0.15 and fine <= 1.5e-9


def test_gradients():
    """Off the kinks, which are where p + motion(p) crosses a pixel; the third order by the gradient of the gradient."""
    outer, inner = waves((5, 6), 2, 0.4, N=1), 0.3 + waves((5, 6), 3, 0.1, N=1)
    for fun, arrays in ((compose, (outer, inner)), (inverse, (inner,)), (inverse, (outer,))):
        for results in (check.vjp(fun, *arrays), check.adjoint(fun, *arrays), check.second_order(fun, *arrays)):
            assert all(result.passed for result in results)

    def slope(motion):
        w = motion if motion.requires_grad else Tensor(motion.data, requires_grad=True)
        y = inverse(w)
        return grad((y * y).sum(), w, create_graph=True)

    for results in (check.vjp(slope, inner), check.second_order(slope, inner)):
        assert all(result.passed for result in results)


def test_the_gradient_of_an_inverse_at_the_identity():
    """(16) without slopes: gradients go straight through, with the other sign."""
    motion = Tensor(np.zeros((1, 2, 4, 5)), requires_grad=True)
    g = np.random.default_rng(0).standard_normal((1, 2, 4, 5))
    assert_array_equal(grad(inverse(motion), motion, gy=g).data, -g)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: compose_theta(np.zeros((2, 5)), np.zeros((2, 6))), r"compose_theta: theta has shape \(2, 5\)"),
        (lambda: compose_theta(np.zeros((1, 6)), np.zeros((2, 6))), r"outer \(1, 6\) and inner \(2, 6\) differ"),
        (
            lambda: inverse_theta(np.array([[1.0, 0, 0, 0, 1, 0], [1, 2, 0, 2, 4, 0]])),
            "at position 1 has the determinant 0",
        ),
        (lambda: compose(np.zeros((1, 2, 4, 4)), np.zeros((1, 2, 4, 5))), r"outer \(1, 2, 4, 4\) and inner"),
        (lambda: compose(np.zeros((1, 3, 4, 4)), np.zeros((1, 3, 4, 4))), r"expected \(N, 2, H, W\) for both"),
        (lambda: inverse(np.zeros((1, 3, 4, 4))), r"inverse: motion has shape \(1, 3, 4, 4\)"),
        (lambda: inverse(np.zeros((0, 2, 4, 4))), r"inverse: motion has shape \(0, 2, 4, 4\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_dtypes():
    with pytest.raises(TypeError, match="compose: inputs have different dtypes"):
        compose(np.zeros((1, 2, 4, 4)), np.zeros((1, 2, 4, 4), np.float32))
    with pytest.raises(TypeError, match="inverse: got an input of dtype int64"):
        inverse(np.zeros((1, 2, 4, 4), int))
