"""Statistics of 4000 canvases.

Two kinds of expectation. Exact ones, from probabilities: of the crops and of the positions. Measured ones, of
4000 canvases of the 10,000 MNIST test digits by an independent generator: those have a standard error
themselves, the same as ours, so two such numbers differ by sqrt(2) standard errors; 4 times that happens once
in 16,000.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from hstn_ref.data import Clutter, ClutteredDigits
from hstn_ref.data.clutter import draw, permutation, starts

from .samples import FULL_MNIST, load

N = 4000
TOLERANCE = 4 * 2**0.5  # standard errors


@pytest.fixture(scope="module", params=["embedded", *FULL_MNIST])
def sample(request):
    """4000 canvases of test digits, in two epochs where there are but 2000 digits, and all that was drawn."""
    digits, labels = load(request.param).test
    dataset = ClutteredDigits(digits, labels, seed=0, fresh=True)
    n = min(N, len(digits))
    images = np.concatenate([dataset.batch(range(n), epoch)[0][:, 0] for epoch in range(N // n)])
    draws = []
    for epoch in range(N // n):
        order_start, start = starts(0, 0, epoch)
        draws.append(draw(start, permutation(order_start, len(digits)), np.arange(n), (28, 28), Clutter()))
    return SimpleNamespace(
        digits=digits,
        images=images.astype(np.float64),
        corner=np.concatenate([d.corner for d in draws]),
        patches=np.concatenate([d.patches for d in draws]),
    )


def standard_error(per_image):
    return per_image.std() / len(per_image) ** 0.5


def per_image(images, what):
    return what(images).reshape(len(images), -1).mean(axis=1)


@pytest.mark.parametrize(
    ("what", "expected", "rounding"),
    [
        (lambda images: images, 0.0510, 0.00005),
        (lambda images: images > 0, 0.0732, 0.00005),
        (lambda images: images**2, 0.204**2 + 0.0510**2, 2 * 0.204 * 0.0005),  # the standard deviation .204
        (lambda images: images[:, :5, :5], 0.0029, 0.00005),
        (lambda images: images[:, 25:35, 25:35], 0.121, 0.0005),
    ],
    ids=["mean", "fraction above 0", "mean square", "corner 5x5", "centre 10x10"],
)
def test_means_agree_with_an_independent_generator(sample, what, expected, rounding):
    values = per_image(sample.images, what)
    assert abs(values.mean() - expected) < TOLERANCE * standard_error(values) + rounding


def test_the_means_of_images_spread_as_they_should(sample):
    """.0120 among images; the standard error of a near-normal standard deviation is s / sqrt(2 n)."""
    s = sample.images.mean(axis=(1, 2)).std()
    assert abs(s - 0.0120) < TOLERANCE * s / (2 * N) ** 0.5 + 0.00005


def test_empty_crops_are_as_frequent_as_in_all_crops_of_all_digits(sample):
    rows = np.lib.stride_tricks.sliding_window_view(sample.digits, 8, axis=1).max(axis=-1)
    crops = np.lib.stride_tricks.sliding_window_view(rows, 8, axis=2).max(axis=-1)  # (n, 21, 21)
    exact = (crops == 0).mean()
    empty = [not sample.digits[k, i : i + 8, j : j + 8].any() for k, _, _, i, j in sample.patches.reshape(-1, 5)]
    error = (exact * (1 - exact) / len(empty)) ** 0.5  # of a proportion: the crops are drawn independently
    assert abs(np.mean(empty) - exact) < 4 * error
    assert abs(np.mean(empty) - 0.134) < TOLERANCE * error + 0.0005  # .134 by the independent generator


def test_the_corner_is_as_bright_as_its_coverage(sample):
    """Without clipping, the mean of a corner's pixel is a sum over all the placements that cover it."""
    mean = sample.digits.mean(axis=0) / 255
    expected = 0.0
    for i in range(5):
        for j in range(5):
            for t in range(i + 1):
                for u in range(j + 1):
                    crop = mean[i - t : i - t + 21, j - u : j - u + 21].mean()  # over 21 x 21 crops
                    expected += 6 * crop / 53**2 + mean[i - t, j - u] / 33**2
    values = per_image(sample.images, lambda images: images[:, :5, :5])
    # Clipping dims at most what two patches share here, a thousandth of the whole: well inside the error.
    assert abs(values.mean() - expected / 25) < 4 * standard_error(values)


def assert_uniform(drawn, outcomes):
    """Chi-squared of counts against equal ones: its mean is outcomes - 1, its variance twice that."""
    counts = np.bincount(drawn.ravel(), minlength=outcomes)
    assert len(counts) == outcomes  # the largest outcome is the last
    expected = drawn.size / outcomes
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi2 - (outcomes - 1)) < 5 * (2 * (outcomes - 1)) ** 0.5


def test_positions_are_uniform_ends_included(sample):
    for axis in (0, 1):
        assert_uniform(sample.corner[:, axis], 33)
        assert_uniform(sample.patches[..., 1 + axis], 53)
        assert_uniform(sample.patches[..., 3 + axis], 21)


def test_distractors_come_from_all_digits_with_replacement(sample):
    n = len(sample.digits)
    drawn = sample.patches[..., 0]
    # Balls in urns: of 24,000 draws from n, n (1 - exp(-24,000 / n)) different ones are expected, and the
    # variance is below that of independent urns.
    missed = np.exp(-drawn.size / n)
    assert abs(len(np.unique(drawn)) - n * (1 - missed)) < 5 * (n * missed * (1 - missed)) ** 0.5
    assert_uniform(drawn * 50 // n, 50)


def test_what_is_drawn_for_a_canvas_is_independent(sample):
    """Correlations of n pairs are 0 within 5 / sqrt(n)."""
    columns = np.column_stack([sample.corner, sample.patches.reshape(N, -1)]).astype(float)
    correlations = np.corrcoef(columns, rowvar=False) - np.eye(columns.shape[1])
    assert np.abs(correlations).max() < 5 / N**0.5
    following = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in columns.T]
    assert np.abs(following).max() < 5 / N**0.5
