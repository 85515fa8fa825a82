"""The rules of the house: what may import what, voices with one score, documentation, tests that can fail."""

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import autodiff.ops

ROOT = Path(__file__).parents[1]
OPS = ROOT / "autodiff" / "ops"

# From the ground up. A file may import from its own floor's rooms below, never from above.
FLOORS = {
    "autodiff.modes": 0,
    "autodiff.tensor": 0,
    "autodiff.backend": 0,
    "autodiff.memory": 0,
    "autodiff.kinks": 0,
    "autodiff.llvm": 0,
    "autodiff.simd": 0,
    "autodiff.vectors": 0,
    "autodiff.cuda": 0,
    "autodiff.ops": 1,
    "autodiff.nn": 2,
    "autodiff.optim": 2,
    "autodiff.check": 2,
    "hstn_ref": 3,
}
VOICES = ("reference", "cpu", "gpu")
FOLDERS = sorted(path.parent.name for path in OPS.glob("*/reference.py"))
REFERENCES = sorted(ROOT.glob("autodiff/**/reference.py"))
SOURCES = sorted([*ROOT.glob("autodiff/**/*.py"), *ROOT.glob("hstn_ref/**/*.py")])
TESTS = sorted(ROOT.glob("tests/**/test_*.py"))


def relative(path):
    return str(path.relative_to(ROOT))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """The absolute names of all modules, or names in modules, that a file imports anywhere in it."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def floor(name):
    """The floor of a module or of a name in one; None outside the house."""
    parts = name.split(".")
    return next((FLOORS[p] for n in (2, 1) if (p := ".".join(parts[:n])) in FLOORS), None)


def test_the_scan_sees_imports(tmp_path, monkeypatch):
    """The scan itself, on a file with every form of import."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "autodiff" / "ops" / "conv2d" / "cpu.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import a.b\nfrom c import d\ndef f():\n    from . import e\n    from ... import g\n    from ...tensor import h"
    )
    assert list(imports(path)) == ["a.b", "c.d", "autodiff.ops.conv2d.e", "autodiff.g", "autodiff.tensor.h"]


# Imports


@pytest.mark.parametrize("package", ["autodiff", "hstn_ref"])
def test_importing_a_package_loads_nothing_heavy(package):
    heavy = {"numba", "cupy", "matplotlib", "h5py", "scipy", "pooch", "torch", "jax"}
    code = f"import sys, {package}; print(*sorted({{m.partition('.')[0] for m in sys.modules}} & {heavy}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.split() == []


