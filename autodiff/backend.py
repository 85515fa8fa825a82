"""Which voice computes an op: reference (NumPy), cpu (Numba) or gpu (CUDA).

An op with kernels is a folder and each voice is a module in it; all voices define the same functions. The folder
is the registry, the array type is the device: CuPy arrays go to `gpu`, NumPy arrays to `cpu`, or to what `use` says.
A voice is imported when it first computes, so `import autodiff` needs NumPy alone.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

VOICES = ("reference", "cpu", "gpu")

_on_host: ContextVar[str] = ContextVar("voice", default="cpu")


def on_gpu(x: Any) -> bool:
    """Whether x is a CuPy array."""
    return type(x).__module__.partition(".")[0] == "cupy"


def choose(op: str, x: Any) -> ModuleType:
    """The voice of package `op` that computes on arrays like x.

    Raises RuntimeError, naming op and voice, if the op has no such voice or the voice does not fit the array:
    never a silent fallback.
    """
    voice = "gpu" if on_gpu(x) else _on_host.get()
    name = op.rpartition(".")[2]
    if voice == "gpu" and not on_gpu(x):
        raise RuntimeError(f"{name}: the gpu voice computes on CuPy arrays, got a NumPy array")
    try:
        return importlib.import_module(f"{op}.{voice}")
    except ModuleNotFoundError as error:
        if error.name == f"{op}.{voice}":
            raise RuntimeError(f"{name}: there is no {voice} voice") from None
        raise RuntimeError(f"{name}: the {voice} voice needs {error.name}, which is not installed") from error


@contextlib.contextmanager
def use(voice: str) -> Iterator[None]:
    """Compute on NumPy arrays with this voice: `with use("reference"): ...`

    Raises ValueError for a name that is no voice.
    """
    if voice not in VOICES:
        raise ValueError(f"use: unknown voice {voice!r}, expected one of {', '.join(VOICES)}")
    token = _on_host.set(voice)
    try:
        yield
    finally:
        _on_host.reset(token)
