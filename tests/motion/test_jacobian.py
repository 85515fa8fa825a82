"""jacobian_determinant and folding_fraction: affine motions, numpy.gradient, areas, folds."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from autodiff import check
from hstn_ref.motion import affine_motion, folding_fraction, jacobian_determinant

from .fields import seeds, sizes, thetas, waves


@given(shape=sizes, seed=seeds)
def test_an_affine_motion_has_the_determinant_of_its_matrix_everywhere(shape, seed):
    theta = thetas(seed, size=1.0)
    J = jacobian_determinant(affine_motion(theta, shape, coords="pixel")).data
    expected = np.linalg.det(theta.reshape(2, 2, 3)[:, :, :2])
    assert J.shape == (2, *shape)
    assert_allclose(J, np.broadcast_to(expected[:, None, None], J.shape), atol=1e-10)


@given(shape=sizes, seed=seeds)
def test_derivatives_are_those_of_numpy_gradient(shape, seed):
    motion = np.random.default_rng(seed).standard_normal((2, 2, *shape))
    (u_y, v_y), (u_x, v_x) = (np.moveaxis(np.gradient(motion, axis=axis), 1, 0) for axis in (2, 3))
    assert_allclose(jacobian_determinant(motion).data, (1 + u_x) * (1 + v_y) - u_y * v_x, atol=1e-12)


@given(shape=sizes, seed=seeds)
def test_a_square_folds_where_the_interpolated_motion_does(shape, seed):
    """Its determinant on a fine mesh in each square, corners included, by the derivatives of the bilinear formula."""
    motion = np.random.default_rng(seed).uniform(-0.8, 0.8, (1, 2, *shape))
    H, W = shape
    folded = 0
    for i, j in np.ndindex(H - 1, W - 1):
        (a, b), (c, d) = motion[0, :, i : i + 2, j : j + 2].transpose(1, 2, 0)  # the corners, as vectors
        least = np.inf
        for s, t in np.ndindex(6, 6):
            y, x = s / 5, t / 5
            along_x = (1 - y) * (b - a) + y * (d - c) + [1, 0]
            along_y = (1 - x) * (c - a) + x * (d - b) + [0, 1]
            least = min(least, along_x[0] * along_y[1] - along_x[1] * along_y[0])
        folded += least <= 0
    assert_allclose(folding_fraction(motion), [folded / ((H - 1) * (W - 1))])


def test_what_folds_and_what_does_not():
    motion = np.zeros((5, 2, 5, 6))
    motion[1] = waves((5, 6), 0, 0.4, N=1)[0]
    motion[2, 0] = -2.0 * np.arange(6)  # mirrored
    motion[3, 0, 2, 2] = 1.5  # one pixel overtakes its neighbour: the two squares to its right
    motion[4, 0] = -np.arange(6)  # pressed into a line
    assert_allclose(folding_fraction(motion), [0, 0, 1, 2 / 20, 1])
    assert (jacobian_determinant(motion[3:4]).data > 0).all()  # central differences do not see it
    assert (jacobian_determinant(motion[2:3]).data == -1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    assert jacobian_determinant(np.zeros((1, 2, 3, 3), dtype)).dtype == dtype


@pytest.mark.parametrize("shape", [(2, 2), (4, 3)])
def test_gradients(shape):
    motion = np.random.default_rng(0).standard_normal((2, 2, *shape))
    for results in (
        check.vjp(jacobian_determinant, motion),
        check.adjoint(jacobian_determinant, motion),
        check.second_order(jacobian_determinant, motion),
    ):
        assert all(result.passed for result in results)


@pytest.mark.parametrize("function", [jacobian_determinant, folding_fraction])
def test_bad_input(function):
    with pytest.raises(ValueError, match=rf"{function.__name__}: motion has shape \(1, 2, 1, 5\), expected \(N, 2"):
        function(np.zeros((1, 2, 1, 5)))
    with pytest.raises(TypeError, match=f"{function.__name__}: got an input of dtype int64"):
        function(np.zeros((1, 2, 3, 3), int))
