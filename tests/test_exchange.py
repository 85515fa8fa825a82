"""Weights to and from PyTorch: nothing is lost or wrongly taken; marked verify: both compute the same network."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file, save_file

from hstn_ref import models
from hstn_ref.errors import DataError, FileError
from hstn_ref.exchange import from_state_dict, load_safetensors, save_safetensors, to_state_dict
from hstn_ref.verify.cases import model_cases

NETWORKS = model_cases()

every_network = pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case.name)


def cnn(**options):
    return models.CNN(image_size=(22, 22), **options)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.state().values(), b.state().values(), strict=True))


@every_network
def test_a_file_brings_the_weights_back(case, tmp_path):
    network, other = case.build(), case.build()
    for parameter in other.parameters():
        parameter.data = np.zeros_like(parameter.data)
    save_safetensors(network, tmp_path / "w.safetensors")
    load_safetensors(other, tmp_path / "w.safetensors")
    assert same(network, other)
    assert {name: array.dtype for name, array in load_file(tmp_path / "w.safetensors").items()} == {
        name: np.float64 for name in network.state()
    }


def test_a_state_is_a_copy():
    network = cnn(rng=1)
    state = to_state_dict(network)
    before = {name: array.copy() for name, array in state.items()}
    for array in state.values():
        array += 1
    from_state_dict(other := cnn(rng=2), before)
    assert same(network, other)
    before["classifier.0.bias"] += 1
    assert same(network, other)


def test_weights_take_the_precision_of_the_model(tmp_path):
    save_safetensors(cnn(rng=1), tmp_path / "w.safetensors")
    double = cnn(rng=2, dtype=np.float64)
    load_safetensors(double, tmp_path / "w.safetensors")
    assert {p.dtype for p in double.parameters()} == {np.dtype(np.float64)}
    assert same(cnn(rng=1), double)


def test_arrays_of_any_memory_layout(tmp_path):
    network = cnn(rng=1)
    before = to_state_dict(network)
    for parameter in network.parameters():
        parameter.data = np.asfortranarray(parameter.data)
    save_safetensors(network, tmp_path / "w.safetensors")
    for name, array in load_file(tmp_path / "w.safetensors").items():
        assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("classifier.0.bias"), ValueError, "CNN: the state lacks classifier.0.bias"),
        (lambda s: s.update(extra=np.zeros(2)), ValueError, "CNN: the state has unexpected extra"),
        (
            lambda s: s.update({"classifier.0.bias": np.zeros(2)}),
            ValueError,
            r"classifier.0.bias has shape \(2,\), expected \(32,\)",
        ),
        (
            lambda s: s.update({"classifier.0.bias": np.zeros(32, int)}),
            TypeError,
            "classifier.0.bias has dtype int64, expected floating-point numbers",
        ),
    ],
)
def test_a_state_that_does_not_fit(tmp_path, change, error, message):
    state, network = to_state_dict(cnn(rng=1)), cnn(rng=2)
    change(state)
    with pytest.raises(error, match=message):
        from_state_dict(network, state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=rf"w\.safetensors: .*{message}"):
        load_safetensors(network, tmp_path / "w.safetensors")
    assert same(network, cnn(rng=2))


def test_a_file_of_another_network_of_the_same_shapes(tmp_path):
    """The two crops of a deconvolution have the same shapes and differ by a shift of one pixel."""
    small = {"preset": "tiny", "image_size": (16, 16), "padding": "same"}
    save_safetensors(models.HSTN(**small, crop="first"), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r'the file has options .*"crop": "first".*, expected .*"crop": "last"'):
        load_safetensors(models.HSTN(**small), tmp_path / "w.safetensors")
    save_file(to_state_dict(cnn()), tmp_path / "c.safetensors", metadata={"model": "resnet"})
    with pytest.raises(DataError, match="the file has model resnet, expected cnn"):
        load_safetensors(cnn(), tmp_path / "c.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, -1])
def test_a_file_cut_short(tmp_path, kept):
    save_safetensors(cnn(rng=1), tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    network = cnn(rng=2)
    with pytest.raises(DataError, match=r"w\.safetensors: the file is damaged or no safetensors file"):
        load_safetensors(network, tmp_path / "w.safetensors")
    assert same(network, cnn(rng=2))


@pytest.mark.parametrize("name", ["missing.safetensors", "."])
def test_a_file_that_cannot_be_read(tmp_path, name):
    with pytest.raises(FileError, match="cannot read the weights"):
        load_safetensors(cnn(), tmp_path / name)


def test_a_full_disk_leaves_the_previous_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_safetensors(cnn(rng=1), path)
    before = path.read_bytes()

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"cannot write .*w\.safetensors: No space left on device"):
        save_safetensors(cnn(rng=2), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["w.safetensors"]


# With PyTorch: one network on both sides


def assert_same_network(ours, theirs, case):
    import torch

    with torch.no_grad():
        inputs = [case.images] if ours.task == "classify" else [case.images, case.truth]
        results = theirs.double().eval()(*map(torch.from_numpy, inputs)).numpy()
    assert abs(results).max() > 0.01
    assert_allclose(ours.eval()(*inputs).data, results, rtol=1e-10, atol=1e-12)


@pytest.mark.verify
@every_network
def test_pytorch_reads_our_file_and_computes_the_same(case, tmp_path):
    import safetensors.torch

    from hstn_ref.peers import pytorch

    ours = case.build()
    save_safetensors(ours, tmp_path / "w.safetensors")
    theirs = pytorch.build(ours.name, **ours.options).double()
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "w.safetensors"))
    assert_same_network(ours, theirs, case)


@pytest.mark.verify
@every_network
def test_we_read_the_weights_of_pytorch_and_compute_the_same(case, tmp_path):
    """From a file and from a state_dict; PyTorch's own random weights, the last layers moved away from zero."""
    import safetensors.torch
    import torch

    from hstn_ref.peers import pytorch

    torch.manual_seed(0)
    ours = case.build()
    theirs = pytorch.build(ours.name, **ours.options).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    load_safetensors(ours, tmp_path / "w.safetensors")
    assert_same_network(ours, theirs, case)
    again = case.build()
    from_state_dict(again, theirs.state_dict())
    assert same(again, ours)
