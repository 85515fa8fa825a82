"""Pairs for training: the true motion, what they are cut from, the same pair from the same numbers, bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from hstn_ref.data import ImagePairs, open_pairs
from hstn_ref.data import pairs as module
from hstn_ref.data.pairs import FEW
from hstn_ref.deformation import Deformation
from hstn_ref.errors import DataError, DataTypeError, FileError

SIZE = (24, 32)


def smooth(shape=(1, 90, 110), seed=0):
    """A smooth texture over all grey levels, uint8."""
    sigma = min(shape[1:]) / 9
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0, sigma, sigma))
    return np.rint(255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)


BLANK = np.full((1, 40, 40), 255, np.uint8)


def saved(folder, image):
    """The folder, with an image in it."""
    Image.fromarray(image[0]).save(folder / "a.png")
    return folder


def pairs(images=None, count=12, size=SIZE, **options):
    return ImagePairs(images or [smooth()], size, count, **options)


@pytest.mark.parametrize("size", [SIZE, (32, 32)])
@pytest.mark.parametrize("shape", [(1, 90, 110), (3, 400, 300), (1, 20, 25)])
def test_the_target_is_the_source_at_the_motion(size, shape):
    """Read by SciPy in the middle; the source, once interpolated itself, is smooth."""
    sources, targets, motions = pairs([smooth(shape)], size=size).batch(np.arange(12))
    assert sources.shape == targets.shape == (12, shape[0], *size) and motions.shape == (12, 2, *size)
    assert {sources.dtype, targets.dtype, motions.dtype} == {np.dtype(np.float32)}
    assert min(sources.min(), targets.min()) >= 0 and max(sources.max(), targets.max()) <= 1
    y, x = np.mgrid[: size[0], : size[1]]
    middle = np.s_[8:-8, 8:-8]
    for source, target, (u, v) in zip(sources, targets, motions, strict=True):
        for a, b in zip(source, target, strict=True):
            there = map_coordinates(a, (y + v, x + u), order=1, mode="nearest")
            inside = ((x + u >= 0) & (x + u <= size[1] - 1) & (y + v >= 0) & (y + v <= size[0] - 1))[middle]
            assert abs(there - b)[middle][inside].max(initial=0) < 0.02  # of 1: the curvature between two pixels
    assert abs(sources - targets).max() > 0.2


def test_without_deformation_source_and_target_are_the_same():
    still = Deformation(rotation=0.0, scale=0.0, shift=0.0, rms=0.0)
    sources, targets, motions = pairs(deformation=still).batch(np.arange(12))
    assert_array_equal(sources, targets)
    assert not motions.any()


def test_windows_are_of_all_sizes_and_in_all_symmetries():
    """An image whose grey level is 2 x + y tells where each pixel of a window comes from."""
    y, x = np.mgrid[:80, :80]
    still = Deformation(rotation=0.0, scale=0.0, shift=0.0, rms=0.0)
    slopes = np.array([(0.5 * x + y).astype(np.uint8)])
    sources, _, _ = pairs([slopes], 200, (20, 20), deformation=still).batch(np.arange(200))
    along_x, along_y = (np.diff(255 * sources[:, 0], axis=axis).mean(axis=(1, 2)) for axis in (2, 1))
    steep = np.abs(along_x) > np.abs(along_y)
    assert {(a, b, c) for a, b, c in zip(along_x > 0, along_y > 0, steep, strict=True)} == {
        (a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)
    }
    zoom = np.maximum(abs(along_x), abs(along_y))
    assert 0.9 < zoom.min() < 1.2 and 3.5 < zoom.max() < 4.3


def test_a_pair_follows_from_its_numbers_alone():
    fresh = pairs(fresh=True, seed=3)
    together = fresh.batch([0, 5, 7], epoch=2)
    fresh.batch([1], epoch=4)
    for part, alone in zip(together, fresh.batch([5], epoch=2), strict=True):
        assert_array_equal(part[1], alone[0])
    for other in (fresh.batch([5], 3), pairs(fresh=True, seed=4).batch([5], 2), pairs(stream=1, seed=3).batch([5])):
        assert abs(other[2][0] - together[2][1]).max() > 0.1
    fixed = pairs(seed=3)
    assert_array_equal(fixed.batch([5], epoch=2)[1], fixed.batch([5])[1])


def test_the_photographs_in_grey_and_colour():
    for channels in (1, 3):
        data = open_pairs(size=(16, 16), channels=channels, pairs=80)
        assert [len(split) for _, split in data.items()] == [80, 10, 10]
        assert data.image_size == (16, 16)
        assert data.train.batch([0])[0].shape == (1, channels, 16, 16)
        assert data.attributes["images"] == 10 and data.attributes["held_out"] == 0
    a, b, c = (split.batch([0])[2] for _, split in data.items())
    assert abs(a - b).max() > 0.1 and abs(b - c).max() > 0.1


def save(folder, count):
    for k in range(count):  # image k has grey levels near 10 k
        noise = np.random.default_rng(k).integers(0, 3, (30, 40))
        Image.fromarray((10 * k + noise).astype(np.uint8)).save(folder / f"{k:02}.png")


def test_a_folder_of_images_is_divided(tmp_path):
    """No image is in two splits."""
    save(tmp_path, FEW)
    data = open_pairs(tmp_path, size=(16, 16), pairs=400)
    levels = [split.batch(np.arange(len(split)))[0].mean(axis=(1, 2, 3)) for _, split in data.items()]
    seen = [set(255 * level // 10) for level in levels]
    assert [len(images) for images in seen] == [FEW - 4, 2, 2]
    assert len(set.union(*seen)) == FEW
    assert data.attributes["held_out"] == 4


def test_few_images_serve_all_splits(tmp_path):
    save(tmp_path, 2)
    data = open_pairs(tmp_path, size=(16, 16), pairs=8)
    assert len(data.valid) == 1 and data.valid.batch([0])[0].shape == (1, 1, 16, 16)
    other = tmp_path / "other"
    other.mkdir()
    save(other, 3)
    assert open_pairs(other, size=(16, 16)).attributes["images_sha256"] != data.attributes["images_sha256"]


def test_where_nothing_can_be_seen_another_pair_is_drawn():
    """Stripes of one grey level show where the first draw has been; in white it counts, and only there."""
    middle, stripes = np.s_[:, 40:60, 40:60], np.arange(100) // 8 % 2
    striped = np.broadcast_to(254 + stripes, (1, 100, 100)).astype(np.uint8)
    white = np.full_like(striped, 255)
    striped[middle] = white[middle] = smooth((1, 20, 20))
    first, found = (pairs([image], 200).batch(np.arange(200)) for image in (striped, white))
    contrast = np.min([np.ptp(windows, axis=(1, 2, 3)) for windows in first[:2]], axis=0)
    same = np.array([np.array_equal(a, b) for a, b in zip(first[2], found[2], strict=True)])
    assert contrast[~same].max() < 1.5 / 255 and 20 < same.sum() < 180
    for a, b in zip(first[:2], found[:2], strict=True):
        assert_allclose(a[same], b[same], atol=1.5 / 255)
        assert np.ptp(b, axis=(1, 2, 3)).min() > 1e-5
    n = int(np.argmin(same))
    for together, alone in zip(found, pairs([white], 200).batch([n]), strict=True):
        assert_array_equal(together[n], alone[0])


def test_what_little_can_be_seen_is_found_soon(monkeypatch):
    """Left to chance, ten draws are too few for some of sixty pairs."""
    monkeypatch.setattr(module, "DRAWS", 10)
    white = np.full((1, 1000, 1000), 255, np.uint8)
    white[:, 300:340, 900:940] = smooth((1, 40, 40))
    for windows in pairs([white], 60).batch(np.arange(60))[:2]:
        assert np.ptp(windows, axis=(1, 2, 3)).min() > 1e-5


def test_sixteen_bits_are_seen_with_their_contrast(tmp_path):
    """What a detector of 12 bits fills of 16 is the same as in 8 bits, but for rounding."""
    eight = smooth()
    for name, image in (("8.png", eight), ("16.png", 16 * eight.astype(np.uint16))):
        (tmp_path / name[:-4]).mkdir()
        Image.fromarray(image[0]).save(tmp_path / name[:-4] / name)
    found, expected = (open_pairs(tmp_path / name, size=SIZE).train.batch(np.arange(12)) for name in ("16", "8"))
    for a, b in zip(found, expected, strict=True):
        assert_allclose(a, b, atol=1e-6)


def test_large_images_are_kept_no_larger_than_needed():
    """A checkerboard of single pixels, on a slow ramp, would alias if it were read without smoothing."""
    y, x = np.mgrid[:512, :512]
    board = (110 + 35 * x / 511 + 110 * (-1) ** (x + y)).astype(np.uint8)[None]
    sources, _, _ = pairs([board], 60, (16, 16)).batch(np.arange(60))
    grey = sources.std(axis=(1, 2, 3)) < 0.05
    assert grey.sum() > 20  # the windows that are seen at half the size or less
    assert_allclose(sources.mean(), 0.5, atol=0.02)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda folder: open_pairs(folder), FileError, "has no images"),
        (lambda folder: open_pairs(folder / "missing"), FileError, "no such folder"),
        (lambda folder: open_pairs(channels=2), DataError, r"2 channels, expected 1 \(grey\) or 3"),
        (lambda folder: open_pairs(pairs=0), DataError, "0 pairs from 10 images"),
        (lambda folder: open_pairs(size=(1, 9)), DataError, "images of 1x9 pixels, expected at least 8x8"),
        (lambda folder: open_pairs(saved(folder, smooth((1, 1, 40)))), DataError, "a.png: the image has 40x1 pixels"),
        (lambda folder: open_pairs(saved(folder, BLANK)), DataError, "a.png: the image is constant, expected"),
        (lambda folder: pairs([BLANK]).batch([3, 5]), DataError, "pair 3 was drawn 100 times and shows one grey level"),
        (lambda folder: pairs([BLANK.astype(np.uint16)]), DataTypeError, "image 0 is uint16, expected uint8"),
        (lambda folder: pairs().batch([12]), DataError, "12"),
        (lambda folder: pairs(deformation=Deformation(rms=9.0, sigma=2.0)).batch([0]), ValueError, "folds, or almost"),
    ],
)
def test_bad_input(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(tmp_path)
