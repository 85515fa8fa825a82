import hashlib
import json
import shutil
from importlib.resources import files

import numpy as np
import pytest

from hstn_ref.data import digits as module
from hstn_ref.data import load_embedded, load_mnist
from hstn_ref.errors import DataError, FileError

from .samples import FULL_MNIST, digits, idx_bytes, load, mnist_folder


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
def test_the_last_sixth_of_the_training_digits_is_for_validation(tmp_path, pack, dotted):
    splits = load_mnist(mnist_folder(tmp_path, train=30, test=5, pack=pack, dotted=dotted))
    images, labels = digits(30, seed=0)
    np.testing.assert_array_equal(splits.train.images, images[:25])
    np.testing.assert_array_equal(splits.train.labels, labels[:25])
    np.testing.assert_array_equal(splits.valid.images, images[25:])
    np.testing.assert_array_equal(splits.valid.labels, labels[25:])
    np.testing.assert_array_equal(splits.test.images, digits(5, seed=1)[0])


def test_a_missing_file_is_named(tmp_path):
    (mnist_folder(tmp_path) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        FileError, match=r"has no file t10k-labels-idx1-ubyte, t10k-labels\.idx1-ubyte, or either with .gz"
    ):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        (
            "t10k-images-idx3-ubyte",
            np.zeros((5, 32, 32)),
            r"uint8 \(5, 32, 32\), expected uint8 \(n, 28, 28\)",
        ),
        (
            "t10k-images-idx3-ubyte",
            np.zeros((0, 28, 28)),
            r"uint8 \(0, 28, 28\), expected uint8 \(n, 28, 28\)",
        ),
        ("t10k-labels-idx1-ubyte", np.zeros(4), r"shape is \(4,\), expected \(5,\), one for each image"),
        ("t10k-labels-idx1-ubyte", np.array([0, 9, 10, 0, 0]), r"element 2 is 10, expected 0\.\.9"),
    ],
)
def test_files_that_hold_no_digits(tmp_path, name, array, sentence):
    (mnist_folder(tmp_path, pack=False) / name).write_bytes(idx_bytes(array))
    with pytest.raises(DataError, match=f"{name}.*{sentence}"):
        load_mnist(tmp_path)


def test_the_embedded_digits():
    splits = load_embedded()
    assert [len(split.labels) for split in splits] == [10_000, 1_000, 2_000]
    for images, labels in splits:
        assert images.shape == (len(labels), 28, 28) and images.dtype == labels.dtype == np.uint8
        assert not images.flags.writeable and not labels.flags.writeable  # they are shared
        # A class has a tenth of a random sample of n, give or take 4 standard deviations sqrt(0.09 n), and
        # the two percent by which the classes of MNIST differ from a tenth.
        n = len(labels)
        np.testing.assert_allclose(np.bincount(labels, minlength=10), n / 10, atol=4 * (0.09 * n) ** 0.5 + 0.02 * n)


@pytest.mark.parametrize("source", ["embedded", *FULL_MNIST])
def test_no_embedded_digit_occurs_twice_and_each_is_in_its_split_of_mnist(source):
    def known(split):
        return {(image.tobytes(), int(label)) for image, label in zip(*split, strict=True)}

    ours = [known(split) for split in load_embedded()]
    assert len(set.union(*ours)) == 13_000
    for few, many in zip(ours, load(source), strict=True):
        assert few <= known(many)


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "other digits", "fewer digits"])
def test_a_damaged_installation_is_one_sentence(tmp_path, monkeypatch, damage):
    for name in ("digits.xz", "digits.json"):
        shutil.copy(files("hstn_ref.data") / name, tmp_path)
    packed, about = tmp_path / "digits.xz", tmp_path / "digits.json"
    content = packed.read_bytes()
    if damage == "flipped bit":
        packed.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    elif damage == "cut short":
        packed.write_bytes(content[:-100])
    elif damage == "other digits":
        about.write_text(about.read_text().replace(json.loads(about.read_text())["sha256"], "0" * 64))
    else:
        about.write_text(about.read_text().replace('"test": 2000', '"test": 2001'))
    monkeypatch.setattr(module, "files", lambda package: tmp_path)
    load_embedded.cache_clear()
    with pytest.raises(DataError, match=r"digits\.xz: the (file is damaged|file holds|SHA-256 is)"):
        load_embedded()
    load_embedded.cache_clear()


def test_the_checksum_is_of_the_arrays_in_order():
    content = b"".join(array.tobytes() for split in load_embedded() for array in split)
    assert load_embedded().sha256() == hashlib.sha256(content).hexdigest()


def test_the_embedded_file_tells_its_origin():
    about = json.loads((files("hstn_ref.data") / "digits.json").read_text())
    assert about["mnist_sha256"] == module.MNIST_SHA256
    assert "LeCun" in about["provenance"] and "CC BY-SA 3.0" in about["licence"]
