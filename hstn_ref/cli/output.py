"""Tables and where they are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

CLASSIFICATION = {"test accuracy": ("accuracy", "{:.4f}"), "cross entropy": ("cross_entropy", "{:.4f}")}
ALIGNMENT = {
    "image EPE (grey levels)": ("image_epe", "{:.2f}"),
    "flow EPE (pixels)": ("flow_epe", "{:.2f}"),
    "under 1 pixel": ("share_below_1", "{:.0%}"),
    "folding": ("folding", "{:.2%}"),
}


def print_results(results: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
    """A row for each result of `runs.judge`, all of one task; "name" overrides the title of the network."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("network")
    columns = ALIGNMENT if "image_epe" in results[0] else CLASSIFICATION
    for heading in (*columns, "parameters", "ms / image"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            escape(result.get("name", result["title"])),
            *(form.format(result[key]) for key, form in columns.values()),
            f"{result['parameters']:,}",
            f"{1000 / result['images_per_second']:.2f}",
        )
    console().print(table)


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Where tables and progress bars go."""
    made = Console(stderr=stderr, quiet=quiet, highlight=False)
    if not made.is_terminal:  # a file has no width
        made.width = 120
    return made
