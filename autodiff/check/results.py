"""What a check found: one Result an input, a Report of several, and the failure that carries one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Result:
    """The outcome of one check of one input.

    `error` is relative to the size of what was compared; `value` is what the gradient says and `expected` what the
    oracle says, along the direction that was checked or at the element `index`; `ulps` is their distance in units
    in the last place of `expected`. `order` is the order at which finite differences, or a Taylor remainder,
    converged; `kinks` how many of each kind lie within the smallest step, `excluded` how many elements were left out
    because of them.
    """

    check: str
    input: int
    error: float
    tolerance: float
    value: float | None = None
    expected: float | None = None
    index: tuple[int, ...] | None = None
    ulps: float | None = None
    order: float | None = None
    kinks: Mapping[str, int] = field(default_factory=dict)
    excluded: int = 0
    cause: str = ""

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    def __str__(self) -> str:
        parts = [f"{self.check:<13} input {self.input}   error {self.error:.1e}   tolerance {self.tolerance:.0e}"]
        if self.order is not None:
            parts.append(f"order {self.order:.2f}")
        if self.kinks:
            parts.append("kinks: " + ", ".join(f"{count} x {kind}" for kind, count in self.kinks.items()))
        if self.excluded:
            parts.append(f"{self.excluded} elements on kinks excluded")
        if not self.passed and self.value is not None and self.expected is not None:
            where = "" if self.index is None else f" at element {self.index}"
            parts.append(f"gradient {self.value:.10g}, expected {self.expected:.10g}{where}")
        return "   ".join([*parts, "ok" if self.passed else f"FAILED{': ' if self.cause else ''}{self.cause}"])


class Report(list[Result]):
    """Results: printed, a table with a line each; `rows()` for a program; `save(path)` as JSON.

    `skipped` says which checks do not apply to the function, and why.
    """

    def __init__(self, results: Any = (), skipped: Mapping[str, str] | None = None):
        super().__init__(results)
        self.skipped = dict(skipped or {})

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self)

    def __str__(self) -> str:
        skipped = [f"{check:<13} does not apply: {why}" for check, why in self.skipped.items()]
        return "\n".join([*map(str, self), *skipped])

    def rows(self) -> list[dict[str, Any]]:
        """A plain dictionary for each result."""
        return [{**asdict(result), "kinks": dict(result.kinks), "passed": result.passed} for result in self]

    def save(self, path: str | Path) -> None:
        """Write {"passed", "results", "skipped"} as JSON, whole or not at all; null stands for NaN."""
        path = Path(path)
        content = {"passed": self.passed, "results": self.rows(), "skipped": self.skipped}
        unfinished = path.with_name(f".{path.name}.part")
        with open(unfinished, "w") as file:
            json.dump(_finite(content), file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)


class CheckFailure(AssertionError):
    """A check failed; `.result` is what it found, and `.report` what all checks found, if all were run."""

    def __init__(self, message: str, result: Result, report: Report | None = None):
        super().__init__(message)
        self.result, self.report = result, report


class DoesNotApply(ValueError):
    """A check cannot say anything about this function: it is not analytic, or differentiable only once."""


def units_in_the_last_place(value: float, expected: float, dtype: Any) -> float:
    """|value - expected| in spacings of the numbers of `dtype` at `expected`."""
    spacing = float(np.spacing(np.asarray(max(abs(expected), float(np.finfo(dtype).tiny)), dtype)))
    return abs(value - expected) / spacing


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content
