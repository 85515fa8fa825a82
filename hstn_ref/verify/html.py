"""The report of `hstn verify` as one HTML file: verdict, histograms of the errors, every result."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from hstn_ref.verify.against import Row as Comparison
from hstn_ref.verify.running import Row, checks, groups, worst

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
.failed { color: #b00020; font-weight: bold } .passed { color: #1b7f3b; font-weight: bold }
svg { max-width: 100%; height: auto } summary { cursor: pointer; font-weight: 600 }
"""


def page(rows: Sequence[Row], comparisons: Mapping[str, Sequence[Comparison]], facts: Mapping[str, Any]) -> str:
    """The whole report; `comparisons` by framework with its version, `facts` about the run for its head."""
    failed = sum(not row.result.passed for row in rows) + sum(not r.passed for c in comparisons.values() for r in c)
    total = len(rows) + sum(map(len, comparisons.values()))
    verdict = f'<p class="{"failed" if failed else "passed"}">{failed} of {total} results failed</p>'
    parts = ["<h1>Gradients of hstn-ref</h1>", verdict, table(["", ""], facts.items())]
    if rows:
        parts += ["<h2>Worst results</h2>", _worst(rows), "<h2>Errors</h2>", histograms(rows), "<h2>All results</h2>"]
        parts += [_details(name, dtype, group) for (name, dtype), group in groups(rows)]
    for name, found in comparisons.items():
        parts += [f"<h2>Beside {escape(name)}</h2>", _comparison(found)]
    head = f'<meta charset="utf-8"><title>Gradients of hstn-ref</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def table(headings: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """A table; cells are escaped."""
    head = "".join(f"<th>{escape(str(h))}</th>" for h in headings)
    body = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in body)}</table>"


def histograms(rows: Sequence[Row]) -> str:
    """How large the errors are: one panel a check, one colour a precision, the tolerances as lines; an SVG."""
    from matplotlib.figure import Figure

    names = [name for name in checks(rows) if not name.startswith("taylor")]
    figure = Figure(figsize=(11, 2.6 * ((len(names) + 2) // 3)), layout="constrained")
    for k, name in enumerate(names):
        axes = figure.add_subplot((len(names) + 2) // 3, 3, k + 1)
        for colour, dtype in (("C0", "float64"), ("C1", "float32")):
            found = [row.result for row in rows if row.dtype == dtype and row.result.check == name]
            if not found:
                continue
            errors = [np.log10(np.clip(result.error, 1e-18, 10)) for result in found]
            axes.hist(errors, bins=np.arange(-18, 1.5, 0.5).tolist(), color=colour, alpha=0.6, label=dtype)
            axes.axvline(np.log10(found[0].tolerance), color=colour, linestyle="--")
        axes.set(title=name, xlabel="log10 of the relative error", xlim=(-18.5, 1))
        axes.legend(fontsize="small")
    picture = io.StringIO()
    figure.savefig(picture, format="svg")
    return picture.getvalue()[picture.getvalue().index("<svg") :]


def _worst(rows: Sequence[Row]) -> str:
    headings = ["check", "dtype", "results", "worst error", "tolerance", "where"]
    cells = []
    for name in checks(rows):
        for dtype in dict.fromkeys(row.dtype for row in rows):
            some = [row for row in rows if row.dtype == dtype and row.result.check == name]
            if found := worst(some, name):
                result = found.result
                where = f"{found.case}, {found.voice}, input {result.input}"
                cells.append([name, dtype, len(some), f"{result.error:.1e}", f"{result.tolerance:.0e}", where])
    return table(headings, cells)


def _details(name: str, dtype: str, rows: Sequence[Row]) -> str:
    failed = sum(not row.result.passed for row in rows)
    verdict = f"{failed} failed" if failed else "passed"
    mark = "failed" if failed else "passed"
    summary = f'<summary>{escape(name)}, {dtype}: {len(rows)} results, <span class="{mark}">{verdict}</span></summary>'
    headings = ["case", "voice", "check", "input", "error", "tolerance", "order", "kinks", "verdict"]
    cells = (
        [
            row.case,
            row.voice,
            row.result.check,
            row.result.input,
            f"{row.result.error:.1e}",
            f"{row.result.tolerance:.0e}",
            "" if row.result.order is None else f"{row.result.order:.2f}",
            ", ".join(f"{count} x {kind}" for kind, count in row.result.kinks.items()),
            "ok" if row.result.passed else f"FAILED: {row.result.cause}",
        ]
        for row in rows
    )
    return f"<details{' open' if failed else ''}>{summary}{table(headings, cells)}</details>"


def _comparison(rows: Sequence[Comparison]) -> str:
    headings = ["case", "dtype", "what", "relative error", "ulp", "tolerance", "verdict"]
    cells = (
        [
            r.case,
            r.dtype,
            r.what,
            f"{r.error:.1e}",
            f"{r.ulp:.3g}",
            f"{r.tolerance:.0e}",
            "ok" if r.passed else "FAILED",
        ]
        for r in rows
    )
    return f"<details><summary>{len(rows)} arrays</summary>{table(headings, cells)}</details>"
