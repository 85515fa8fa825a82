"""The figures of a table: training curves of all rows, what they do to the same images, confusion matrices, flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hstn_ref import runs
from hstn_ref.checkpoint import load_model
from hstn_ref.data import Dataset
from hstn_ref.history import Epoch, read_history
from hstn_ref.models import Network
from hstn_ref.plots import CELL, MARK, WRONG, draw_motion, draw_wheel, longest, save_figure
from hstn_ref.table1.configuration import TableConfig
from hstn_ref.table1.running import folder_of
from hstn_ref.training import BEST, HISTORY

PICTURED, FLOWS = 10, 4  # test images, the first ones: of all rows, and with their flow
GRID = 6  # pixels between the lines of the deformed grid


def draw(config: TableConfig, out: Path, facts: dict[str, Any]) -> dict[str, str]:
    """Draw what there is to be drawn; returns the names of the files with their captions."""
    note = "REDUCED, " if config.reduced else ""
    drawn = {}
    histories = {row["title"]: found for row in facts["rows"] if (found := _histories(out, row))}
    if histories:
        save_figure(curves(histories, title=f"{note}validation"), out / "curves.png")
        drawn["curves.png"] = f"{note}validation of all networks, a line a seed"
    done = [(row, min(seeds)) for row in facts["rows"] if (seeds := _finished(row))]
    if done:
        test = runs.images(config.run(done[0][0]["row"], done[0][1])).test
        networks = {row["title"]: load_model(folder_of(out, row["row"], seed) / BEST) for row, seed in done}
        title = f"{note}what each network gives to its classifier, and its prediction"
        save_figure(transformers(networks, test, title=title), out / "transformers.png")
        drawn["transformers.png"] = f"{title}; the lines are those of a grid on the image"
        matrices = {row["title"]: _confusion(row) for row, _ in done}
        save_figure(confusion(matrices, title=f"{note}errors on the test images"), out / "confusion.png")
        drawn["confusion.png"] = f"{note}confusion matrices, summed over the seeds, without the diagonal"
        compared = {row["title"]: networks[row["title"]] for row in facts["flows"]}
        if compared:
            title = f"{note}what each network gives to its classifier, its prediction, and its flow"
            save_figure(flows(compared, test, title=title), out / "flows.png")
            drawn["flows.png"] = f"{title}; the rim of a wheel is the longest vector of its row"
    return drawn


def curves(histories: dict[str, list[list[Epoch]]], *, title: str = "") -> Figure:
    """Cross entropy and accuracy on the validation images by epoch: a colour a network, a line a seed."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for axes, quantity in zip(figure.subplots(1, 2), ("cross_entropy", "accuracy"), strict=True):
        for i, (name, seeds) in enumerate(histories.items()):
            for s, history in enumerate(seeds):
                x = [epoch.epoch for epoch in history]
                y = [getattr(epoch, f"valid_{quantity}") for epoch in history]
                style = {"color": colours[i % 10], "linewidth": 1.2, "marker": "o", "markersize": 2}
                axes.plot(x, y, label=name if s == 0 else None, **style)
        axes.set(xlabel="epoch", ylabel=quantity.replace("_", " "))
        axes.set_yscale("log" if quantity == "cross_entropy" else "linear")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def transformers(networks: dict[str, Network], dataset: Dataset, *, title: str = "") -> Figure:
    """The same images in the first row, and below what each network makes of them; a wrong prediction is red.

    Lines show the image's own grid where a network has moved it to: they were straight, GRID pixels apart.
    """
    images, labels = dataset.batch(np.arange(min(PICTURED, len(dataset))))
    size = (1.3 + CELL * len(images), 0.5 + 1.2 * CELL * (1 + len(networks)))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1 + len(networks), len(images), squeeze=False)
    for axes, image, label in zip(grid[0], images, labels, strict=True):
        _show(axes, image[0], str(label))
    grid[0, 0].set_ylabel("input", fontsize=9)
    for row, (name, network) in zip(grid[1:], networks.items(), strict=True):
        stages, found = network.stages(images), np.argmax(network(images).data, axis=1)
        for n, axes in enumerate(row):
            _show(axes, stages.get("output", images)[n, 0], str(found[n]), wrong=found[n] != labels[n])
            if "motion" in stages:
                _draw_grid(axes, stages["motion"][n])
        row[0].set_ylabel(name, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def flows(networks: dict[str, Network], dataset: Dataset, *, title: str = "") -> Figure:
    """Networks of HSTN, a row each: the same images as they are for the classifier, and beside them the flow alone.

    A wrong prediction is red. The colours of the flow have a scale a row: its wheel has the longest vector at the rim.
    """
    images, labels = dataset.batch(np.arange(min(FLOWS, len(dataset))))
    N, rows = len(images), 1 + len(networks)
    figure = Figure(figsize=(1.3 + CELL * (2 * N + 1), 0.5 + 1.2 * CELL * rows), layout="constrained")
    grid = figure.subplots(rows, 2 * N + 1, squeeze=False)
    for axes, image, label in zip(grid[0, :-1:2], images, labels, strict=True):
        _show(axes, image[0], str(label))
    for axes in [*grid[0, 1::2], grid[0, -1]]:
        axes.set_axis_off()
    grid[0, 0].set_ylabel("input", fontsize=9)
    for row, (name, network) in zip(grid[1:], networks.items(), strict=True):
        stages, found = network.stages(images), np.argmax(network(images).data, axis=1)
        radius = longest(stages["flow"])
        for n, (warped, flow) in enumerate(zip(row[:-1:2], row[1::2], strict=True)):
            _show(warped, stages["output"][n, 0], str(found[n]), wrong=found[n] != labels[n])
            draw_motion(flow, stages["flow"][n], radius)
            flow.set(xticks=[], yticks=[])
        draw_wheel(row[-1], radius)
        row[0].set_ylabel(name, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def confusion(matrices: dict[str, np.ndarray], *, title: str = "") -> Figure:
    """Where the errors are: a matrix (10, 10) a network, labels downwards, predictions to the right."""
    columns = min(4, len(matrices))
    count = -(-len(matrices) // columns)
    figure = Figure(figsize=(3.1 * columns, 3.2 * count + 0.4), layout="constrained")
    grid = figure.subplots(count, columns, squeeze=False).ravel()
    errors = {name: matrix - np.diag(np.diag(matrix)) for name, matrix in matrices.items()}
    largest = max(1, *(int(matrix.max()) for matrix in errors.values()))
    for axes, (name, matrix) in zip(grid, errors.items(), strict=False):
        axes.imshow(matrix, cmap="Reds", vmin=0, vmax=largest)
        for i, j in zip(*np.nonzero(matrix), strict=True):
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=6)
        K = len(matrix)
        axes.set(xticks=range(K), yticks=range(K), xlabel="predicted", ylabel="true")
        axes.set_title(f"{name}: {matrix.sum()} errors of {matrices[name].sum()}", fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in grid[len(matrices) :]:
        axes.set_axis_off()
    figure.suptitle(title, fontsize=11)
    return figure


def _show(axes: Axes, image: np.ndarray, text: str, *, wrong: bool = False) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.set_title(text, fontsize=8, color=WRONG if wrong else MARK, pad=2)


def _draw_grid(axes: Axes, motion: np.ndarray) -> None:
    """The lines on which the source positions p + motion(p) have a coordinate that GRID divides."""
    _, H, W = motion.shape
    y, x = np.mgrid[:H, :W]
    for source, size in ((x + motion[0], W), (y + motion[1], H)):
        levels = np.arange(GRID / 2, size, GRID)
        levels = levels[(levels > source.min()) & (levels < source.max())]
        if len(levels):
            axes.contour(source, levels=levels, colors="#f2b134", linewidths=0.5, alpha=0.7)


def _histories(out: Path, row: dict[str, Any]) -> list[list[Epoch]]:
    files = (folder_of(out, row["row"], run["seed"]) / HISTORY for run in row["runs"])
    return [history for file in files if file.exists() and (history := read_history(file))]


def _finished(row: dict[str, Any]) -> list[int]:
    return [run["seed"] for run in row["runs"] if run["status"] == "finished"]


def _confusion(row: dict[str, Any]) -> np.ndarray:
    return np.sum([run["confusion"] for run in row["runs"] if run["status"] == "finished"], axis=0)
