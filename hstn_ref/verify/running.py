"""Every op and every network through every check of `autodiff.check`, in every voice and precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff import check, ops, use
from autodiff.check import Report, Result
from hstn_ref.verify.cases import Case, ModelCase, functional, model_cases, op_cases

VOICES = ("reference", "cpu")
DTYPES = ("float64", "float32")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Row:
    """One result of one check of one case."""

    case: str
    kind: str  # "op" or "model"
    voice: str
    dtype: str
    result: Result

    @property
    def subject(self) -> str:
        """What the case is about: the op, or the network with its options."""
        return self.case.partition(":")[0] if self.kind == "op" else self.case


def verify(
    words: Sequence[str] = (),
    *,
    voices: Iterable[str] = VOICES,
    dtypes: Iterable[str] = DTYPES,
    report: Progress = lambda text, done, total: None,
) -> list[Row]:
    """Run all checks on the cases that `chosen` finds.

    `report` is told (case, how many are done, of how many). Raises ValueError as `chosen`, or if a check that must
    apply to every case does not.
    """
    cases = chosen([*op_cases(), *(case for case in model_cases() if not case.detached)], words)
    runs: list[tuple[Case | ModelCase, str, str]] = [
        (case, voice, dtype) for case in cases for voice in voices for dtype in dtypes
    ]
    rows: list[Row] = []
    for done, (case, voice, dtype) in enumerate(runs):
        report(f"{case.name}, {voice}, {dtype}", done, len(runs))
        with use(voice):
            fun, arrays = subject(case, dtype)
            found = check.collect(fun, *arrays) if isinstance(case, Case) else _network(fun, arrays)
        if found.skipped:
            raise ValueError(f"verify: {case.name}, {voice}, {dtype}: not checked by {found.skipped}")
        kind = "op" if isinstance(case, Case) else "model"
        rows += [Row(case.name, kind, voice, dtype, result) for result in found]
    return rows


def chosen(cases: Sequence[Case | ModelCase], words: Sequence[str]) -> list[Case | ModelCase]:
    """The cases whose name contains one of the words, all if there are no words. Raises ValueError if that is none."""
    found = [case for case in cases if not words or any(word in case.name for word in words)]
    if not found:
        raise ValueError(f"verify: no op and no network has {' or '.join(map(repr, words))} in its name")
    return found


def subject(case: Case | ModelCase, dtype: str) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """The function of a case and its inputs: of a network, the training loss as a function of the parameters."""
    if isinstance(case, Case):
        return lambda *xs: case.fun(ops, *xs), [a.astype(dtype) for a in case.arrays]
    model = case.build()
    return functional(model, case.images, case.truth), [p.data.astype(dtype) for p in model.parameters()]


def _network(fun: Callable[..., Any], arrays: list[np.ndarray]) -> Report:
    """All parameters together, which is quick; one by one if that fails, to find the one."""
    found = check.collect(*check.together(fun, *arrays))
    return found if found.passed else check.collect(fun, *arrays)


def worst(rows: Iterable[Row], check: str) -> Row | None:
    """The row of this check that came closest to its tolerance, or passed it by most."""
    found = [row for row in rows if row.result.check == check]
    return max(found, key=lambda row: row.result.error / row.result.tolerance, default=None)


def checks(rows: Iterable[Row]) -> list[str]:
    """The names of the checks, in the order in which they were run."""
    return list(dict.fromkeys(row.result.check for row in rows))


def groups(rows: Iterable[Row]) -> Iterator[tuple[tuple[str, str], list[Row]]]:
    """((subject, dtype), its rows), in the order in which they were run."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.subject, row.dtype), []).append(row)
    yield from found.items()


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Plain dictionaries, a result each."""
    return [
        {"case": row.case, "kind": row.kind, "voice": row.voice, "dtype": row.dtype, **Report([row.result]).rows()[0]}
        for row in rows
    ]
