"""The machine: how many threads compute, and what is written into results so that they can be traced."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import hstn_ref
from hstn_ref.errors import ConfigError


def set_threads(count: int | None) -> int:
    """Let the kernels compute with so many threads, None for all cores; returns the number.

    The results are the same bits with any number. Raises ConfigError for more threads than cores.
    """
    import numba

    available = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if count is not None and not 1 <= count <= available:
        raise ConfigError(f"threads is {count}, expected 1 to {available}, the number of cores")
    count = count or available
    numba.set_num_threads(count)
    return count


def command() -> str:
    """The command that this process was started with, as one types it."""
    return shlex.join(["hstn", *sys.argv[1:]])


def origin(command: str) -> dict[str, Any]:
    """How a result came about, as JSON values: command, moment, commit, machine."""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": command, "date": moment, "commit": commit(), "machine": describe()}


def describe() -> dict[str, str | int]:
    """Processor, system, and the versions of what computes."""
    packages = {}
    for name in ("numpy", "numba", "h5py"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:  # the reference voice needs NumPy alone
            packages[name] = "not installed"
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": platform.platform(),
        "python": platform.python_version(),
        "hstn_ref": hstn_ref.__version__,
        **packages,
    }


def commit() -> str | None:
    """The git commit of this source tree, with "-dirty" if files differ from it; None outside a repository."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        tracked = ["git", "-C", str(folder), "ls-files", "--error-unmatch", "machine.py"]
        subprocess.run(tracked, capture_output=True, check=True, timeout=10)  # not some repository around us
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
