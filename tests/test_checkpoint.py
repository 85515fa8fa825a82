import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hstn_ref import checkpoint, models
from hstn_ref.checkpoint import Checkpoint, TrainingState
from hstn_ref.errors import DataError, FileError

from .toy import Toy, bits

MODELS = [
    (models.CNN, {"image_size": (28, 30), "padding": "same", "dropout": 0.25}),
    (models.AffineSTN, {"image_size": (36, 40), "border": "edge", "dtype": np.float64}),
    (models.TPSSTN, {"image_size": (36, 40), "grid": (3, 5), "coords": "isotropic"}),
    (models.CSTN, {"image_size": (36, 36), "steps": 3, "compose": "left"}),
    (models.ICSTN, {"image_size": (36, 36), "steps": 2}),
    (models.HSTN, {"preset": "tiny", "image_size": (36, 36), "alpha": 0.5, "combine": "compose"}),
]


def some_arrays(seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(3, 2), (4,), (), (0, 3), (2, 1, 3, 3)]
    return {f"a.{i}.weight": rng.normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)}


def training_checkpoint():
    state = {"history": [{"loss": 0.1 + 0.2}] * 3000, "generators": [2**127 + 1], "schedule": float("inf")}
    return Checkpoint(
        "cnn", {"image_size": [28, 28]}, "float32", some_arrays(0), TrainingState(some_arrays(1), some_arrays(2), state)
    )


