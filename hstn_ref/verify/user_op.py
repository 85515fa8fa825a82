"""A user's own op from a file: `my_op.py:fun`, or `my_op.py:forward,backward` in plain NumPy."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from autodiff import check
from hstn_ref.errors import UserError


def load(target: str) -> tuple[Callable[..., Any], ModuleType]:
    """The function that `FILE:NAME` or `FILE:FORWARD,BACKWARD` names, and its module.

    Raises UserError, in one sentence, for anything that is not there.
    """
    path, colon, names = target.rpartition(":")
    if not colon or not path or not names:
        raise UserError(f"{target!r}, expected FILE:FUNCTION or FILE:FORWARD,BACKWARD")
    module = _module(Path(path))
    functions = []
    for name in names.split(","):
        function = getattr(module, name.strip(), None)
        if not callable(function):
            raise UserError(f"{path} has no function {name.strip()!r}")
        functions.append(function)
    if len(functions) > 2:
        raise UserError(f"{target!r} names {len(functions)} functions, expected one, or a forward and a backward pass")
    return (functions[0] if len(functions) == 1 else check.from_numpy(*functions)), module


def inputs(module: ModuleType, shapes: Sequence[str], seed: int, dtype: str) -> list[np.ndarray]:
    """Normal numbers of these shapes ("2,3"; "" for one number), or what `inputs(rng)` of the module returns."""
    rng = np.random.default_rng(seed)
    if shapes:
        return [rng.standard_normal(_shape(text)).astype(dtype) for text in shapes]
    make = getattr(module, "inputs", None)
    if not callable(make):
        raise UserError(f"{module.__name__}.py defines no inputs(rng), so the shapes must be given: --input 2,3")
    made = make(rng)
    if not isinstance(made, (list, tuple)) or not made:
        raise UserError(f"{module.__name__}.py: inputs(rng) returned {made!r:.60}, expected a list of arrays")
    arrays = [np.asarray(a) for a in made]
    for k, array in enumerate(arrays):
        if array.dtype.kind != "f":
            raise UserError(f"{module.__name__}.py: inputs(rng)[{k}] has dtype {array.dtype}, expected floating-point")
    return [a.astype(dtype) for a in arrays]


@contextmanager
def faults_named(target: str, module: ModuleType) -> Iterator[None]:
    """Turn what is raised in the module into a UserError that says where, even if it would end the process."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == module.__file__]
        if not lines and isinstance(error, (ValueError, TypeError)):  # of the checks, which say what they expected
            raise
        place = f" ({module.__file__}:{lines[-1]})" if lines else ""
        raise UserError(f"{target} raised {type(error).__name__}: {error}{place}") from error


def _module(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # its own imports
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(n) for n in text.split(",") if n.strip())
    except ValueError:
        raise UserError(f"--input {text!r}, expected sizes such as 2,3,8,8") from None
    if any(n < 1 for n in shape):
        raise UserError(f"--input {text!r}, expected sizes of at least 1")
    return shape
