"""Which voice computes an op: reference (NumPy), cpu (Numba) or gpu (CUDA).

An op with kernels is a folder and each voice is a module in it; all voices define the same functions. The folder
is the registry, the array type is the device: CuPy arrays go to `gpu`, NumPy arrays to `cpu`, or to what `use` says.
A voice is imported when it first computes, so `import autodiff` needs NumPy alone.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import threading
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np

VOICES = ("reference", "cpu", "gpu")

_lost = False  # whether this process was forked from one whose threads OpenMP had started
_on_host: ContextVar[str] = ContextVar("voice", default="cpu")


def on_gpu(x: Any) -> bool:
    """Whether x is a CuPy array."""
    return type(x) is not np.ndarray and type(x).__module__.partition(".")[0] == "cupy"


def choose(op: str, x: Any) -> ModuleType:
    """The voice of package `op` that computes on arrays like x.

    Raises RuntimeError, naming op and voice, if the op has no such voice or the voice does not fit the array:
    never a silent fallback.
    """
    if on_gpu(x):
        return _module(op, "gpu")
    voice = _on_host.get()
    if voice == "gpu":
        raise RuntimeError(f"{op.rpartition('.')[2]}: the gpu voice computes on CuPy arrays, got a NumPy array")
    if _lost and voice == "cpu":
        raise RuntimeError(
            f"{op.rpartition('.')[2]}: this process was forked after its parent had used the cpu voice, whose threads "
            'OpenMP cannot start again; start workers with multiprocessing.get_context("spawn")'
        )
    return _module(op, voice)


def _forked() -> None:
    """In the child of a fork: without this, OpenMP would end the process at the first op."""
    global _lost
    numba: Any = sys.modules.get("numba")
    with contextlib.suppress(ValueError):  # no op has used threads
        _lost = numba is not None and numba.threading_layer() == "omp"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


@functools.cache
def _module(op: str, voice: str) -> ModuleType:
    name = op.rpartition(".")[2]
    try:
        return importlib.import_module(f"{op}.{voice}")
    except ModuleNotFoundError as error:
        if error.name == f"{op}.{voice}":
            raise RuntimeError(f"{name}: there is no {voice} voice") from None
        raise RuntimeError(f"{name}: the {voice} voice needs {error.name}, which is not installed") from error


def one_blas_thread() -> contextlib.AbstractContextManager[Any]:
    """While NumPy's BLAS multiplies matrices on one thread.

    It cuts its sums by the number of threads, so on several the bits would depend on how many there are; and its
    threads, while they wait for work, would take the cores from the kernels. Only dense layers need it. Where
    threadpoolctl is not installed, BLAS keeps its threads.
    """
    return _ONE_THREAD


class _OneThread:
    """What threadpoolctl's own context does, without its bookkeeping: a small network has many small products.

    The setting is the process's. So of several threads the first to enter sets it, and the last to leave restores it.
    """

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.before = [pool.get_num_threads() for pool in _blas_pools()]
                _release_control()
                for pool in _blas_pools():
                    pool.set_num_threads(1)
            self.inside += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                _release_control()
                for pool, count in zip(_blas_pools(), self.before, strict=True):
                    pool.set_num_threads(count)
                _release_control()


_ONE_THREAD = _OneThread()


@functools.cache
def _blas_pools() -> list[Any]:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:  # the reference voice needs NumPy alone
        return []
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _release_control() -> None:
    """Let any thread set OpenBLAS: a recent threadpoolctl lets only the first that did, until that is cleared."""
    for clear in _clears():
        clear(force=True)


@functools.cache
def _clears() -> list[Any]:
    kinds = {type(pool) for pool in _blas_pools()}
    return [kind.clear_controlling_thread for kind in kinds if hasattr(kind, "clear_controlling_thread")]


class use:  # a verb, as in `with use("reference"):`
    """Compute on NumPy arrays with this voice, for good (`use("reference")`) or in a block (`with use("reference"):`).

    It holds in the present thread, or context (contextvars): another thread begins with "cpu" and chooses for itself.
    Raises ValueError for a name that is no voice.
    """

    def __init__(self, voice: str):
        if voice not in VOICES:
            raise ValueError(f"use: unknown voice {voice!r}, expected one of {', '.join(VOICES)}")
        self._voice, self._before = voice, _on_host.get()
        _on_host.set(voice)

    def __enter__(self) -> None:
        _on_host.set(self._voice)  # of a `use` that is entered again

    def __exit__(self, *exception: object) -> None:
        _on_host.set(self._before)
