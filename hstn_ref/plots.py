"""Pictures: training curves, what a network sees on the way, motion fields as arrows and as colours.

Every function draws into a matplotlib Figure of its own; there is no global state, and no display is needed.
`save_figure` writes a PNG. Images are drawn with y downwards, as everywhere in this package.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from hstn_ref.alignment_metrics import image_epe
from hstn_ref.colours import motion_colours, wheel
from hstn_ref.files import write_bytes
from hstn_ref.history import AnyEpoch, best

TRAIN, VALID, MARK, WRONG = "#4c78a8", "#e45756", "#72777f", "#c2272d"
DPI = 120
ARROWS = 10  # along the longer side of a motion field
CELL = 1.15  # inches, the width of an image in the picture of the stages


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, whole or not at all. Raises FileError if that is impossible."""
    write_bytes(path, png(figure))


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def training_curves(history: Sequence[AnyEpoch], *, title: str = "") -> Figure:
    """Loss, and accuracy or image_epe, of every epoch; the best one is marked, and where the learning rate fell."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = [epoch.epoch for epoch in history]
    falls = [(before, after) for before, after in pairwise(history) if after.lr < before.lr]
    if any(after.lr > before.lr / 5 for before, after in falls):  # along a curve: there are no places to mark
        falls = []
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", history[0].quantity), strict=True):
        _axes_style(axes)
        for split, colour in (("train", TRAIN), ("valid", VALID)):
            values = [getattr(epoch, f"{split}_{quantity}") for epoch in history]
            axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=_SPLITS[split])
        for _, after in falls:
            axes.axvline(after.epoch - 0.5, color=MARK, linewidth=0.8, linestyle=":")
            if quantity == "loss":
                _note(axes, f"lr {after.lr:g}", (after.epoch - 0.5, axes.get_ylim()[1]), (4, -8), MARK)
        axes.set(xlabel="epoch", ylabel=quantity, xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    top = best(history)
    reached = abs(top.merit)
    axes.plot(top.epoch, reached, "o", markersize=9, markerfacecolor="none", color=VALID)
    _note(axes, f"{reached:.4f}", (top.epoch, reached), (-12, 8), VALID)
    axes.margins(y=0.12)
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def stage_picture(
    stages: dict[str, np.ndarray], labels: np.ndarray, predictions: np.ndarray, *, title: str = "true → predicted"
) -> Figure:
    """What a classifier sees on the way: a column an image, a row a stage.

    `stages` is the result of `model.stages(images)`, labels and predictions are (N,). First the images, then
    the motion field as arrows, from an output pixel to the place its value is taken from, and as colours,
    then the optical flow field alone. A wrong prediction is red.
    """
    right = labels == predictions
    heads = [(f"{t} → {k}", "black" if ok else WRONG) for t, k, ok in zip(labels, predictions, right, strict=True)]
    return _picture(stages, heads, title)


def alignment_picture(stages: dict[str, np.ndarray], *, title: str = "") -> Figure:
    """The same of an alignment network, `model.stages(source, target)`, with its differences to the target.

    Above each pair stands the mean difference in grey levels before and after.
    """
    differences = {name: np.abs(stages[name] - stages["target"]) for name in ("input", "output")}
    before, after = (image_epe(stages[name], stages["target"]) for name in ("input", "output"))
    heads = [(f"{a:.1f} → {b:.1f}", "black") for a, b in zip(before, after, strict=True)]
    shown = {**stages, "before": differences["input"], "after": differences["output"]}
    return _picture(shown, heads, f"{title}: mean difference before → after, grey levels")


def _picture(stages: dict[str, np.ndarray], heads: Sequence[tuple[str, str]], title: str) -> Figure:
    """Rows of stages, with a text and its colour above each column."""
    N, _, H, W = stages["input"].shape
    rows = _rows(stages)
    widths = [CELL] * N + [1.5] * any(row.radius for row in rows)  # inches; the last for the colour wheels
    size = (0.9 + sum(widths), 0.65 + len(rows) * (CELL * H / W + 0.04))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0))
    grid = figure.add_gridspec(len(rows), len(widths), width_ratios=widths)
    for i, row in enumerate(rows):
        for n in range(N):
            axes = figure.add_subplot(grid[i, n])
            row.draw(axes, n)
            axes.set(xticks=[], yticks=[])
            if n == 0:
                axes.set_ylabel(row.label, fontsize=9)
            if i == 0:
                axes.set_title(heads[n][0], fontsize=10, color=heads[n][1])
        if row.radius:
            draw_wheel(figure.add_subplot(grid[i, N]), row.radius)
    figure.suptitle(title, fontsize=10)
    return figure


@dataclass
class _Row:
    label: str
    draw: Callable[[Axes, int], object]  # into these axes, image number n
    radius: float = 0.0  # of the colour wheel, 0 without


def _rows(stages: dict[str, np.ndarray]) -> list[_Row]:
    """The rows of the picture, as far as the network has these stages."""

    def image(name: str, label: str) -> _Row:
        shown = stages[name].transpose(0, 2, 3, 1).clip(0, 1)  # (N, C, H, W) -> (N, H, W, C), grey or colour
        return _Row(label, lambda axes, n: axes.imshow(shown[n], cmap="gray", vmin=0, vmax=1))

    def colours(name: str, label: str) -> _Row:
        radius = longest(stages[name])
        return _Row(label, lambda axes, n: draw_motion(axes, stages[name][n], radius), radius)

    def arrows(name: str, label: str) -> _Row:
        return _Row(label, lambda axes, n: draw_arrows(axes, stages[name][n], stages["input"][n].mean(axis=0)))

    steps = [name for name in stages if name.startswith("step ")]
    wanted = [
        (image, "input", "source" if "target" in stages else "input"),
        (image, "target", "target"),
        *((image, name, f"after\n{name}") for name in steps),
        (image, "linear", "linearly\nwarped"),
        (image, "output", "finally\nwarped"),
        (image, "before", "difference\nbefore"),
        (image, "after", "difference\nafter"),
        (arrows, "motion", "motion"),
        (colours, "motion", "motion"),
        (colours, "flow", "optical\nflow only"),
    ]
    return [row(name, label) for row, name, label in wanted if name in stages]


def _note(axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], colour: str) -> None:
    """A small text, `offset` points from a place in the units of the axes."""
    axes.annotate(text, place, xytext=offset, textcoords="offset points", fontsize=8, color=colour)


def draw_arrows(axes: Axes, motion: np.ndarray, image: np.ndarray | None = None) -> None:
    """A motion field (2, H, W) in pixels as arrows of true length, over an image (H, W) in [0, 1].

    An arrow begins at an output pixel p and ends at p + motion(p), where the value of p is taken from.
    """
    _, H, W = motion.shape
    if image is not None:
        axes.imshow(1 - 0.45 * image, cmap="gray", vmin=0, vmax=1)
    step = max(H, W) / ARROWS
    x = np.round(np.arange(step / 2, W, step) - 0.5).astype(int)
    y = np.round(np.arange(step / 2, H, step) - 0.5).astype(int)
    u, v = motion[:, y[:, None], x]
    axes.quiver(
        x,
        y,
        u,
        v,
        angles="xy",
        scale_units="xy",
        scale=1,
        color=TRAIN,
        width=0.012,
        headwidth=3.5,
        minlength=0.1,
    )
    axes.set(xlim=(-0.5, W - 0.5), ylim=(H - 0.5, -0.5), aspect="equal")


def draw_motion(axes: Axes, motion: np.ndarray, radius: float) -> None:
    """A motion field (2, H, W) in pixels as colours: see `colours.motion_colours`."""
    axes.imshow(motion_colours(motion, radius))


def longest(motion: np.ndarray) -> float:
    """The length of the longest vector of motion fields (..., 2, H, W) in pixels, 1 where nothing moves."""
    return float(np.hypot(motion[..., 0, :, :], motion[..., 1, :, :]).max()) or 1.0


def draw_wheel(axes: Axes, radius: float) -> None:
    """The legend of colours whose full saturation is a motion of `radius` pixels."""
    axes.imshow(wheel(201), extent=(-1, 1, 1, -1))
    axes.set(xlim=(-1.3, 1.3), ylim=(1.5, -1.1))
    axes.set_axis_off()
    axes.text(0, 1.1, f"rim: {radius:.3g} px", ha="center", va="top", fontsize=8)


def _axes_style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


_SPLITS = {"train": "training (with dropout)", "valid": "validation"}
