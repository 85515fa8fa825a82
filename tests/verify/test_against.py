"""The comparison with other frameworks: a sample of it (marked verify; `hstn verify --against` is the whole), and
without a framework that errors are seen."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from autodiff import Tensor, grad, ops, use
from hstn_ref.cli import main
from hstn_ref.errors import UserError
from hstn_ref.verify import against
from hstn_ref.verify.against import DTYPES, Peer, compare, load
from hstn_ref.verify.cases import model_cases, op_cases

CASES = op_cases()
NETWORKS = model_cases()
PEERS = ("torch", "jax")


@pytest.mark.verify
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("case", CASES[::8], ids=lambda case: case.name)
def test_an_op_agrees(case, name):
    rows = [row for dtype in DTYPES for row in compare(case, dtype, load(name))]
    assert len(rows) == len(DTYPES) * (1 + len(case.arrays))
    assert [row for row in rows if not row.passed] == []


@pytest.mark.verify
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("case", NETWORKS[1::6], ids=lambda case: case.name)
def test_a_network_agrees(case, name):
    rows = compare(case, "float64", load(name))
    assert len(rows) == 1 + len(case.build().parameters())
    assert [row for row in rows if not row.passed] == []


# Without a framework: the reference voice is the judge


def judge(change=lambda y, gradients: (y, gradients)):
    """A peer that computes with our own ops, in the reference voice, and then changes the results."""

    def value_and_gradients(fun, arrays, u):
        with use("reference"):
            xs = [Tensor(a, requires_grad=True) for a in arrays]
            y = fun(*xs)
            return change(y.data, [g.data for g in grad(y, xs, gy=u)])

    def loss_and_gradients(name, options, weights, images, labels):
        case = next(c for c in NETWORKS if c.build().options == options)
        with use("reference"):
            return against.our_loss(case, str(images.dtype))

    theirs = SimpleNamespace(
        value_and_gradients=value_and_gradients, **{name: getattr(ops, name) for name in ops.__all__}
    )
    return Peer(theirs, SimpleNamespace(loss_and_gradients=loss_and_gradients))


def case_of(name):
    return next(case for case in CASES if case.name == name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["dense", "conv2d: 3x3, stride 2", "power: 3", "relu"])
def test_the_same_mathematics_passes(name, dtype):
    case = case_of(name)
    rows = compare(case, dtype, judge())
    assert [row.what for row in rows] == ["value", *(f"gradient {i}" for i in range(len(case.arrays)))]
    assert all(row.passed and row.ulp < 20 for row in rows)


def test_a_network_is_compared_parameter_by_parameter():
    rows = compare(NETWORKS[1], "float64", judge())
    assert rows[0].what == "value" and rows[1].what == "gradient classifier.0.weight"
    assert all(row.passed for row in rows) and len(rows) == 11


def test_an_error_has_its_size():
    """Their largest number is 1 and one of them is off by 64 units in the last place."""

    def change(y, gradients):
        theirs = np.zeros_like(y)
        theirs.flat[0] = 1
        return theirs, [gradients[0] + 1e-9 * abs(gradients[0]).max()]

    case = case_of("relu")
    value, gradient = compare(case, "float64", judge(change))
    assert value.error == pytest.approx(abs(np.maximum(case.arrays[0].ravel(), 0) - np.eye(20)[0]).max())
    assert value.ulp == pytest.approx(value.error / 2**-52)
    assert not value.passed and not gradient.passed
    assert gradient.error == pytest.approx(1e-9, rel=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_none_fails(bad):
    rows = compare(case_of("relu"), "float64", judge(lambda y, gradients: (y + bad, gradients)))
    assert [row.passed for row in rows] == [False, True]


def test_another_shape_or_dtype_is_named():
    with pytest.raises(ValueError, match=r"relu, float64: value: ours is float64 \(4, 5\), theirs float32 \(4, 5\)"):
        compare(case_of("relu"), "float64", judge(lambda y, gradients: (y.astype(np.float32), gradients)))


def test_everything_is_compared_and_reported(monkeypatch):
    monkeypatch.setattr(against, "op_cases", lambda: [case_of("relu"), case_of("dense")])
    monkeypatch.setattr(against, "model_cases", lambda: NETWORKS[1:2])
    monkeypatch.setattr(against, "load", lambda name: judge())
    told = []
    rows = against.against("torch", lambda *numbers: told.append(numbers))
    assert [(done, total) for _, done, total in told] == [(i, 6) for i in range(6)]
    assert told[0][0] == "relu, float64"
    assert {(row.case, row.dtype) for row in rows} == {
        (name, dtype) for name in ("relu", "dense", NETWORKS[1].name) for dtype in DTYPES
    }


def test_only_some_cases_are_compared(monkeypatch):
    monkeypatch.setattr(against, "op_cases", lambda: [case_of("relu"), case_of("dense")])
    monkeypatch.setattr(against, "model_cases", lambda: NETWORKS[1:2])
    monkeypatch.setattr(against, "load", lambda name: judge())
    assert {row.case for row in against.against("torch", words=["rel", "CNN"])} == {"relu", NETWORKS[1].name}
    with pytest.raises(ValueError, match="no op and no network has 'cbue' in its name"):
        against.against("torch", words=["cbue"])


def test_the_command_compares_the_cases_with_a_word(monkeypatch, tmp_path):
    peer = judge()
    peer.ops.version = lambda: "1.0"
    monkeypatch.setattr(against, "load", lambda name: peer)
    options = ["--only", "relu", "--dtype", "float64", "--quiet", "--out", str(tmp_path)]
    ran = CliRunner().invoke(main, ["verify", "--against", "torch", *options])
    assert ran.exit_code == 0, ran.output
    (rows,) = json.loads((tmp_path / "verify.json").read_text())["against"].values()
    assert {(row["case"], row["dtype"]) for row in rows} == {("relu", "float64")}


@pytest.mark.parametrize("name", PEERS)
def test_a_missing_framework_is_one_sentence(name, monkeypatch):
    for module in [m for m in sys.modules if m.startswith("hstn_ref.peers.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(UserError, match=rf"^{name} is not installed: pip install 'hstn-ref\[verify\]'$"):
        load(name)


def test_an_unknown_framework():
    with pytest.raises(ValueError, match="unknown framework 'caffe', expected one of torch, jax"):
        load("caffe")
