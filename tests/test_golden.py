"""Our values and gradients, in every voice, beside those of PyTorch and JAX that scripts/export_golden.py wrote."""

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest

from autodiff import Tensor, grad, ops, use
from hstn_ref.verify.against import our_loss
from hstn_ref.verify.cases import model_cases, op_cases

ROOT = Path(__file__).parents[1]
SCRIPT = importlib.util.spec_from_file_location("export_golden", ROOT / "scripts" / "export_golden.py")
golden = importlib.util.module_from_spec(SCRIPT)
SCRIPT.loader.exec_module(golden)

FRAMEWORKS = ("torch", "jax")
FILES = {name: golden.decode(golden.FOLDER / f"{name}.h5") for name in FRAMEWORKS}
CASES = op_cases()
NETWORKS = [case for case in model_cases() if case.name in golden.NETWORKS]
RTOL = 1e-10  # of the largest number: sums in another order; measured are 1e-13

every_framework = pytest.mark.parametrize("name", FRAMEWORKS)
every_voice = pytest.mark.parametrize("voice", ["reference", "cpu"])


def stale(name):
    return f"tests/golden/{name}.h5 is stale: python scripts/export_golden.py {name}"


def assert_near(ours, theirs, what):
    assert ours.shape == theirs.shape, what
    assert abs(ours - theirs).max(initial=0) <= RTOL * max(abs(theirs).max(initial=0), 1e-300), what


@every_framework
def test_a_file_has_all_cases_and_no_other(name):
    assert set(FILES[name]) == {case.name for case in (*CASES, *NETWORKS)}, stale(name)


@every_framework
def test_a_file_says_where_it_comes_from(name):
    with h5py.File(golden.FOLDER / f"{name}.h5") as file:
        assert file.attrs["framework"] == {"torch": "PyTorch", "jax": "JAX"}[name]
        pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
        assert file.attrs["version"] == pins[name]
        assert file.attrs["command"] == f"python scripts/export_golden.py {name}"
    assert (golden.FOLDER / f"{name}.h5").stat().st_size < 2**19


@every_voice
@every_framework
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_op_is_theirs(case, name, voice):
    entry = FILES[name][case.name]
    inputs = [entry[f"input {i}"] for i in range(sum(what.startswith("input") for what in entry))]
    assert [a.shape for a in inputs] == [a.shape for a in case.arrays], stale(name)
    assert all(map(np.allclose, inputs, case.arrays)), stale(name)
    with use(voice):
        xs = [Tensor(a.astype(np.float64), requires_grad=True) for a in inputs]
        y = case.fun(ops, *xs)
        gradients = grad(y, xs, gy=entry["u"].astype(np.float64))
    assert_near(y.data, entry["value"], "value")
    for i, g in enumerate(gradients):
        assert_near(g.data, entry[f"gradient {i}"], f"gradient {i}")


@every_voice
@every_framework
@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case.name)
def test_a_network_is_theirs(case, name, voice):
    entry = FILES[name][case.name]
    assert f"weights {golden.digest(case)}" in entry, stale(name)
    with use(voice):
        loss, gradients = our_loss(case, "float64")
    assert_near(loss, entry["value"], "value")
    small = {f"gradient {key}" for key, g in gradients.items() if g.size <= golden.SMALL}
    assert small and small == {what for what in entry if what.startswith("gradient")}
    for key in gradients:
        if f"gradient {key}" in small:
            assert_near(gradients[key], entry[f"gradient {key}"], key)


def test_a_file_comes_back_as_it_was_written(tmp_path):
    entries = [
        ("a", "input 0", np.float32([[1, 2], [3, 4]])),
        ("a", "value", np.array(5.0)),
        ("b", "weights x", np.zeros(0)),
        ("b", "value", np.arange(3.0)),
    ]
    (tmp_path / "g.h5").write_bytes(golden.encode(entries, version="1"))
    found = golden.decode(tmp_path / "g.h5")
    assert [(case, what) for case in found for what in found[case]] == [(case, what) for case, what, _ in entries]
    for case, what, a in entries:
        assert found[case][what].dtype == a.dtype
        np.testing.assert_array_equal(found[case][what], a)


def test_the_same_numbers_give_the_same_file():
    entries = [("a", "value", np.arange(3.0))]
    assert golden.encode(entries, version="1") == golden.encode(entries, version="1")
