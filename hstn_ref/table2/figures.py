"""The figure of Table 2 in the manner of Figure 7: test pairs, and what every method makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hstn_ref.checkpoint import load_model
from hstn_ref.plots import CELL, draw_motion, longest, save_figure
from hstn_ref.table1.running import folder_of
from hstn_ref.table2.configuration import TableConfig
from hstn_ref.table2.judging import FLOWS, Motion, no_motion, of_network, warp
from hstn_ref.training import BEST

PICTURED = 2  # test pairs, the first ones


def draw(config: TableConfig, out: Path, facts: dict[str, Any]) -> dict[str, str]:
    """Draw what there is to be drawn; returns the names of the files with their captions."""
    methods: dict[str, Motion] = {}
    for row in facts["rows"]:
        name, flow = row["row"], config.rows[row["row"]].flow
        seeds = [run["seed"] for run in row["runs"] if run["status"] == "finished"]
        motion = FLOWS.get(flow)
        if not flow and seeds:
            motion = of_network(load_model(folder_of(out, name, seeds[0]) / BEST))
        if seeds and motion is not None and motion is not no_motion:  # the others are in the first two columns
            methods[row["title"]] = motion
    if not methods:
        return {}
    test = config.data.open().test
    source, target, truth = test.batch(np.arange(min(PICTURED, len(test))))
    note = "REDUCED, " if config.reduced else ""
    save_figure(alignments(methods, source, target, truth, title=f"{note}test pairs"), out / "alignments.png")
    return {"alignments.png": f"{note}test pairs: the source as each method warps it, what is left, the motion"}


def alignments(
    methods: dict[str, Motion], source: np.ndarray, target: np.ndarray, truth: np.ndarray, *, title: str = ""
) -> Figure:
    """Three rows a pair: source, target and results; their differences from the target; the motions.

    source, target (N, C, H, W) in [0, 1], truth (N, 2, H, W). A pair has one scale of differences and one of motions.
    """
    N, columns = len(source), 2 + len(methods)
    figure = Figure(figsize=(CELL * columns, 1.06 * CELL * 3 * N + 0.6), layout="constrained")
    grid = figure.subplots(3 * N, columns, squeeze=False)
    motions = {name: motion(source, target) for name, motion in methods.items()}
    for n in range(N):
        images, differences, fields = grid[3 * n : 3 * n + 3]
        most, radius = abs(source[n] - target[n]).mean(axis=0).max(), longest(truth[n])
        _show(images[0], source[n])
        _show(images[1], target[n])
        _show_difference(differences[0], source[n] - target[n], most)
        draw_motion(fields[1], truth[n], radius)
        for column, w in enumerate(motions.values(), 2):
            warped = warp(source[n : n + 1], w[n : n + 1])[0]
            _show(images[column], warped)
            _show_difference(differences[column], warped - target[n], most)
            draw_motion(fields[column], w[n], radius)
    for axes, name in zip(grid[0], ("source", "target", *methods), strict=True):
        axes.set_title(name, fontsize=8)
    for axes in grid.ravel():
        axes.set_axis_off()
    figure.suptitle(f"{title}: results, differences from the target, motions (true in the second column)", fontsize=10)
    return figure


def _show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0).clip(0, 1))


def _show_difference(axes: Axes, difference: np.ndarray, most: float) -> None:
    axes.imshow(abs(difference).mean(axis=0), cmap="gray", vmin=0, vmax=max(float(most), 1e-9))
