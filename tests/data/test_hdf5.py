import errno
import os
import re
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

from hstn_ref import models
from hstn_ref.data import ArrayDataset, DataSplits, open_data, read_hdf5, write_dataset
from hstn_ref.errors import DataError, FileError

from .samples import small_splits


@pytest.fixture
def path(tmp_path):
    write_dataset(tmp_path / "data.h5", small_splits(kind="test", seed=3))
    return tmp_path / "data.h5"


def test_batches_equal_those_in_memory_bit_for_bit(path):
    for (_, stored), (_, original) in zip(read_hdf5(path).items(), small_splits().items(), strict=True):
        assert len(stored) == len(original)
        indices = np.random.default_rng(0).integers(0, len(original), 40)
        for found, expected in zip(stored.batch(indices), original.batch(indices), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_canvases_survive_exactly(tmp_path):
    splits = open_data("embedded", seed=5, fresh=False)
    some = [
        ArrayDataset((split.batch(range(50))[0][:, 0] * 255).round().astype(np.uint8), split.batch(range(50))[1])
        for _, split in splits.items()
    ]
    write_dataset(tmp_path / "data.h5", DataSplits(*some, attributes=splits.attributes))
    for (_, stored), (_, original) in zip(read_hdf5(tmp_path / "data.h5").items(), splits.items(), strict=True):
        np.testing.assert_array_equal(stored.batch(range(50))[0], original.batch(range(50))[0])


def test_attributes_come_back_as_plain_values(path):
    attributes = read_hdf5(path).attributes
    assert attributes == {"kind": "test", "seed": 3, "format": "hstn-ref data set", "version": 1}
    assert type(attributes["seed"]) is int and type(attributes["kind"]) is str
    again = path.with_name("again.h5")
    write_dataset(again, read_hdf5(path))
    assert read_hdf5(again).attributes == attributes


def test_progress_counts_the_images(tmp_path):
    calls = []
    write_dataset(tmp_path / "data.h5", small_splits(), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(256, 309), (300, 309), (305, 309), (309, 309)]


def test_images_stay_on_the_disk(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (2000, 60, 60), dtype=np.uint8)
    split = ArrayDataset(levels, np.zeros(2000, np.uint8))
    write_dataset(tmp_path / "data.h5", DataSplits(split, split, split, {}))
    tracemalloc.start()
    try:
        dataset = read_hdf5(tmp_path / "data.h5").train
        for first in range(0, 2000, 50):
            dataset.batch(range(first, first + 50))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < levels.nbytes / 2  # a batch is 1/40 of the images, 1/8 as float32 and uint8


def test_a_float_that_is_nearly_a_grey_level_is_rounded_and_others_are_refused(tmp_path):
    images = np.zeros((3, 4, 4), np.float32)
    images[1, 2, 3] = np.nextafter(np.float32(100 / 255), np.float32(1))
    images[1, 2, 2] = np.float32(100 / 255 - 1e-6)
    split = ArrayDataset(images, np.zeros(3, int))
    write_dataset(tmp_path / "data.h5", DataSplits(split, split, split, {}))
    assert read_hdf5(tmp_path / "data.h5").train.batch([1])[0][0, 0, 2, 2:].tolist() == [np.float32(100 / 255)] * 2
    images[2, 0, 1] = 0.5
    sentence = r"train images from 0: pixel \(2, 0, 1\) is 0\.5, expected a multiple of 1/255 in 0\.\.1"
    with pytest.raises(DataError, match=sentence):
        write_dataset(tmp_path / "other.h5", DataSplits(split, split, split, {}))
    assert os.listdir(tmp_path) == ["data.h5"]


class FullDisk(ArrayDataset):
    def batch(self, indices, epoch=0):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("shape", "labels", "sentence"),
    [
        ((5, 3, 28, 28), [0, 1, 2, 3, 4], "train: images have 3 channels, expected 1"),
        ((5, 1, 28, 28), [0, 1, 12, 3, 4], "train labels from 0: element 2 is 12, expected 0..9"),
        ((5, 1, 28, 28), [0, -1, 2, 3, 4], "train labels from 0: element 1 is -1, expected 0..9"),
    ],
)
def test_what_the_file_cannot_hold_is_refused(tmp_path, shape, labels, sentence):
    class Own:
        image_size = shape[2:]

        def __len__(self):
            return len(labels)

        def batch(self, indices, epoch=0):
            return np.zeros(shape, np.float32)[indices], np.array(labels)[indices]

    with pytest.raises(DataError, match=re.escape(sentence)):
        write_dataset(tmp_path / "own.h5", DataSplits(Own(), Own(), Own(), {}))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(path):
    before = path.read_bytes()
    split = FullDisk(np.zeros((3, 4, 4), np.uint8), np.zeros(3, int))
    with pytest.raises(FileError, match=r"^cannot write .*data\.h5: No space left on device$"):
        write_dataset(path, DataSplits(split, split, split, {}))
    assert path.read_bytes() == before and os.listdir(path.parent) == ["data.h5"]


