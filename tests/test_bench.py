"""hstn bench: the cases are those of the networks, the numbers come from what ran, wrong results are not timed."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from autodiff import nn, no_grad
from hstn_ref import models
from hstn_ref.bench import ours, running
from hstn_ref.bench.cases import LAYERS, NETWORKS, Case, Layer, cases, growth
from hstn_ref.cli import main

SMALL = Case("forward + backward", str(Layer(20, 12, 20, 5)), 1, batch=2)


def test_the_layers_are_those_of_the_networks(monkeypatch):
    """Every convolution that a forward pass meets is in the list, and nothing else is."""
    met = set()

    def spy(kind, forward):
        def spied(self, x, *args, **options):
            y = forward(self, x, *args, **options)
            same = "double" if kind is nn.ConvTranspose2d else "same" if y.shape[2] == x.shape[2] else "valid"
            met.add((x.shape[1], x.shape[2], y.shape[1], self.weight.shape[2], same))
            return y

        return spied

    for kind in (nn.Conv2d, nn.ConvTranspose2d):
        monkeypatch.setattr(kind, "forward", spy(kind, kind.forward))
    for name, options in NETWORKS.values():
        model = models.build(name, **options).eval()
        with no_grad():
            model(np.zeros((1, 1, 60, 60), np.float32))
    assert {tuple(layer[:5]) for layer in LAYERS} == met
    assert len({str(layer) for layer in LAYERS}) == len(LAYERS)


@pytest.mark.parametrize("layer", [Layer(3, 7, 2, 3), Layer(2, 5, 4, 3, "same"), Layer(2, 4, 3, 3, "double")], ids=str)
def test_flop_are_those_of_the_filters(layer):
    """Two operations for every number of every filter wherever it is laid."""
    places = {"valid": (layer.size - layer.kernel + 1) ** 2, "same": layer.size**2, "double": layer.size**2}
    assert layer.gflop == pytest.approx(2e-9 * places[layer.padding] * layer.C * layer.K * layer.kernel**2)


def test_the_parts():
    assert {case.kind for case in cases({"steps", "inference", "layers"}, [1])} == {
        "step", "inference", "forward", "forward + backward",
    }  # fmt: skip
    assert {case.threads for case in cases({"steps"}, [1, 2])} == {1, 2}
    assert {case.batch for case in cases({"inference"}, [1])} == {1, 64}
    assert {case.threads for case in growth(3)} == {1, 2, 3}


@pytest.fixture
def one_small_case(monkeypatch):
    monkeypatch.setattr(running, "cases", lambda parts, threads: [SMALL] if "layers" in parts else [])
    monkeypatch.setattr(running, "growth", lambda threads: [])
    monkeypatch.setattr(running, "TURN", 0.001)


def test_a_measurement(one_small_case):
    told = []
    result = running.bench(
        ["layers"], threads=[1], rounds=3, against=[], report=lambda *numbers: told.append(numbers[1:])
    )
    (row,) = result["cases"]
    assert (row["kind"], row["name"], row["batch"]) == (SMALL.kind, SMALL.name, 2)
    assert row["ours"]["median"] > 0 and row["ratio"] is None
    assert row["gflops"] == pytest.approx(3 * 2 * SMALL.layer.gflop / row["ours"]["median"])
    assert result["peak_gflops"]["1"] > row["gflops"]
    assert told == [(0, 1), (0, 1)]


def test_the_peak_is_the_best_of_the_whole_run(one_small_case, monkeypatch):
    """It is measured before every case, so a moment in which others compute too does not decide."""
    monkeypatch.setattr(running, "cases", lambda parts, threads: [SMALL] * 3)
    ask, found = running.Worker.ask, iter([90.0, 101.0, 50.0])
    monkeypatch.setattr(
        running.Worker, "ask", lambda self, **command: next(found) if "peak" in command else ask(self, **command)
    )
    result = running.bench(["layers"], threads=[1], rounds=1, against=[])
    assert result["peak_gflops"] == {"1": 101.0}


def test_the_command_writes_json_and_a_chart(one_small_case, tmp_path):
    out = tmp_path / "bench"
    ran = CliRunner().invoke(main, ["bench", "--only", "layers", "--threads", "1", "--alone", "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert " ".join(SMALL.name.split()) in " ".join(ran.output.split())
    result = json.loads((out / "bench.json").read_text())
    assert result["cases"][0]["name"] == SMALL.name and result["machine"]["cores"] >= 1
    assert (out / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_the_folder_is_checked_before_anything_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(running, "bench", None)
    (tmp_path / "file").touch()
    done = CliRunner().invoke(main, ["bench", "--alone", "--out", str(tmp_path / "file")])
    assert done.exit_code == 1 and "file is a file, expected a folder for the results" in done.output


def test_wrong_results_are_not_timed(one_small_case, monkeypatch):
    """The worker computes in a process of its own, so the fault is planted in what it is asked for."""
    ask = running.Worker.ask

    def faulty(self, **command):
        answer = ask(self, **command)
        if command.get("by") == "values":
            with np.load(command["path"]) as arrays:
                np.savez(command["path"], *(arrays[name] * 1.01 for name in arrays.files))
        return answer

    monkeypatch.setattr(running.Worker, "ask", faulty)
    with pytest.raises(running.BenchError, match="ours: result 0 of forward"):
        running.bench(["layers"], threads=[1], rounds=1, against=[])


def test_a_worker_answers_an_error_with_a_sentence():
    with running.Worker("ours", ["numba"]) as worker:
        with pytest.raises(running.BenchError, match="ours: ValueError: unknown command"):
            worker.ask(dance=True)
        assert worker.ask(memory=True) > 1e7


def test_without_pytorch(monkeypatch):
    monkeypatch.setattr(running, "_installed", lambda package: False)
    ran = CliRunner().invoke(main, ["bench", "--only", "layers", "--threads", "1"])
    assert ran.exit_code == 1
    assert "PyTorch is not installed" in ran.output and "--alone" in ran.output


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--only", "everything"], "everything; expected steps, inference"),
        (["--rounds", "0"], "0, expected at least 1"),
        (["--threads", "1000", "--alone"], "threads is 1000, expected 1 to"),
    ],
)
def test_bad_options(arguments, message):
    ran = CliRunner().invoke(main, ["bench", *arguments])
    assert ran.exit_code != 0
    assert message in " ".join(ran.output.split())


@pytest.mark.parametrize("kind", ["step", "inference"])
def test_the_cases_compute(kind):
    case = Case(kind, "CNN", 1, batch=2)
    ours.prepare(case, "numba")()
    values, right = ours.values(case, "float64"), ours.reference_values(case, "float64")
    assert len(values) == (1 if kind == "inference" else 11)
    for a, b in zip(values, right, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