def assert_same_arrays(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert (a[name].dtype, a[name].shape) == (b[name].dtype, b[name].shape)
        assert a[name].tobytes() == b[name].tobytes()


@pytest.mark.parametrize(("model", "options"), MODELS)
def test_a_saved_network_comes_back_bit_for_bit(tmp_path, model, options):
    network = model(rng=3, **options)
    network.save(tmp_path / "model.h5")
    found = models.load(tmp_path / "model.h5")
    assert type(found) is model
    assert bits(found) == bits(network)
    assert found.options == network.options
    assert found.dtype == network.dtype
    images = np.random.default_rng(0).random((2, 1, *found.image_size), dtype=np.float32)
    np.testing.assert_array_equal(found(images).data, network.eval()(images).data)


def test_a_loaded_network_is_in_evaluation_mode(tmp_path):
    models.CNN(image_size=(28, 28)).train().save(tmp_path / "model.h5")
    assert {module.training for module in models.load(tmp_path / "model.h5").modules()} == {False}


def test_everything_in_a_training_checkpoint_comes_back(tmp_path):
    checkpoint.write(training_checkpoint(), tmp_path / "c.h5")
    found, wanted = checkpoint.read(tmp_path / "c.h5"), training_checkpoint()
    assert_same_arrays(found.weights, wanted.weights)
    assert_same_arrays(found.training.m, wanted.training.m)
    assert_same_arrays(found.training.v, wanted.training.v)
    assert found.training.state == wanted.training.state
    assert (found.model, found.options, found.dtype) == (wanted.model, wanted.options, wanted.dtype)


def test_the_origin_of_a_network_is_told(tmp_path):
    origin = {"command": "hstn train", "seed": 3, "accuracy": 0.5}
    network = Checkpoint.of(models.CNN(image_size=(28, 28)))
    checkpoint.write(network, tmp_path / "of_unknown_origin.h5")
    checkpoint.write(replace(network, origin=origin), tmp_path / "c.h5")
    assert checkpoint.read(tmp_path / "of_unknown_origin.h5").origin is None
    assert checkpoint.read(tmp_path / "c.h5").origin == origin


def test_a_training_checkpoint_is_a_model_file_too(tmp_path):
    network = models.CNN(image_size=(28, 28), rng=1)
    moments = network.state()
    checkpoint.write(Checkpoint.of(network, TrainingState(moments, moments, {})), tmp_path / "c.h5")
    assert bits(models.load(tmp_path / "c.h5")) == bits(network)


def test_the_same_network_gives_the_same_file(tmp_path):
    for name in ("a.h5", "b.h5"):
        models.CNN(image_size=(28, 28), rng=1).save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_model_file_is_smaller_than_its_numbers(tmp_path):
    network = models.CNN(rng=0)
    network.save(tmp_path / "model.h5")
    assert (tmp_path / "model.h5").stat().st_size < 4 * sum(p.size for p in network.parameters())


def test_the_attributes_tell_what_the_file_is(tmp_path):
    models.HSTN("tiny", image_size=(36, 36)).save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        assert file.attrs["format"] == b"hstn-ref checkpoint"
        assert file.attrs["version"] == 1
        assert file.attrs["model"] == b"hstn"
        assert json.loads(file.attrs["options"])["preset"] == "tiny"
        assert "training" not in file
        assert file["weights/localisation.0.weight"].shape == (20, 1, 5, 5)


# Damage


@settings(max_examples=60)
@given(st.data())
def test_a_changed_byte_is_noticed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "c.h5"
    state = TrainingState(some_arrays(1), some_arrays(2), {"step": 3})
    checkpoint.write(Checkpoint("cnn", {}, "float32", some_arrays(), state), path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = checkpoint.read(path)
    except DataError as error:
        assert str(path) in str(error)
    else:  # a byte that is not used
        assert_same_arrays(found.weights, some_arrays())
        assert_same_arrays(found.training.m, some_arrays(1))
        assert found.training.state == {"step": 3}


@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_cut_short(tmp_path, part):
    checkpoint.write(training_checkpoint(), tmp_path / "c.h5")
    content = (tmp_path / "c.h5").read_bytes()
    (tmp_path / "c.h5").write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=r"c\.h5: the (checkpoint is damaged or cut short|file is not a checkpoint)"):
        checkpoint.read(tmp_path / "c.h5")


def test_a_file_that_is_something_else(tmp_path):
    (tmp_path / "c.h5").write_text("hello")
    with pytest.raises(DataError, match=r"not a checkpoint \(it is not HDF5\)"):
        models.load(tmp_path / "c.h5")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.attrs["format"] = "hstn-ref data set"
    with pytest.raises(DataError, match=r"not a checkpoint \(its attribute 'format'"):
        models.load(tmp_path / "d.h5")


@pytest.mark.parametrize("name", ["missing.h5", "."])
def test_a_file_that_cannot_be_read(tmp_path, name):
    with pytest.raises(FileError, match="cannot read the checkpoint"):
        models.load(tmp_path / name)


def test_a_newer_format(tmp_path):
    models.CNN(image_size=(28, 28)).save(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        file.attrs["version"] = 2
        file.attrs["package_version"] = np.bytes_("9.1")
    with pytest.raises(DataError, match=r"format version 2, made by hstn-ref 9\.1; .* reads up to 1"):
        models.load(tmp_path / "c.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.weights.pop("classifier.13.bias"), "the state lacks classifier.13.bias"),
        (lambda c: c.weights.update(extra=np.zeros(2)), "unexpected extra"),
        (lambda c: c.weights.update({"classifier.13.bias": np.zeros(2)}), r"classifier.13.bias has shape \(2,\)"),
        (lambda c: c.options.update(size=3), "cnn has no option size"),
        (lambda c: setattr(c, "model", "gnn"), "unknown model 'gnn'"),
    ],
)
def test_content_that_does_not_fit_the_network(tmp_path, change, message):
    content = Checkpoint.of(models.CNN(image_size=(28, 28)))
    change(content)
    checkpoint.write(content, tmp_path / "c.h5")
    with pytest.raises(DataError, match=rf"c\.h5: .*{message}"):
        models.load(tmp_path / "c.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.attrs.update(model=3), "the attribute 'model' is "),
        (lambda file: file.attrs.update(version="x"), "invalid literal"),
        (lambda file: file.attrs.update(options=np.bytes_(b"\xff")), "codec"),
        (lambda file: file["weights"].create_group("more"), "/weights/more is no array of floating-point numbers"),
        (lambda file: file["weights"].create_dataset("c", data=[1j]), "/weights/c is no array of floating-point"),
        (lambda file: (file.pop("weights"), file.create_dataset("weights", data=[1.0])), "/weights is no group"),
    ],
)
def test_content_of_another_kind_is_named(tmp_path, change, message):
    models.CNN(image_size=(28, 28)).save(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        change(file)
    with pytest.raises(DataError, match=rf"c\.h5: the checkpoint is damaged or cut short \(.*{message}"):
        models.load(tmp_path / "c.h5")


def test_texts_of_other_writers_are_read(tmp_path):
    models.CNN(image_size=(28, 28)).save(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        for name in ("format", "model", "options", "dtype", "package_version"):
            file.attrs[name] = file.attrs[name].decode()
    assert models.load(tmp_path / "c.h5").name == "cnn"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    network = models.CNN(image_size=(28, 28))
    dict(network.named_parameters())["classifier.0.weight"].data[3, 0, 1, 1] = value
    network.save(tmp_path / "c.h5")
    with pytest.raises(DataError, match=r"c\.h5: classifier\.0\.weight has NaN or infinity"):
        models.load(tmp_path / "c.h5")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Toy(width=13), r"options \{'image_size': \[6, 6\], 'width': 12\}, expected .*13"),
        (Toy(dtype=np.float64), "dtype 'float32', expected 'float64'"),
        (models.CNN(image_size=(28, 28)), "model 'toy', expected 'cnn'"),
    ],
)
def test_weights_of_another_network_are_refused(other, message):
    before = bits(other)
    with pytest.raises(DataError, match=rf"toy\.h5: the checkpoint has {message}"):
        checkpoint.load_weights(other, Checkpoint.of(Toy()), "toy.h5")
    assert bits(other) == before


# Whole or not at all

LIMITED = """
import resource, sys
from hstn_ref import checkpoint, models
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    models.CNN(image_size=(28, 28), rng=1).save(sys.argv[1])
except OSError as error:
    print(error)
"""


def test_no_room_leaves_the_previous_file(tmp_path):
    path = tmp_path / "c.h5"
    models.CNN(image_size=(28, 28), rng=0).save(path)
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True)
    assert done.stdout.strip() == f"cannot write {path}: {os.strerror(errno.EFBIG)}; a file there is intact"
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.h5"]


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"cannot write .*c\.h5: No space left on device"):
        models.CNN(image_size=(28, 28)).save(tmp_path / "c.h5")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*c\.h5"):
        models.CNN(image_size=(28, 28)).save(tmp_path / "file" / "c.h5")
