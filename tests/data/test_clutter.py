"""The generator against a slow reading of its five steps; its promise: same seed, same bits, in any batch."""

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hstn_ref.data import Clutter, ClutteredDigits, load_embedded
from hstn_ref.data.clutter import canvases, draw, permutation, random_words, starts
from hstn_ref.errors import DataError

from .samples import digits


def splitmix64(state, count):
    """The sequential generator, in Python's integers."""
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        yield z ^ (z >> 31)


def test_the_random_words_are_those_of_splitmix64():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert random_words(np.uint64(1234567), np.arange(4, dtype=np.uint64)).tolist() == published


@given(start=st.integers(0, 2**64 - 1), numbers=st.lists(st.integers(0, 300), min_size=1, max_size=20))
def test_the_sequence_can_be_entered_anywhere(start, numbers):
    sequence = list(splitmix64(start, 301))
    assert random_words(np.uint64(start), np.array(numbers, np.uint64)).tolist() == [sequence[n] for n in numbers]


def paint_slowly(images, draws, clutter):
    """Steps 1 to 4 as the original has them: in [0, 1], clipped after the patches and under the digit."""
    painted = []
    for digit, (y, x), patches in zip(draws.digit, draws.corner, draws.patches, strict=True):
        canvas = np.zeros(clutter.canvas)
        for k, i, j, top, left in patches:
            s = clutter.patch
            canvas[i : i + s, j : j + s] += images[k, top : top + s, left : left + s] / 255
        canvas = np.minimum(canvas, 1)
        canvas[y : y + images.shape[1], x : x + images.shape[2]] += images[digit] / 255
        painted.append(np.minimum(canvas, 1))
    return np.array(painted)


CLUTTERS = st.builds(
    Clutter,
    canvas=st.tuples(st.integers(28, 70), st.integers(28, 70)),
    distractors=st.integers(0, 8),
    patch=st.integers(1, 28),
)


@given(clutter=CLUTTERS, seed=st.integers(0, 100), writeable=st.booleans())
def test_painting_follows_the_five_steps(clutter, seed, writeable):
    images, labels = digits(7, seed)
    images.flags.writeable = writeable
    dataset = ClutteredDigits(images, labels, seed=seed, clutter=clutter)
    order_start, start = starts(seed, 0, 0)
    draws = draw(start, permutation(order_start, 7), np.arange(7), (28, 28), clutter)
    found, found_labels = dataset.batch(range(7))
    expected = paint_slowly(images, draws, clutter)
    # A sum of up to nine doubles and one rounding to float32, below 1.
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=2**-24)
    assert found.dtype == np.float32 and found.shape == (7, 1, *clutter.canvas)
    np.testing.assert_array_equal(found_labels, labels[draws.digit])  # step 5


@given(clutter=CLUTTERS, seed=st.integers(0, 100), h=st.integers(14, 28), w=st.integers(14, 28))
def test_draws_stay_inside_and_use_the_words_of_their_canvas(clutter, seed, h, w):
    clutter = dataclasses.replace(clutter, patch=min(clutter.patch, h, w))
    (H, W), D, s = clutter.canvas, clutter.distractors, clutter.patch
    order_start, start = starts(seed, 0, 0)
    order = permutation(order_start, 50)
    assert sorted(order) == list(range(50))  # each digit once per pass
    draws = draw(start, order, np.array([31, 4]), (h, w), clutter)
    assert draws.digit.tolist() == [order[31], order[4]]
    outcomes = [H - h + 1, W - w + 1] + D * [50, H - s + 1, W - s + 1, h - s + 1, w - s + 1]
    sequence = list(splitmix64(int(start), 32 * len(outcomes)))
    for b, i in enumerate((31, 4)):
        words = sequence[i * len(outcomes) : (i + 1) * len(outcomes)]
        expected = [(word >> 32) * n >> 32 for word, n in zip(words, outcomes, strict=True)]
        assert [*draws.corner[b], *draws.patches[b].ravel()] == expected


@given(seed=st.integers(0, 2**62), epoch=st.integers(0, 1000), fresh=st.booleans(), data=st.data())
def test_a_canvas_does_not_depend_on_its_batch_nor_on_the_past(seed, epoch, fresh, data):
    images, labels = digits(20)
    first, second = (ClutteredDigits(images, labels, seed=seed, fresh=fresh) for _ in range(2))
    whole, whole_labels = first.batch(range(20), epoch=epoch)
    second.batch([3], epoch=epoch + 1)
    indices = data.draw(st.lists(st.integers(0, 19), min_size=1, max_size=8))
    part, part_labels = second.batch(indices, epoch=epoch)
    np.testing.assert_array_equal(part, whole[indices])
    np.testing.assert_array_equal(part_labels, whole_labels[indices])


