"""Let the frameworks take turns, and put the numbers together.

Every framework computes in a process of its own. In each round all of them compute a case for a fraction of a second,
one after the other, so what a shared machine does in a minute happens to all alike. The median over all rounds counts,
and of PyTorch that of its fastest mode.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from autodiff.llvm import BITS
from hstn_ref import machine
from hstn_ref.bench.cases import NETWORKS, Case, cases, growth
from hstn_ref.errors import UserError

TURN = 0.2  # seconds that a framework computes in a round, or one run if that takes longer
REST = 0.03  # seconds until the threads of the framework before have gone to sleep
TOLERANCE = {"float32": 1e-3, "float64": 1e-8}  # of the largest number, through a whole network
PARTS = ("steps", "inference", "layers", "memory", "startup", "growth")


class BenchError(UserError):
    """A measurement that is impossible or not worth making."""


class Worker:
    """A process of one framework; a context manager."""

    def __init__(self, framework: str, modes: Sequence[str]):
        self.framework, self.modes = framework, list(modes)
        command = [sys.executable, "-m", "hstn_ref.bench.worker", framework]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._answer()

    def ask(self, **command: Any) -> Any:
        """Send a command and wait for the answer. Raises BenchError if the worker reports an error or has ended."""
        assert self.process.stdin is not None
        try:
            print(json.dumps(command), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise BenchError(f"{self.framework}: the process has ended") from None
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": "the process has ended"}
        if "error" in reply:
            raise BenchError(f"{self.framework}: {reply['error']}")
        return reply["answer"]

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()


def bench(
    parts: Iterable[str],
    *,
    threads: Sequence[int],
    rounds: int = 9,
    against: Sequence[str] = ("eager", "channels_last"),
    report: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> dict[str, Any]:
    """Measure the parts of PARTS and return everything as one dictionary that JSON can hold.

    against   modes of PyTorch, none to leave it out
    report    is told what is being measured, how much is done, and how much there is in all

    Raises BenchError if PyTorch is wanted and not installed, or if results differ from those of the reference voice.
    """
    if against and not _installed("torch"):
        raise BenchError("PyTorch is not installed: make bench does so, or compare with nothing (--alone)")
    chosen = [part for part in PARTS if part in set(parts)]
    timed = list(cases(set(chosen), list(threads)))
    grown = list(growth(max(threads))) if "growth" in chosen else []
    total, done = len(timed) + len(grown) + len(set(chosen) & {"memory", "startup"}), 0
    result: dict[str, Any] = {"parts": chosen, "rounds": rounds, "peak_gflops": {}, "cases": [], "growth": []}
    result["versions"] = {"pytorch": version("torch")} if against else {}
    workers = [("ours", ["numba"]), *([("pytorch", list(against))] if against else [])]
    running = [Worker(*worker) for worker in workers]
    try:
        if timed or grown:
            report("comparing results with those of the reference voice", done, total)
            _validate(running, {(case.kind, case.name): case for case in [*grown, *timed]}.values())
        peaks = dict.fromkeys(threads, 0.0)
        for case in [*timed, *grown]:
            for count in peaks:
                peaks[count] = max(peaks[count], running[0].ask(peak=count))
            report(f"{case.kind}, {case.name}, batch {case.batch}, {case.threads} threads", done, total)
            row = {**case.state(), **_measure(running, case, rounds)}
            if case.kind.startswith("forward"):
                row["gflops"] = _gflops(case, row["ours"]["median"])
            (result["cases"] if done < len(timed) else result["growth"]).append(row)
            done += 1
        result["peak_gflops"] = {str(count): gflops for count, gflops in peaks.items() if gflops}
    finally:
        for worker in running:
            worker.__exit__()
    for part, measure in (
        ("memory", lambda: _memory(workers, max(threads))),
        ("startup", lambda: _startup(max(threads))),
    ):
        if part in chosen:
            report(part, done, total)
            result[part] = measure()
            done += 1
    return {**result, "commit": machine.commit(), "machine": {**machine.describe(), "vector_bits": BITS}}


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _validate(workers: Sequence[Worker], kinds: Iterable[Case]) -> None:
    """Raise BenchError unless all frameworks compute what the reference voice does, on two images.

    In float64 results and gradients. In float32 the results only, of networks: where two pixels of a pooling window
    are equal but for rounding, each may get the gradient.
    """
    with tempfile.TemporaryDirectory() as folder:
        right, found = f"{folder}/reference.npz", f"{folder}/values.npz"
        for case, dtype in itertools.product(kinds, TOLERANCE):
            small = Case(case.kind, case.name, 1, batch=2, size=case.size).state()
            workers[0].ask(values=small, by="reference_values", dtype=dtype, path=right)
            for worker in workers:
                worker.ask(values=small, by="values", dtype=dtype, path=found)
                pairs = _pairs(found, right)[: 1 if case.kind == "step" and dtype == "float32" else None]
                for i, (a, b) in enumerate(pairs):
                    error = abs(a - b).max() / max(1e-6, abs(b).max())
                    if not error <= TOLERANCE[dtype]:
                        raise BenchError(
                            f"{worker.framework}: result {i} of {case.kind}, {case.name} in {dtype} differs from the "
                            f"reference by {error:.1e} of the largest number, more than {TOLERANCE[dtype]:g}: "
                            "nothing to time"
                        )


def _pairs(path: str, other: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The arrays of two files, side by side."""
    with np.load(path) as ours, np.load(other) as theirs:
        return [(ours[name], theirs[name]) for name in theirs.files]