def test_the_reference_voice_needs_numpy_alone():
    """One step of learning with every import but NumPy's and the standard library's forbidden."""
    code = """
import sys
import numpy as np

class Forbid:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "autodiff"):
            raise ImportError(f"{name} is not NumPy")

sys.meta_path.insert(0, Forbid())
from autodiff import Tensor, nn, ops, optim, use
rng = np.random.default_rng(0)
net = nn.Sequential(nn.Conv2d(1, 2, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dense(18, 3, rng=rng))
with use("reference"):
    loss = ops.softmax_cross_entropy(net(Tensor(rng.standard_normal((2, 1, 8, 8)).astype(np.float32))), [0, 2])
    loss.backward()
    optim.Adam(net.parameters()).step()
print("learned")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (ran.stdout, ran.stderr) == ("learned\n", "")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_imports_only_go_down(path):
    name = module_name(path)
    if name == "autodiff":  # the front door shows what lives on all floors
        below = FLOORS["hstn_ref"] - 1
    else:
        below = floor(name)
        assert below is not None, f"{name} has no floor"
    upward = [other for other in imports(path) if (floor(other) or 0) > below]
    assert upward == []


@pytest.mark.parametrize("path", REFERENCES, ids=relative)
def test_a_reference_imports_nothing_but_numpy(path):
    packages = {name.partition(".")[0] for name in imports(path)} - sys.stdlib_module_names
    assert packages <= {"numpy"}


@pytest.mark.parametrize("voice", ["cpu", "gpu"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_voices_do_not_import_each_other(folder, voice):
    """The reference is there for shape helpers; a cpu or gpu voice imports no other voice, and no tape."""
    path = OPS / folder / f"{voice}.py"
    names = set(imports(path)) if path.exists() else set()
    others = {f"autodiff.ops.{f}.{v}" for f in FOLDERS for v in ("cpu", "gpu") if (f, v) != (folder, voice)}
    touched = {name for name in names if any(f"{name}.".startswith(f"{other}.") for other in others)}
    assert not touched
    assert not any(name.startswith("autodiff.tensor") for name in names)


def test_tensor_knows_no_op():
    names = imports(ROOT / "autodiff" / "tensor.py")
    assert not [name for name in names if name.startswith("autodiff") and not name.startswith("autodiff.modes")]


# Voices


def score(module):
    """The public functions that a voice defines, with the names of their arguments."""
    functions = {}
    for name, value in vars(module).items():
        function = getattr(value, "py_func", value)
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
            functions[name] = list(inspect.signature(function).parameters)
    return functions


def test_there_are_ops_with_voices():
    assert {"conv2d", "max_pool2d", "bilinear_sample", "flow_penalty"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_voices_have_the_same_functions_with_the_same_arguments(folder):
    reference = score(importlib.import_module(f"autodiff.ops.{folder}.reference"))
    assert reference
    kernels = set(reference) - helpers(folder)
    assert kernels
    cpu = score(importlib.import_module(f"autodiff.ops.{folder}.cpu"))
    assert {name: cpu[name] for name in cpu if name in kernels} == {name: reference[name] for name in kernels}
    assert set(cpu) <= set(reference), "a cpu voice has public functions that the reference lacks"


def helpers(folder):
    """Public functions of a reference that the faces call by name, not through a voice: shape helpers."""
    found = set()
    for path in [*OPS.glob("*/*.py"), *OPS.glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[-1] == "reference":
                found |= {alias.name for alias in node.names}
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reference":
                found.add(node.attr)
    return found


# Documentation and size


@pytest.mark.parametrize("name", autodiff.ops.__all__)
def test_every_op_is_public_and_documented(name):
    op = getattr(autodiff.ops, name)
    assert op.__module__.startswith("autodiff.ops")
    assert inspect.getdoc(op)


def test_every_public_function_of_ops_is_exported():
    public = {name for name, value in vars(autodiff.ops).items() if inspect.isfunction(value)}
    assert public == set(autodiff.ops.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_fits_a_reading(path):
    assert len(path.read_text().splitlines()) <= 300


# Tests that can fail


def asserts(function, helpers):
    """Whether a test asserts: by assert, pytest.raises, NumPy's assertions, our checks, a process, or a helper."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            f = node.func
            name = f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")
            owner = f.value.id if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) else ""
            if name == "raises" or name.startswith("assert") or name in helpers:
                return True
            if owner == "check" and name in ("vjp", "adjoint", "second_order"):
                return True
            if owner == "subprocess" and any(
                k.arg == "check" and getattr(k.value, "value", False) for k in node.keywords
            ):
                return True
    return False


def silent_tests(tree):
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    helpers = set()
    while found := {f.name for f in functions if f.name not in helpers and asserts(f, helpers)}:
        helpers |= found
    return [f"{f.name}, line {f.lineno}" for f in functions if f.name.startswith("test") and f.name not in helpers]


def test_the_search_for_silent_tests_finds_them():
    silent = "def helper(x):\n    return x\n\ndef test_a():\n    helper(1)\n\ndef test_b():\n    assert 1"
    assert silent_tests(ast.parse(silent)) == ["test_a, line 4"]


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_without_an_assertion(path):
    assert silent_tests(ast.parse(path.read_text())) == []


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_two_tests_of_the_same_name(path):
    names = [
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_is_skipped(path):
    """But where the machine lacks what is tested, a C function or a GPU: `skipif` with its reason."""
    marks = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not marks & {"skip", "xfail", "importorskip"}


def test_every_fault_of_the_mutants_can_be_planted():
    """A text that its file no longer has once ends `make mutants` before the first fault."""
    files = tomllib.loads((ROOT / "scripts" / "mutants.toml").read_text())["file"]
    faults = [(f["path"], fault[0]) for f in files for fault in f["mutants"]]
    assert [(path, old) for path, old in faults if (ROOT / path).read_text().count(old) != 1] == []
    assert all((ROOT / test.partition("::")[0]).exists() for f in files for test in f["tests"])
