"""Settings of a `with` block: whether ops are recorded, and whether they may compute on complex numbers.

Each holds for its own context: another thread, or another task, has its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_complex_allowed: ContextVar[bool] = ContextVar("complex_allowed", default=False)


def no_grad() -> contextlib.AbstractContextManager[None]:
    """`with no_grad():` compute without recording."""
    return recording(False)


@contextlib.contextmanager
def enable_grad() -> Iterator[None]:
    """`with enable_grad():`, or `@enable_grad()` before a function: record, within `no_grad` too.

    For what needs gradients whoever calls it.
    """
    with _set(_recording, True):
        yield


def recording(wanted: bool) -> contextlib.AbstractContextManager[None]:
    """Record if it is wanted, and not switched off already."""
    return _set(_recording, wanted and _recording.get())


def is_recording() -> bool:
    return _recording.get()


def complex_allowed() -> contextlib.AbstractContextManager[None]:
    """Within this block, and in the reference voice, ops compute on complex arrays: for complex-step derivatives.

    An op continues analytically what it computes between kinks: real parts decide on the branch.
    """
    return _set(_complex_allowed, True)


def is_complex_allowed() -> bool:
    return _complex_allowed.get()


@contextlib.contextmanager
def _set(mode: ContextVar[bool], value: bool) -> Iterator[None]:
    token = mode.set(value)
    try:
        yield
    finally:
        mode.reset(token)
