import numpy as np
import pytest

from hstn_ref.data import validate_images, validate_labels
from hstn_ref.data.checks import natural, validate_indices
from hstn_ref.errors import DataError, DataTypeError, UserError


def with_value(value, dtype=np.float32):
    images = np.zeros((3, 1, 4, 5), dtype)
    images[2, 0, 1, 3] = value
    return images


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_good_images_pass(dtype):
    assert validate_images(with_value(1, dtype)) is None
    assert validate_images(with_value(-3.5, dtype)[:, :, ::-1]) is None


@pytest.mark.parametrize(
    ("images", "error", "sentence"),
    [
        (
            with_value(1, np.uint8),
            TypeError,
            "elements are uint8, expected float32 or float64; divide grey levels by 255",
        ),
        (with_value(1, complex), TypeError, "elements are complex128, expected float32 or float64"),
        (with_value(1, np.int64), TypeError, "elements are int64, expected"),
        (with_value(1, np.float16), TypeError, "elements are float16, expected"),
        (with_value(np.nan), ValueError, r"element \(2, 0, 1, 3\) is nan, expected finite numbers"),
        (with_value(np.inf), ValueError, r"element \(2, 0, 1, 3\) is inf, expected finite numbers"),
        (
            with_value(-np.inf, np.float64),
            ValueError,
            r"element \(2, 0, 1, 3\) is -inf, expected finite numbers",
        ),
        (np.zeros((0, 1, 4, 5)), ValueError, r"the batch is empty, its shape is \(0, 1, 4, 5\)"),
        (np.zeros((3, 4, 5)), ValueError, r"shape is \(3, 4, 5\), expected \(N, 1, H, W\)"),
        (np.zeros((3, 3, 4, 5)), ValueError, r"shape is \(3, 3, 4, 5\), expected \(N, 1, H, W\)"),
    ],
)
def test_bad_images_are_one_sentence(images, error, sentence):
    with pytest.raises(error, match=f"^faces: {sentence}") as caught:
        validate_images(images, name="faces")
    assert isinstance(caught.value, UserError)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_good_labels_pass(dtype):
    assert validate_labels(np.arange(10, dtype=dtype), 10) is None
    assert validate_labels([0, 2], 2, classes=3) is None


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        ([0.0, 1.0, 2.0], TypeError, "elements are float64, expected integers"),
        ([True, False, True], TypeError, "elements are bool, expected integers"),
        ([0, 1], ValueError, r"shape is \(2,\), expected \(3,\), one for each image"),
        ([[0, 1, 2]], ValueError, r"shape is \(1, 3\), expected \(3,\)"),
        ([0, 10, 11], ValueError, r"element 1 is 10, expected 0\.\.9"),
        ([0, 1, -1], ValueError, r"element 2 is -1, expected 0\.\.9"),
    ],
)
def test_bad_labels_are_one_sentence(labels, error, sentence):
    with pytest.raises(error, match=f"^labels: {sentence}"):
        validate_labels(np.array(labels), 3)


@pytest.mark.parametrize(
    ("indices", "error", "sentence"),
    [
        ([], ValueError, r"shape is \(0,\), expected a list of at least one index"),
        (3, ValueError, r"shape is \(\), expected a list"),
        ([0.0], TypeError, "elements are float64, expected integers"),
        ([True] * 5, TypeError, "elements are bool, expected integers"),
        ([0, 5], ValueError, r"element 1 is 5, expected 0\.\.4"),
        ([-1], ValueError, r"element 0 is -1, expected 0\.\.4"),
    ],
)
def test_bad_indices_are_one_sentence(indices, error, sentence):
    with pytest.raises(error, match=f"^indices: {sentence}"):
        validate_indices(indices, 5)


def test_natural_numbers():
    assert natural(np.int32(7), name="seed") == 7
    with pytest.raises(DataTypeError, match=r"^seed is 1\.5, expected an integer$"):
        natural(1.5, name="seed")
    for value in (-1, 2**63):
        with pytest.raises(DataError, match=f"^seed is {value}, expected an integer in"):
            natural(value, name="seed")
