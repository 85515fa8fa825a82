"""The picture of a measurement: the time of ours over the time of PyTorch's best mode, and how time grows."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS, THEIRS, MARK = "#4c78a8", "#b9bdc4", "#72777f"


def chart(result: dict[str, Any]) -> Figure:
    """Bars of all cases, those of a kind side by side, and lines for growing batches, images and threads."""
    rows = [row for row in result["cases"] if row["kind"] in ("step", "inference")]
    layers = [row for row in result["cases"] if row["kind"].startswith("forward")]
    panels = [(title, part) for title, part in (("networks", rows), ("layers", layers)) if part]
    grown = result["growth"]
    heights = [0.2 * len(part) + 0.6 for _, part in panels] + [3.2] * bool(grown)
    figure = Figure(figsize=(9, sum(heights or [1]) + 0.6), layout="constrained")
    parts = figure.subfigures(len(heights) or 1, 1, height_ratios=heights or None, squeeze=False)[:, 0]
    for part, (title, cases) in zip(parts, panels, strict=False):
        _bars(part.subplots(), cases, title)
    if grown:
        for axes, (by, label) in zip(
            parts[-1].subplots(1, 3), (("batch", "images a step"), ("size", "side, pixels"), ("threads", "threads")),
            strict=True,
        ):  # fmt: skip
            _growth(axes, grown, by, label)
    return figure


def _bars(axes: Axes, rows: list[dict[str, Any]], title: str) -> None:
    """A bar a case: milliseconds as text, the ratio as length."""
    names = [_name(row) for row in rows]
    compared = all(row["ratio"] is not None for row in rows)
    lengths = [row["ratio"] if compared else 1e3 * row["ours"]["median"] for row in rows]
    axes.barh(names, lengths, color=OURS, height=0.7)
    for i, row in enumerate(rows):
        text = f" {1e3 * row['ours']['median']:.3g} ms"
        if compared:
            text = f" {row['ratio']:.2f}   {1e3 * row['ours']['median']:.3g} : {1e3 * row['pytorch']['median']:.3g} ms"
        axes.text(lengths[i], i, text, va="center", fontsize=7)
    if compared:
        axes.axvline(1, color=MARK, linewidth=1)
        axes.axvline(0.5, color=MARK, linewidth=0.8, linestyle=":")
    axes.set_xlabel("time / time of PyTorch's fastest mode" if compared else "ms")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlim(0, max([*lengths, 1.0 if compared else 0.0]) * 1.35)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _name(row: dict[str, Any]) -> str:
    threads = f"{row['threads']} thread{'s' * (row['threads'] > 1)}"
    batch = f", batch {row['batch']}" if row["kind"] == "inference" else ""
    return f"{row['name']}, {row['kind']}{batch}, {threads}"


def _growth(axes: Axes, rows: list[dict[str, Any]], by: str, label: str) -> None:
    """Milliseconds of a training step of HSTN small against one quantity, the others fixed."""
    fixed = {"batch": 64, "size": 60, "threads": max(row["threads"] for row in rows)}
    fixed["batch"] = 16 if by == "size" else 64
    chosen = [row for row in rows if all(row[key] == value for key, value in fixed.items() if key != by)]
    chosen = list({row[by]: row for row in chosen}.values())
    chosen.sort(key=lambda row: row[by])
    for framework, colour in (("pytorch", THEIRS), ("ours", OURS)):
        if all(framework in row for row in chosen):
            times = [1e3 * row[framework]["median"] for row in chosen]
            axes.plot([row[by] for row in chosen], times, "o-", color=colour, markersize=4, label=framework)
    axes.set(xlabel=label, ylabel="ms a step" if by == "batch" else None, ylim=(0, None), xlim=(0, None))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if by == "batch":
        axes.set_title("HSTN small, training step", fontsize=10, loc="left")
        axes.legend(frameon=False, fontsize=8)
