import hashlib
import json

import numpy as np
import pytest

from hstn_ref.data import Clutter, ClutteredDigits, inspect, load_mnist, open_data, write_dataset
from hstn_ref.errors import DataError, FileError

from .samples import FULL_MNIST, load, mnist_folder, small_splits


@pytest.mark.parametrize("source", ["embedded", *FULL_MNIST])
def test_digits_are_put_among_clutter_as_in_the_paper(source):
    splits = open_data(source)
    assert splits.image_size == (60, 60)
    assert [len(split) for _, split in splits.items()] == [len(part.labels) for part in load(source)]
    assert splits.attributes["source_sha256"] == load(source).sha256()


def test_embedded_is_the_default():
    first, second = open_data().valid.batch([3]), open_data("embedded").valid.batch([3])
    np.testing.assert_array_equal(first[0], second[0])


def test_only_the_training_split_can_be_fresh():
    def canvases(split, epoch):
        return split.batch(range(5), epoch)[0]

    fresh, fixed = open_data(seed=1, fresh=True), open_data(seed=1, fresh=False)
    assert not np.array_equal(canvases(fresh.train, 0), canvases(fresh.train, 1))
    for split in (fixed.train, fresh.valid, fresh.test):
        np.testing.assert_array_equal(canvases(split, 0), canvases(split, 1))
    np.testing.assert_array_equal(canvases(fresh.train, 0), canvases(fixed.train, 0))
    np.testing.assert_array_equal(canvases(fresh.test, 0), canvases(fixed.test, 0))
    assert not np.array_equal(canvases(open_data(seed=2).test, 0), canvases(fresh.test, 0))


def test_each_split_has_clutter_of_its_own(tmp_path):
    folder = mnist_folder(tmp_path, train=12, test=2)  # 10, 2 and 2 digits
    digits = load_mnist(folder)
    for stream, (_, split) in enumerate(open_data(folder, seed=9, clutter=Clutter((40, 50), 3, 5)).items()):
        expected = ClutteredDigits(*digits[stream], seed=9, stream=stream, clutter=Clutter((40, 50), 3, 5))
        np.testing.assert_array_equal(split.batch([1, 0])[0], expected.batch([1, 0])[0])


def test_what_is_made_can_be_opened_and_is_the_same(tmp_path):
    made = open_data(mnist_folder(tmp_path / "mnist"), seed=4, fresh=False, clutter=Clutter((40, 50)))
    write_dataset(tmp_path / "made.h5", made)
    opened = open_data(tmp_path / "made.h5", seed=99)
    assert opened.attributes == {**made.attributes, "format": "hstn-ref data set", "version": 1}
    assert opened.attributes["seed"] == 4 and opened.attributes["source"] == "IDX files of mnist"
    for (_, one), (_, other) in zip(made.items(), opened.items(), strict=True):
        for a, b in zip(one.batch(range(len(one))), other.batch(range(len(one))), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_file_takes_no_clutter(tmp_path):
    write_dataset(tmp_path / "data.h5", small_splits())
    with pytest.raises(DataError, match=r"the file contains its canvases already, Clutter\(.* cannot be applied"):
        open_data(tmp_path / "data.h5", clutter=Clutter())


def test_an_npz_file_is_opened(tmp_path):
    arrays = {f"x_{name}": split.batch(range(len(split)))[0] for name, split in small_splits().items()}
    arrays |= {f"y_{name}": split.batch(range(len(split)))[1] for name, split in small_splits().items()}
    np.savez(tmp_path / "data.npz", **arrays)
    opened = open_data(tmp_path / "data.npz")
    checksum = hashlib.sha256((tmp_path / "data.npz").read_bytes()).hexdigest()
    assert opened.attributes == {"kind": "npz", "source": "data.npz", "source_sha256": checksum}
    np.testing.assert_array_equal(opened.test.batch([2])[0], arrays["x_test"][[2]])


def test_what_is_no_data_set_is_one_sentence(tmp_path):
    with pytest.raises(FileError, match="there is no such file or folder; expected 'embedded', a folder with"):
        open_data(tmp_path / "nowhere")
    (tmp_path / "data.txt").write_text("")
    with pytest.raises(DataError, match=r"the file's name ends in '\.txt', expected \.npz, \.h5 or \.hdf5"):
        open_data(tmp_path / "data.txt")
    with pytest.raises(FileError, match="the folder has no file train-images-idx3-ubyte"):
        open_data(tmp_path)


def expected_summary(images, labels):
    return {
        "images": len(images),
        "per_class": [int((labels == c).sum()) for c in range(10)],
        "mean": pytest.approx(images.mean(), rel=1e-6),  # float32 levels summed in float64
        "std": pytest.approx(images.std(), rel=1e-6),
        "positive": (images > 0).mean(),
    }


def test_inspect_a_file(tmp_path):
    splits = small_splits(kind="test", seed=3)
    write_dataset(tmp_path / "data.h5", splits)
    found = inspect(tmp_path / "data.h5")
    assert json.loads(json.dumps(found)) == found
    assert found["path"] == str(tmp_path / "data.h5") and found["image_size"] == [9, 7]
    assert found["attributes"] == {"kind": "test", "seed": 3, "format": "hstn-ref data set", "version": 1}
    for name, split in splits.items():
        images, labels = split.batch(range(len(split)))
        assert found["splits"][name] == expected_summary(images.astype(np.float64), labels)


@pytest.mark.parametrize("source", ["embedded", *FULL_MNIST])
def test_inspect_digits(source):
    found = inspect(source)
    assert found["attributes"]["kind"] == "digits" and found["image_size"] == [28, 28]
    images, labels = load(source).test
    assert found["splits"]["test"] == expected_summary(images / 255, labels)
