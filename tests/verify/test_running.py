"""hstn verify: what it runs, what it says of a wrong gradient, its report, and users' ops."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from autodiff.check import Result
from autodiff.tensor import record
from hstn_ref.cli import main
from hstn_ref.errors import UserError
from hstn_ref.verify import html, running, user_op
from hstn_ref.verify.cases import Case, model_cases, op_cases

X = np.random.default_rng(0).standard_normal((3, 4))
RIGHT = Case("square: twice", lambda ops, x: ops.multiply(x, x), (X,))
WRONG = Case("cube", lambda ops, x: record(x.data**3, (x, lambda gy: gy * x * x * 2.0)), (X,))
NETWORK = model_cases()[1]
EXAMPLE = Path(__file__).parents[2] / "examples" / "05_verify_your_op.py"


def hstn(*arguments):
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(running, "op_cases", lambda: [RIGHT, WRONG])
    monkeypatch.setattr(running, "model_cases", lambda: [NETWORK, replace(NETWORK, name="apart", detached=True)])


def test_every_op_passes_every_check_in_every_voice_and_precision():
    """Of the cases of each op the first; `hstn verify` runs them all."""
    first = {case.op: case.name for case in reversed(op_cases())}
    told = []
    rows = running.verify([*first.values()], report=lambda *numbers: told.append(numbers))
    assert [f"{row.case} {row.voice} {row.dtype}: {row.result}" for row in rows if not row.result.passed] == []
    assert {row.subject for row in rows} >= first.keys()
    assert {(row.voice, row.dtype) for row in rows} == {(v, d) for v in running.VOICES for d in running.DTYPES}
    assert running.checks(rows) == [
        "vjp", "complex step", "adjoint", "second order", "symmetry", "taylor, 1st", "taylor, 2nd",
    ]  # fmt: skip
    assert [done for _, done, _ in told] == list(range(told[0][2]))


def test_the_bars_in_float64(few):
    rows = running.verify(["square", NETWORK.name], voices=["cpu"], dtypes=["float64"])
    assert all(row.result.passed for row in rows)
    for check, bar in {"vjp": 1e-7, "complex step": 1e-12, "adjoint": 1e-12, "second order": 1e-7}.items():
        found = [row.result for row in rows if row.result.check == check]
        assert found and all(result.tolerance == bar for result in found)


def test_a_network_is_checked_with_all_weights_together(few):
    rows = running.verify(["CNN"], voices=["reference"], dtypes=["float64"])
    assert {row.kind for row in rows} == {"model"}
    assert {row.result.input for row in rows} == {0}


def test_a_wrong_gradient_in_a_network_is_found_among_its_weights(few, monkeypatch):
    """Dense layers forget a factor in the gradient of their bias."""
    from autodiff import nn

    def forward(self, x):
        y = x @ self.weight.transpose()
        return y + record(self.bias.data, (self.bias, lambda gy: gy * 0.5))

    monkeypatch.setattr(nn.Dense, "forward", forward)
    rows = running.verify(["CNN"], voices=["reference"], dtypes=["float64"])
    names = [name for name, _ in NETWORK.build().named_parameters()]
    wrong = {names[row.result.input] for row in rows if row.result.check == "vjp" and not row.result.passed}
    assert wrong and all(name.endswith("bias") for name in wrong)


def test_a_network_that_is_detached_by_intention_is_left_out(few):
    assert {row.case for row in running.verify(dtypes=["float64"], voices=["reference"])} == {
        RIGHT.name, WRONG.name, NETWORK.name,
    }  # fmt: skip


def test_the_worst_result_is_nearest_to_its_tolerance():
    rows = [
        running.Row(str(k), "op", "cpu", "float64", Result("vjp", 0, error, tolerance))
        for k, (error, tolerance) in enumerate([(1e-9, 1e-7), (1e-8, 1e-4), (1e-10, 1e-9)])
    ]
    assert running.worst(rows, "vjp").case == "2"
    assert running.worst(rows, "adjoint") is None


def test_a_wrong_gradient_fails_the_command_and_is_explained(few, tmp_path):
    ran = hstn("--voice", "reference", "--dtype", "float64", "--only", "cube", "--quiet", "--out", tmp_path)
    assert ran.exit_code == 1
    assert "a constant factor: the gradient is 0.666667 times" in " ".join(ran.output.split())
    assert re.search(r"\d of \d results failed", ran.output)
    saved = json.loads((tmp_path / "verify.json").read_text())
    assert {result["case"] for result in saved["results"]} == {"cube"}
    assert [r["cause"] for r in saved["results"] if r["check"] == "vjp" and not r["passed"]]
    page = (tmp_path / "verify.html").read_text()
    assert "FAILED: a constant factor" in page and "<svg" in page and "http-equiv" not in page


def test_the_report_is_one_file_that_needs_no_other(few, tmp_path):
    ran = hstn("--only", "square", "--quiet", "--out", tmp_path)
    assert ran.exit_code == 0, ran.output
    assert re.search(r"all \d+ results passed", ran.output)
    page = (tmp_path / "verify.html").read_text()
    assert not re.search(r'(src|href)="(?!#)', page)  # nothing is loaded; an SVG refers to its own parts
    assert "0 of" in page and "square: twice" in page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["verify.html", "verify.json"]


def test_cells_of_the_report_are_escaped():
    assert html.table(["<a>"], [["x < y & z"]]).count("&lt;") == 2


def test_no_case_of_that_name(few):
    ran = hstn("--only", "cbue")
    assert ran.exit_code == 1
    assert ran.output.strip() == "hstn: error: verify: no op and no network has 'cbue' in its name"


# Users' ops


@pytest.mark.parametrize(
    "names, shapes",
    [("charbonnier", ["4,5"]), ("charbonnier", [""]), ("forward,backward", []), ("forward, backward", [])],
)
def test_a_right_op_of_a_user_passes(names, shapes):
    ran = hstn(f"{EXAMPLE}:{names}", *(word for shape in shapes for word in ("--input", shape)))
    assert ran.exit_code == 0, ran.output
    assert "FAILED" not in ran.output and "vjp" in ran.output


def test_a_wrong_op_of_a_user_fails_and_is_explained():
    ran = hstn(f"{EXAMPLE}:forward,wrong_backward")
    assert ran.exit_code == 1
    assert (
        "FAILED: a term is missing that sums along axis 1: a mean, norm or deviation taken as a constant" in ran.output
    )


def test_kinks_of_a_user_op(tmp_path):
    (tmp_path / "kinked.py").write_text(
        "import numpy as np\nfrom autodiff.ops import relu\n\n"
        "def op(x):\n    return relu(x) * 2.0\n\n"
        "def inputs(rng):\n    return [np.array([0.0, 1.0, -1.0])]\n"
    )
    target = f"{tmp_path / 'kinked.py'}:op"
    counted, excluded = hstn(target), hstn(target, "--exclude-kinks")
    assert counted.exit_code == 1 and "a kink (relu at 0): the gradient is one of the subgradients" in counted.output
    assert excluded.exit_code == 0 and "1 elements on kinks excluded" in excluded.output


@pytest.mark.parametrize(
    "target, message",
    [
        ("op.py", "'op.py', expected FILE:FUNCTION or FILE:FORWARD,BACKWARD"),
        ("none.py:op", "there is no file none.py"),
        (f"{EXAMPLE}:nothing", f"{EXAMPLE} has no function 'nothing'"),
        (f"{EXAMPLE}:forward,backward,inputs", "names 3 functions, expected one, or a forward and a backward pass"),
    ],
)
def test_targets_that_are_not_there(target, message):
    with pytest.raises(UserError, match=re.escape(message)):
        user_op.load(target)


@pytest.mark.parametrize(
    "text, message",
    [
        ("def op(x): return x +", "cannot be imported: SyntaxError"),
        (
            "import nothing_of_that_name",
            "cannot be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ("def op(x): return x", "defines no inputs(rng), so the shapes must be given: --input 2,3"),
        (
            "def op(x): return x\ndef inputs(rng): return [rng.integers(0, 3, 4)]",
            "inputs(rng)[0] has dtype int64, expected floating-point",
        ),
        (
            "def inputs(rng): return [rng.random(3)]\ndef op(x): return y",
            "op raised NameError: name 'y' is not defined (",
        ),
        ("def op(x): return x\n\ndef inputs(rng): return [1 / 0]", "op raised ZeroDivisionError: division by zero ("),
        (
            "def inputs(rng): return [rng.random(3)]\ndef op(x): return x.data + [1, 2]",
            "op raised ValueError: operands",
        ),
        ("def inputs(rng): return [rng.random(3)]\ndef op(x): raise SystemExit(0)", "op raised SystemExit: 0 ("),
        ("def op(x): return x\nraise SystemExit(0)", "cannot be imported: SystemExit: 0"),
        ("def op(x): return x\ndef inputs(rng): return 3", "inputs(rng) returned 3, expected a list of arrays"),
        ("def op(x): return x\ndef inputs(rng): return []", "inputs(rng) returned [], expected a list of arrays"),
    ],
)
def test_files_that_cannot_be_used(text, message, tmp_path):
    (tmp_path / "op.py").write_text(text)
    ran = hstn(f"{tmp_path / 'op.py'}:op")
    assert ran.exit_code == 1
    assert message in ran.output and ran.output.count("\n") == 1
    assert "op raised" not in message or re.search(r"op\.py:[23]\)$", ran.output.strip())


@pytest.mark.parametrize("shape", ["2,x", "0,3", "-1"])
def test_shapes_that_are_none(shape):
    ran = hstn(f"{EXAMPLE}:charbonnier", "--input", shape)
    assert ran.exit_code == 1 and f"--input {shape!r}, expected sizes" in ran.output


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([f"{EXAMPLE}:charbonnier", "--only", "relu"], "TARGET cannot be combined"),
        (["--input", "2,3"], "belong to a TARGET"),
        (["--seed", "0"], "belong to a TARGET"),
        (["--against", "torch", "--seed", "1"], "belong to a TARGET"),
        (["--against", "torch", "--voice", "reference"], "--voice cannot be combined with --against"),
        (["--conventions", "page.md"], "--conventions needs --against"),
        (["--against", "tensorflow"], "is not one of 'torch', 'jax'"),
    ],
)
def test_wrong_usage(arguments, message):
    ran = hstn(*arguments)
    assert ran.exit_code == 2 and message in ran.output
