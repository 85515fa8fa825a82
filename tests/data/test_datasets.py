"""What every source of images promises, and what each refuses."""

import numpy as np
import pytest

from hstn_ref.data import ArrayDataset, Clutter, ClutteredDigits, DataSplits, datasets, open_data, write_dataset
from hstn_ref.errors import DataError, DataTypeError

from .samples import digits, small_splits

LEVELS, LABELS = digits(300)
FLOATS = (LEVELS / 255).astype(np.float32)


@pytest.fixture(params=["uint8", "float32", "hdf5", "cluttered", "fresh"])
def dataset(request, tmp_path):
    if request.param == "uint8":
        return ArrayDataset(LEVELS, LABELS)
    if request.param == "float32":
        return ArrayDataset(FLOATS, LABELS)
    if request.param == "hdf5":
        split = ArrayDataset(LEVELS, LABELS)
        write_dataset(tmp_path / "data.h5", DataSplits(split, split, split, {}))
        return open_data(tmp_path / "data.h5").valid
    return ClutteredDigits(
        LEVELS,
        LABELS,
        seed=0,
        fresh=request.param == "fresh",
        clutter=Clutter(canvas=(28, 28), distractors=0),
    )


def test_batches_of_every_source(dataset):
    assert len(dataset) == 300 and dataset.image_size == (28, 28)
    whole, labels = dataset.batch(range(300))
    assert whole.shape == (300, 1, 28, 28) and whole.dtype == np.float32 and whole.flags.c_contiguous
    assert labels.shape == (300,) and labels.dtype == np.int64
    assert sorted(image.tobytes() for image in whole) == sorted(image.tobytes() for image in FLOATS)
    if not isinstance(dataset, ClutteredDigits):  # which come in a random order
        np.testing.assert_array_equal(whole[:, 0], FLOATS)
        np.testing.assert_array_equal(labels, LABELS)
    for indices in ([7], [299, 0, 0, 258], np.arange(250, 260, dtype=np.int32)[::-1]):
        images, some = dataset.batch(indices, epoch=0)
        np.testing.assert_array_equal(images, whole[indices])
        np.testing.assert_array_equal(some, labels[indices])


def test_a_batch_is_the_callers_own(dataset):
    images, labels = dataset.batch([3, 4])
    before = images.copy(), labels.copy()
    images += 1
    labels += 1
    for found, expected in zip(dataset.batch([3, 4]), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("indices", [[], [300], [-1], [[0]], [0.5]])
def test_bad_indices_are_refused(dataset, indices):
    with pytest.raises((DataError, DataTypeError), match="indices: "):
        dataset.batch(indices)


@pytest.mark.parametrize(
    ("images", "error", "sentence"),
    [
        (FLOATS.astype(np.float64), DataTypeError, "images are float64, expected uint8 or float32"),
        (FLOATS[:, None], DataError, r"images have the shape \(300, 1, 28, 28\), expected \(n, H, W\)"),
        (FLOATS[:0], DataError, r"images have the shape \(0, 28, 28\), expected"),
        (FLOATS * 255, DataError, r"images span 0\.0\.\.255\.0, expected values in 0\.\.1"),
        (FLOATS - 1, DataError, r"images span -1\.0\.\.0\.0, expected values in 0\.\.1"),
        (
            np.where(FLOATS == 0, np.float32(np.nan), FLOATS),
            DataError,
            r"images: element \(\d+, \d+, \d+\) is nan",
        ),
        (FLOATS[1:], DataError, r"labels: shape is \(300,\), expected \(299,\)"),
    ],
)
def test_bad_arrays_are_one_sentence(images, error, sentence):
    with pytest.raises(error, match=f"^mine: {sentence}"):
        ArrayDataset(images, LABELS, name="mine")


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"digits": FLOATS}, DataTypeError, "digits are float32, expected uint8"),
        ({"digits": LEVELS[:0]}, DataError, r"digits have the shape \(0, 28, 28\)"),
        ({"labels": LABELS + 5}, DataError, "labels: element"),
        ({"seed": -1}, DataError, "seed is -1"),
        ({"seed": 0.5}, DataTypeError, r"seed is 0\.5"),
    ],
)
def test_bad_digits_are_one_sentence(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        ClutteredDigits(**{"digits": LEVELS, "labels": LABELS, "seed": 0, **arguments})


def test_batches_of_two_epochs_do_not_mix(monkeypatch):
    """As a thread that asks for the next epoch's batch just then would make them."""
    digits = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    data = ClutteredDigits(digits, np.arange(5), seed=1, fresh=True)
    first, second = data.batch([0, 1], epoch=0), data.batch([0, 1], epoch=1)
    check, asked = datasets.validate_indices, []

    def interrupted(*arguments):
        if not asked:
            asked.append(True)
            for a, b in zip(data.batch([0, 1], epoch=1), second, strict=True):
                np.testing.assert_array_equal(a, b)
        return check(*arguments)

    monkeypatch.setattr(datasets, "validate_indices", interrupted)
    for a, b in zip(data.batch([0, 1], epoch=0), first, strict=True):
        np.testing.assert_array_equal(a, b)
    assert asked


def test_as_many_classes_as_one_says():
    images, labels = np.zeros((24, 6, 6), np.uint8), [n % 12 for n in range(24)]
    data = ArrayDataset(images, labels, classes=12)
    np.testing.assert_array_equal(data.batch([11, 23])[1], [11, 11])
    with pytest.raises(DataError, match=r"labels: element 10 is 10, expected 0\.\.9"):
        ArrayDataset(images, labels)


def test_a_negative_epoch_is_refused():
    with pytest.raises(DataError, match="epoch is -1"):
        ClutteredDigits(LEVELS, LABELS, seed=0, fresh=True).batch([0], epoch=-1)


def test_splits_of_different_sizes_are_refused():
    splits = small_splits()
    with pytest.raises(DataError, match="the splits have images of different sizes"):
        DataSplits(splits.train, splits.valid, ArrayDataset(LEVELS, LABELS), {})


def test_the_first_images_of_each_split():
    splits = open_data("embedded", seed=3)
    few = splits.first(5)
    assert [len(split) for _, split in few.items()] == [5, 5, 5]
    assert few.attributes["only_the_first"] == 5 and few.image_size == splits.image_size
    for (_, small), (_, whole) in zip(few.items(), splits.items(), strict=True):
        for found, expected in zip(small.batch([4, 0], epoch=1), whole.batch([4, 0], epoch=1), strict=True):
            np.testing.assert_array_equal(found, expected)
        with pytest.raises(ValueError, match=r"0\.\.4|index|indices"):
            small.batch([5])
    assert len(splits.first(10**6).test) == len(splits.test)