def test_seed_stream_and_epoch_each_make_other_canvases():
    images, labels = digits(20)

    def canvas(seed=0, stream=0, epoch=0, fresh=True):
        return ClutteredDigits(images, labels, seed=seed, stream=stream, fresh=fresh).batch(range(20), epoch)[0]

    others = [
        canvas(),
        canvas(seed=1),
        canvas(seed=2**32),
        canvas(stream=1),
        canvas(epoch=1),
        canvas(stream=1, epoch=1),
    ]
    assert len({other.tobytes() for other in others}) == len(others)
    np.testing.assert_array_equal(canvas(epoch=5, fresh=False), canvas())
    np.testing.assert_array_equal(canvas(), canvas())


def test_the_same_bits_on_every_machine():
    """If this fails, published results cannot be repeated: make it a new version of the generator."""
    dataset = ClutteredDigits(*load_embedded().test, seed=7, stream=2, fresh=True)
    images, labels = dataset.batch(range(100), epoch=3)
    found = hashlib.sha256(images.astype("<f4").tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    assert found == "f584d17455553dcd73477bf1232988e291e7a2aab367a4db5dd54a5623b351f1"


def test_a_clutter_of_nothing_is_the_digit_alone():
    images, labels = digits(10)
    dataset = ClutteredDigits(images, labels, seed=0, clutter=Clutter(canvas=(28, 28), distractors=0))
    found, found_labels = dataset.batch(range(10))
    order = permutation(starts(0, 0, 0)[0], 10)
    np.testing.assert_array_equal(np.rint(found[:, 0] * 255), images[order])
    np.testing.assert_array_equal(found_labels, labels[order])


def test_the_middles_are_those_of_the_digits():
    """Digits of one white square each, on canvases without distractors."""
    images = np.zeros((20, 9, 7), np.uint8)
    images[:, 4, 3] = 255
    clutter = Clutter(canvas=(30, 40), distractors=0, patch=1)
    dataset = ClutteredDigits(images, np.arange(20) % 10, seed=3, fresh=True, clutter=clutter)
    for epoch in (0, 2):
        _, _, row, col = np.nonzero(dataset.batch([5, 0, 19], epoch)[0])
        np.testing.assert_array_equal(dataset.middles([5, 0, 19], epoch), np.stack([row, col], axis=1))


def test_white_is_never_exceeded():
    images = np.full((3, 28, 28), 200, np.uint8)
    clutter = Clutter(canvas=(28, 30), distractors=40, patch=20)
    draws = draw(starts(0, 0, 0)[1], np.arange(3), np.arange(3), (28, 28), clutter)
    painted = canvases(images, draws, clutter)
    assert painted.max() == 255 and painted[:, 14, 15].min() == 255


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"canvas": (27, 60)}, r"a digit of \(28, 28\) pixels does not fit a canvas of \(27, 60\)"),
        ({"canvas": (60, 27)}, r"a digit of \(28, 28\) pixels does not fit a canvas of \(60, 27\)"),
        ({"patch": 29}, r"a patch of 29 pixels does not fit a digit of \(28, 28\)"),
        ({"patch": 0}, "is no canvas"),
        ({"distractors": -1}, "-1 distractors, expected 0 to 10000"),
        ({"distractors": 10**20}, "distractors, expected 0 to 10000"),
        ({"canvas": (60, 5000)}, "is no canvas"),
        ({"canvas": (60.5, 60)}, "is no canvas"),
        ({"canvas": (60, 0)}, "is no canvas"),
        ({"canvas": (60,)}, "is no canvas"),
    ],
)
def test_impossible_clutter(options, sentence):
    with pytest.raises(DataError, match=sentence):
        ClutteredDigits(*digits(2), seed=0, clutter=Clutter(**options))


def test_numba_is_not_imported_before_it_is_needed():
    code = (
        "import sys; from hstn_ref.data import open_data; data = open_data(); "
        "assert 'numba' not in sys.modules; data.train.batch([0]); assert 'numba' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