LIMITED = """
import resource, sys
import numpy as np
from hstn_ref.data import ArrayDataset, DataSplits, write_dataset
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
split = ArrayDataset(np.random.default_rng(0).integers(0, 256, (99, 9, 9), np.uint8), np.arange(99) % 10)
try:
    write_dataset(sys.argv[1], DataSplits(split, split, split, {}))
except OSError as error:
    print(error)
"""


def test_no_room_is_named_and_leaves_the_old_file(path):
    """As HDF5 itself would meet it, which then ends the process."""
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True)
    assert done.stdout.strip() == f"cannot write {path}: {os.strerror(errno.EFBIG)}; a file there is intact"
    assert done.returncode == 0 and path.read_bytes() == before and os.listdir(path.parent) == ["data.h5"]


def test_a_file_of_something_else_is_not_replaced(tmp_path):
    models.CNN(image_size=(28, 28)).save(tmp_path / "cnn.h5")
    (tmp_path / "notes.h5").write_text("mine")
    for name in ("cnn.h5", "notes.h5"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(FileError, match=rf"cannot write .*{name}: the file there is no data set"):
            write_dataset(tmp_path / name, small_splits())
        assert (tmp_path / name).read_bytes() == before


def test_a_folder_that_cannot_be(path):
    with pytest.raises(FileError, match=r"cannot write .*data\.h5/x\.h5: .*data\.h5 is not a folder"):
        write_dataset(path / "x.h5", small_splits())


def test_a_missing_file(tmp_path):
    with pytest.raises(FileError, match=r"cannot read .*nowhere\.h5: there is no such file"):
        read_hdf5(tmp_path / "nowhere.h5")


@pytest.mark.parametrize("size", [0, 10, 1000, -1])
def test_a_file_cut_short(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"data\.h5: the file is damaged, cut short, or not HDF5"):
        read_hdf5(path)


def test_a_damaged_image_is_named_when_it_is_read(path):
    with h5py.File(path) as file:
        offset = file["train/images"].id.get_chunk_info(17).byte_offset
        assert file["train/images"].id.get_chunk_info(17).chunk_offset[0] == 17
    content = bytearray(path.read_bytes())
    content[offset + 20] ^= 1
    path.write_bytes(content)
    dataset = read_hdf5(path).train
    dataset.batch([16, 18])
    with pytest.raises(DataError, match=r"data\.h5: train: image 17 is damaged"):
        dataset.batch([16, 17])


def change(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file)


def replace(file, name, array):
    del file[name]
    file[name] = array


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda f: f.attrs.update(version=2), "the 'version' is 2, this release reads 1"),
        (lambda f: f.attrs.update(version="new"), "the 'version' is new, this release reads 1"),
        (lambda f: f.attrs.pop("version"), "the 'version' is None, this release reads 1"),
        (lambda f: f.attrs.pop("format"), "the 'format' is None, expected 'hstn-ref data set'"),
        (
            lambda f: f.attrs.update(format="checkpoint"),
            "the 'format' is 'checkpoint', expected 'hstn-ref data set'",
        ),
        (lambda f: f.pop("test"), "test: images or labels are missing or damaged"),
        (lambda f: f.pop("valid/labels"), "valid: images or labels are missing or damaged"),
        (
            lambda f: replace(f, "train/images", np.zeros((300, 9, 7))),
            r"train: images are float64 \(300, 9, 7\)",
        ),
        (
            lambda f: replace(f, "train/images", np.zeros((300, 63), "u1")),
            r"train: images are uint8 \(300, 63\)",
        ),
        (lambda f: replace(f, "train/labels", np.zeros(299, "u1")), r"train: labels: shape is \(299,\)"),
        (lambda f: replace(f, "train/labels", np.full(300, 10)), "train: labels: element 0 is 10"),
        (
            lambda f: (f.pop("train/images"), f.create_group("train/images")),
            r"train: images and labels are <HDF5 group.*, expected arrays",
        ),
    ],
)
def test_another_layout_is_one_sentence(path, edit, sentence):
    change(path, edit)
    with pytest.raises(DataError, match=f"data.h5: {sentence}"):
        read_hdf5(path)
