"""Do the tests notice faults? Plant one at a time, in a copy of the tree, and see whether a test fails.

    .venv/bin/python scripts/mutants.py              all of mutants.toml
    .venv/bin/python scripts/mutants.py tensor loss  those in files whose path contains one of the words

The faults are listed in mutants.toml. Each is a text that occurs exactly once in its file and what to put in its place.
Exit code 0 if every fault is caught; 1 if one survives, if a text is not found exactly once, or if the tests fail
without a fault.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("autodiff", "hstn_ref", "scripts", "tests", "constraints.txt", "pyproject.toml")
COMPILED = ("*.nbi", "*.nbc")  # Numba's caches


@dataclass(frozen=True)
class Mutant:
    path: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    verdict: str  # "caught", "crashed", "timed out" or "survived"
    seconds: float
    output: str

    @property
    def survived(self) -> bool:
        return self.verdict == "survived"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only files whose path contains one of these")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default 2)")
    parser.add_argument(
        "--limit", type=float, default=600, help="seconds for one run; a loop without end is caught (default 600)"
    )
    options = parser.parse_args()

    mutants = [m for m in load() if not options.words or any(word in m.path for word in options.words)]
    misplaced = [f"{m.path}: found {n} times, expected once: {m.old!r}" for m in mutants if (n := occurrences(m)) != 1]
    if misplaced or not mutants:
        print("\n".join(misplaced) or "no mutants in files with these words")
        return 1

    tests = sorted({test for m in mutants for test in m.tests})
    print(f"{len(mutants)} mutants; first the tests without one: {' '.join(tests)}")
    unharmed = run(None, tuple(tests), limit=10 * options.limit)
    if not unharmed.survived:
        print(unharmed.output, "the tests fail without a mutant", sep="\n")
        return 1

    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda m: reported(m, run(m, m.tests, options.limit)), mutants))
    survivors = [m for m, outcome in zip(mutants, outcomes, strict=True) if outcome.survived]
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} caught, {len(survivors)} survived")
    for m in survivors:
        print(f"survived: {m.path}: {m.breaks}\n    {m.old}\n    {m.new}")
    return 1 if survivors else 0


def load() -> list[Mutant]:
    """The table of mutants.toml."""
    files = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["file"]
    return [Mutant(f["path"], m[0], m[1], m[2], tuple(f["tests"])) for f in files for m in f["mutants"]]


def occurrences(mutant: Mutant) -> int:
    return (ROOT / mutant.path).read_text().count(mutant.old)


def run(mutant: Mutant | None, tests: tuple[str, ...], limit: float) -> Outcome:
    """Run tests in a fresh copy of the tree, with the mutant in it."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.pyc"))
            else:
                shutil.copy2(ROOT / name, tree / name)
        if mutant:
            plant(mutant, tree)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return Outcome("timed out", time.perf_counter() - start, "")
    if done.returncode > 2:  # 1: a test failed, 2: a module could not be imported, below 0: a signal
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout}{done.stderr}")
    verdict = "crashed" if done.returncode < 0 else "caught" if done.returncode else "survived"
    return Outcome(verdict, time.perf_counter() - start, done.stdout)


def plant(mutant: Mutant, tree: Path) -> None:
    """Write the fault into the copy. What Numba compiled from this file, or inlined from it into another, must go."""
    path = tree / mutant.path
    path.write_text(path.read_text().replace(mutant.old, mutant.new))
    if path.name in ("__init__.py", "reference.py"):  # plain NumPy
        return
    affected = tree / "autodiff" if path.name == "simd.py" else path.parent
    for pattern in COMPILED:
        for compiled in affected.rglob(pattern):
            compiled.unlink()


def reported(mutant: Mutant, outcome: Outcome) -> Outcome:
    print(f"{outcome.verdict:<9} {outcome.seconds:5.1f} s  {mutant.path:<42} {mutant.breaks}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
