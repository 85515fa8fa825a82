"""Several rows of HSTN beside each other: in what they differ, and what that does to their flow.

The flow w is measured in the terms of equation (7), in one norm for all rows, whatever they were trained with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from autodiff.ops import bending_energy, smoothness
from hstn_ref import runs
from hstn_ref.checkpoint import load_model
from hstn_ref.data import Dataset
from hstn_ref.models import Network
from hstn_ref.motion import folding_fraction
from hstn_ref.table1.configuration import TableConfig
from hstn_ref.table1.running import folder_of
from hstn_ref.training import BEST

MEASURED, BATCH = 256, 64  # test images, the first ones


def compare(config: TableConfig, out: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of HSTN with a finished run, if there are several: what is different in them, and their flow.

    `rows` are those of `report.collect`; the flow is that of the first seed that is finished.
    """
    found = []
    for row in rows:
        first = next((run for run in row["runs"] if run["status"] == "finished" and run["model"] == "hstn"), None)
        if first is not None:
            start = config.rows[row["row"]].localisation_from
            found.append((row, first, {**first["options"], "begins with": start or "nothing"}))
    if len(found) < 2:
        return []
    test = runs.images(config.run(found[0][0]["row"], found[0][1]["seed"])).test
    names = dict.fromkeys(name for *_, settings in found for name in settings)  # a row may have an option of its own
    different = [name for name in names if len({json.dumps(settings.get(name)) for *_, settings in found}) > 1]
    return [
        {
            **{key: row[key] for key in ("row", "title", "accuracy", "cross_entropy")},
            "seed": first["seed"],
            "settings": {name: settings.get(name) for name in different},
            **measure(load_model(folder_of(out, row["row"], first["seed"]) / BEST), test),
        }
        for row, first, settings in found
    ]


def measure(network: Network, dataset: Dataset) -> dict[str, float]:
    """Of the flow w on the first MEASURED images of a data set: its mean length in pixels, |gradient w| and
    |laplacian w| in the norm l1, and the share of the squares between four pixels in which it folds.
    """
    count = min(MEASURED, len(dataset))
    parts = (dataset.batch(np.arange(i, min(i + BATCH, count)))[0] for i in range(0, count, BATCH))
    w = np.concatenate([network.stages(images)["flow"] for images in parts]).astype(np.float64)
    return {
        "length": float(np.hypot(w[:, 0], w[:, 1]).mean()),
        "smoothness": smoothness(w).item(),
        "bending_energy": bending_energy(w).item(),
        "folding": float(folding_fraction(w).mean()),
    }


def markdown(compared: list[dict[str, Any]]) -> list[str]:
    """The lines of the table, none for no rows."""
    if not compared:
        return []
    settings = list(compared[0]["settings"])
    headings = ["network", *settings, "accuracy", "cross entropy", "length", "smoothness", "bending energy", "folds"]
    return [
        "## The flows",
        "",
        f"| {' | '.join(headings)} |",
        "|---" * len(headings) + "|",
        *(f"| {' | '.join(_cells(row))} |" for row in compared),
        "",
        f"In what the rows of HSTN differ, and their flow w on the first {MEASURED} test images: its mean length in",
        "pixels, the two terms of equation (7), |gradient w| and |laplacian w|, in the norm l1 whatever the row was",
        "trained with, and the share of the squares between four pixels in which it folds.",
        "",
    ]


def _cells(row: dict[str, Any]) -> list[str]:
    means = (row["accuracy"]["mean"], row["cross_entropy"]["mean"])
    lengths = (row[key] for key in ("length", "smoothness", "bending_energy"))
    return [
        row["title"],
        *(str(value) for value in row["settings"].values()),
        *(f"{value:.4f}" for value in means),
        *(f"{value:.3g}" for value in lengths),
        f"{row['folding']:.2%}",
    ]