def _measure(workers: Sequence[Worker], case: Case, rounds: int) -> dict[str, Any]:
    """Medians in seconds of every framework and mode, and the ratio of ours to the best of the others."""
    samples: dict[str, dict[str, list[float]]] = {}
    runs: dict[tuple[str, str], int] = {}
    for worker in workers:
        modes = [mode for mode in worker.modes if mode != "compile" or case.kind in ("step", "inference")]
        worker.ask(prepare=case.state(), modes=modes)
        samples[worker.framework] = {mode: [] for mode in modes}
        for mode in modes:
            runs[worker.framework, mode] = max(1, int(TURN / min(worker.ask(time=mode, runs=2))))
    for _ in range(rounds):
        for worker in workers:
            for mode, seconds in samples[worker.framework].items():
                time.sleep(REST)
                count = runs[worker.framework, mode]
                seconds += worker.ask(time=mode, runs=1 + count)[1:]  # the first finds cold caches
    row: dict[str, Any] = {}
    for framework, found in samples.items():
        medians = {mode: statistics.median(seconds) for mode, seconds in found.items()}
        best = min(medians, key=medians.__getitem__)
        row[framework] = {"median": medians[best], "mode": best, "modes": medians}
    others = [row[name]["median"] for name in row if name != "ours"]
    row["ratio"] = row["ours"]["median"] / min(others) if others else None
    return row


def _gflops(case: Case, seconds: float) -> float:
    """Useful multiplications and additions a second; backward are two more convolutions, or one."""
    passes = 1 if case.kind == "forward" else 3 if case.layer.gradient_x else 2
    return passes * case.batch * case.layer.gflop / seconds


def _memory(workers: Sequence[tuple[str, list[str]]], threads: int) -> dict[str, dict[str, int]]:
    """Peak resident bytes of a process that trains a network for a few steps, by network and framework."""
    found: dict[str, dict[str, int]] = {}
    for name in NETWORKS:
        case = Case("step", name, threads)
        found[name] = {}
        for framework, modes in workers:
            for mode in modes:
                if mode == "compile":
                    continue
                with Worker(framework, [mode]) as worker:
                    worker.ask(prepare=case.state(), modes=[mode])
                    worker.ask(time=mode, runs=5)
                    found[name][framework if framework == "ours" else f"{framework} {mode}"] = worker.ask(memory=True)
    return found


_FIRST_STEP = """
import time; start = time.perf_counter()
import hstn_ref; imported = time.perf_counter() - start
from hstn_ref.bench import ours; from hstn_ref.bench.cases import Case
case = Case("step", "HSTN paper", THREADS)
ours.start(); ours.set_threads(case.threads); ours.prepare(case, "numba")()
print(imported, time.perf_counter() - start)
"""


def _startup(threads: int) -> dict[str, float]:
    """Seconds of the import, and of a fresh process until the first training step of HSTN paper is done."""
    folder = tempfile.mkdtemp()
    try:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        seconds = []
        for _ in range(4):  # the first compiles
            ran = subprocess.run(
                [sys.executable, "-c", _FIRST_STEP.replace("THREADS", str(threads))],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            seconds.append([float(word) for word in ran.stdout.split()])
    finally:
        shutil.rmtree(folder)
    imports, steps = zip(*seconds, strict=True)
    return {
        "import": statistics.median(imports),
        "first_step_empty_cache": steps[0],
        "first_step": statistics.median(steps[1:]),
    }


def write(result: dict[str, Any], folder: str | os.PathLike[str]) -> list[Path]:
    """Write bench.json and bench.png into a folder; returns their paths. Raises FileError if that is impossible."""
    from hstn_ref.bench.chart import chart
    from hstn_ref.files import write_bytes
    from hstn_ref.plots import save_figure

    paths = [Path(folder, "bench.json"), Path(folder, "bench.png")]
    write_bytes(paths[0], (json.dumps(result, indent=1) + "\n").encode())
    save_figure(chart(result), paths[1])
    return paths
