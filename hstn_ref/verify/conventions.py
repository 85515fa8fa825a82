"""The table of conventions: what each framework does at kinks, borders and alignments, measured by probes.

A probe is one question (probes/). It is put to our ops and to those of each framework, at the same numbers; where the
answers differ, the probe says how ours gives theirs, and that is measured too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from autodiff import Tensor, grad, ops
from hstn_ref.verify.against import load
from hstn_ref.verify.probes import Probe, probes

NAMES = {"torch": "PyTorch", "jax": "JAX"}
NATIVE = {"torch": "hstn_ref.peers.pytorch_native", "jax": "hstn_ref.peers.jax_native"}


@dataclass
class Row:
    """A question and its answers, by framework."""

    subject: str
    question: str
    ours: str
    theirs: dict[str, str] = field(default_factory=dict)
    reproduced: dict[str, str] = field(default_factory=dict)  # how ours gives the answer of a framework
    failed: list[str] = field(default_factory=list)  # where it does not: a wrong claim of a probe


@dataclass
class Table:
    """The answers, and the versions of the frameworks that gave them."""

    versions: dict[str, str]
    rows: list[Row]


def measure(peers: Sequence[str], report: Callable[[str, int, int], None] = lambda text, done, total: None) -> Table:
    """Put every question to ours and to the frameworks in `peers` ("torch", "jax"). Raises UserError if one is missing.

    `report` is told (question, how many are done, of how many).
    """
    loaded = {name: load(name) for name in peers}
    questions = probes()
    rows = []
    for done, probe in enumerate(questions):
        report(probe.question, done, len(questions))
        rows.append(_row(probe, {name: peer.ops for name, peer in loaded.items()}))
    return Table({name: peer.ops.version() for name, peer in loaded.items()}, rows)


def markdown(table: Table) -> str:
    """The table as a page of the documentation."""
    versions = " and ".join(f"{NAMES[name]} {version}" for name, version in table.versions.items())
    lines = [
        "# Conventions, measured",
        "",
        "What ours, PyTorch and JAX do where a definition leaves a choice. Every answer is what a probe returned, and",
        "where ours is said to give the answer of a framework, the probe ran that and found the same numbers. Why ours",
        "are as they are: [Kinks and conventions](kinks.md).",
        "",
        f"Measured in float64 with {versions}; write this page again with",
        "",
        "    hstn verify --against torch --against jax --conventions docs/conventions.md",
        "",
        '"as ours" is the same answer. Gradients are those of the sum of what was computed.',
    ]
    for subject in dict.fromkeys(row.subject for row in table.rows):
        lines += ["", f"## {subject}", ""]
        heading = ["question", "ours", *(NAMES[name] for name in table.versions), "ours gives the others by"]
        lines += [_line(heading), "|---" * len(heading) + "|"]
        for row in table.rows:
            if row.subject == subject:
                ways = [f"{NAMES[name]}: {way}" for name, way in row.reproduced.items()]
                lines.append(_line([row.question, row.ours, *row.theirs.values(), "; ".join(ways)]))
    return "\n".join(lines) + "\n"


def _row(probe: Probe, peers: dict[str, Any]) -> Row:
    row = Row(probe.subject, probe.question, _ours(probe, probe.fun))
    for name, peer in peers.items():
        if name in probe.lacks:
            row.theirs[name] = probe.lacks[name]
            continue
        answer = _answer(probe, partial(_theirs, probe, name, peer))
        row.theirs[name] = "as ours" if answer == row.ours else answer
        if name not in probe.like:
            if answer != row.ours:
                row.reproduced[name] = "nothing"
            continue
        text, fun = probe.like[name]
        row.reproduced[name] = text
        if _ours(probe, fun) != answer or answer == row.ours:
            row.failed.append(name)
    return row


def _ours(probe: Probe, fun: Callable[..., Tensor]) -> str:
    def compute():
        xs = [Tensor(a, requires_grad=True) for a in probe.arrays]
        y = fun(ops, *xs)
        if not y.requires_grad:  # nothing leads from y to the inputs
            return y.data, [np.zeros_like(a) for a in probe.arrays]
        gradients = grad(y, xs, gy=np.ones_like(y.data))
        return y.data, [g.data for g in gradients]

    return _answer(probe, compute)


def _theirs(probe: Probe, name: str, peer: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    if name in probe.native:
        fun = getattr(importlib.import_module(NATIVE[name]), probe.native[name])
    else:

        def fun(*xs):
            return probe.fun(peer, *xs)

    return peer.value_and_gradients(fun, probe.arrays)


def _answer(probe: Probe, compute: Callable[[], tuple[np.ndarray, list[np.ndarray]]]) -> str:
    """What the probe shows of a computation, as text; "refused" for an error."""
    try:
        with np.errstate(all="ignore"):
            shown = probe.show(*compute())
    except (ValueError, TypeError, IndexError, RuntimeError):
        return "refused"
    return shown if isinstance(shown, str) else " ".join(_number(x) for x in np.ravel(shown))


def _number(x: float) -> str:
    return f"{x + 0.0:.6g}" if abs(x) > 1e-12 or np.isnan(x) else "0"  # roundings of sums that cancel are nothing


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
