"""The motions of other libraries: warping as their documentation says gives what our sampler gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.ndimage import map_coordinates

from autodiff.ops import bilinear_sample
from hstn_ref import motion as motions
from hstn_ref.motion import conventions

from .fields import seeds, sizes


def problem(shape, seed, size=None):
    """An image (N, 1, *size) and a motion (N, 2, *shape) that stays inside it."""
    rng = np.random.default_rng(seed)
    size = size or shape
    image = rng.standard_normal((2, 1, *size))
    target = rng.uniform(0, 1, (2, 2, *shape)) * (np.array(size)[::-1] - 1).reshape(2, 1, 1)
    return image, target - np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])))


def read(image, rows, columns):
    return np.stack([map_coordinates(a[0], (r, c), order=1) for a, r, c in zip(image, rows, columns, strict=True)])


@given(shape=sizes, seed=seeds)
def test_voxelmorph_adds_rows_then_columns(shape, seed):
    image, motion = problem(shape, seed)
    i, j = np.indices(shape)
    d = motions.to_voxelmorph(motion)
    assert_allclose(read(image, i + d[:, 0], j + d[:, 1]), bilinear_sample(image, motion).data[:, 0], atol=1e-12)
    assert_allclose(motions.from_voxelmorph(d), motion)


@given(shape=sizes, seed=seeds)
def test_dense_image_warp_subtracts(shape, seed):
    """output[b, j, i, c] = image[b, j - flow[b, j, i, 0], i - flow[b, j, i, 1], c]"""
    image, motion = problem(shape, seed)
    i, j = np.indices(shape)
    f = motions.to_dense_image_warp(motion)
    assert f.shape == (2, *shape, 2)
    assert_allclose(read(image, i - f[..., 0], j - f[..., 1]), bilinear_sample(image, motion).data[:, 0], atol=1e-12)
    assert_allclose(motions.from_dense_image_warp(f), motion)


@given(shape=sizes, size=sizes, seed=seeds, align_corners=st.booleans())
def test_a_grid_is_undone(shape, size, seed, align_corners):
    _, motion = problem(shape, seed, size)
    grid = motions.to_grid_sample(motion, size, align_corners=align_corners)
    assert_allclose(motions.from_grid_sample(grid, size, align_corners=align_corners), motion, atol=1e-10)


def test_the_corners_of_a_grid():
    """-1 and 1 are the centres of the first and the last pixel, or their outer edges."""
    still = np.zeros((1, 2, 4, 5), np.float32)
    grid = motions.to_grid_sample(still, align_corners=True)
    assert grid.dtype == np.float32
    assert_allclose(grid[0, [0, -1], [0, -1]], [[-1, -1], [1, 1]])
    grid = motions.to_grid_sample(still, align_corners=False)
    assert_allclose(grid[0, [0, -1], [0, -1]], [[-0.8, -0.75], [0.8, 0.75]])


def test_a_grid_of_one_row():
    grid = motions.to_grid_sample(np.zeros((1, 2, 1, 3)), align_corners=True)
    assert_allclose(grid[0, 0], [[-1, -1], [0, -1], [1, -1]])


@pytest.mark.verify
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("shape", "size"), [((6, 7), (6, 7)), ((4, 9), (8, 5)), ((1, 7), (1, 7)), ((3, 2), (5, 1))])
def test_grid_sample_of_pytorch(shape, size, align_corners):
    import torch

    image, motion = problem(shape, 0, size)
    grid = motions.to_grid_sample(motion, size, align_corners=align_corners)
    theirs = torch.nn.functional.grid_sample(torch.tensor(image), torch.tensor(grid), align_corners=align_corners)
    assert_allclose(theirs.numpy(), bilinear_sample(image, motion).data, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in dir(conventions) if name.startswith(("to_", "from_"))])
@pytest.mark.parametrize("array", [np.zeros((2, 4, 5)), np.zeros((1, 3, 4, 5)), np.zeros((1, 2, 4, 2), int)])
def test_other_shapes_are_refused(name, array):
    options = {"align_corners": True} if "grid" in name else {}
    with pytest.raises(ValueError, match=r"_.*expected \(N, "):
        getattr(conventions, name)(array, **options)
