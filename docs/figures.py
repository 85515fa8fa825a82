"""Draw the figures of the documentation.

Run: python docs/figures.py    writes docs/images/
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autodiff import Tensor
from autodiff.ops import bilinear_sample
from hstn_ref.alignment_metrics import flow_epe
from hstn_ref.colours import motion_colours
from hstn_ref.data import Clutter, load_embedded, load_photographs, random_pair, to_grey
from hstn_ref.data.clutter import canvases, draw, permutation, starts
from hstn_ref.flow import brox, ldof, sift_flow
from hstn_ref.motion import compose, control_points, inverse, jacobian_determinant, tps_motion

IMAGES = Path(__file__).parent / "images"
INK, LIGHT, FIRST, SECOND = "#30343b", "#c9ced6", "#2364aa", "#d1495b"


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    sampler(IMAGES / "sampler.png")
    clutter(IMAGES / "clutter.png")
    motions(IMAGES / "motion.png")
    classical_flow(IMAGES / "classical-flow.png")


def classical_flow(path: Path) -> None:
    """A deformed face, its true motion, and what each flow makes of it."""
    face = to_grey(load_photographs()["face"])
    pair = random_pair(face, (128, 128), np.random.default_rng(4))
    motions = {
        "truth": pair.motion,
        "brox": brox(pair.source, pair.target),
        "sift_flow": sift_flow(pair.source, pair.target),
        "ldof": ldof(pair.source, pair.target),
    }
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    upper, lower = figure.subplots(2, 5)
    radius = np.hypot(*pair.motion).max()
    for axes, picture, title in zip(
        (upper[0], lower[0]), (pair.source, pair.target), ("source", "target"), strict=True
    ):
        axes.imshow(picture[0], cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, color=INK, fontsize=9)
    for above, below, (name, motion) in zip(upper[1:], lower[1:], motions.items(), strict=True):
        epe = flow_epe(motion[None], pair.motion[None], part=0.6)[0]
        above.imshow(motion_colours(motion, radius))
        above.set_title(name if name == "truth" else f"{name}: {epe:.2f} px", color=INK, fontsize=9)
        source, w = Tensor(pair.source[None].astype(float)), Tensor(motion[None].astype(float))
        warped = bilinear_sample(source, w, border="edge")
        below.imshow(abs(warped.data[0, 0] - pair.target[0]), cmap="gray_r", vmin=0, vmax=64)
        below.set_title("|warped source - target|" if name == "truth" else " ", color=INK, fontsize=9)
    for axes in figure.axes:
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=62)


def sampler(path: Path) -> None:
    """Backward mapping of one pixel, and the two weights along an axis."""
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
    x, y = np.meshgrid(np.arange(4), np.arange(3))
    left.plot(x, y, "o", color=LIGHT)
    p, q = np.array([0, 0]), np.array([2.25, 1.5])
    near = np.array([[2, 1], [3, 1], [2, 2], [3, 2]])
    weights = np.prod(1 - abs(near - q), axis=1)
    left.scatter(*near.T, s=60 + 500 * weights, color=FIRST, zorder=3)
    for pixel, weight in zip(near, weights, strict=True):
        left.annotate(f"{weight:.3f}", pixel, (0, 13), textcoords="offset points", ha="center", color=INK)
    left.annotate("", q, p, arrowprops={"arrowstyle": "->", "color": SECOND, "lw": 1.5})
    left.plot(*p, "s", color=SECOND)
    left.text(0.12, 0.02, "p", color=SECOND, va="center")
    left.text(1.2, 0.55, "motion(p)", color=SECOND)
    left.set(
        xlim=(-0.5, 3.6), ylim=(2.6, -0.6), aspect="equal", xticks=range(4), yticks=range(3), xlabel="x", ylabel="y"
    )

    right.axhline(0, color=LIGHT, lw=1)
    right.plot([-2, -1, 0, 1, 2], [0, 0, 1, 0, 0], color=FIRST, label="$B_0$")
    for a, b, slope in [(-2, -1, 0), (-1, 0, 1), (0, 1, -1), (1, 2, 0)]:
        right.plot([a, b], [slope, slope], color=SECOND, label="$B_1$" if slope == 1 else None)
        if a > -2:
            right.plot(a, slope, "o", color=SECOND)
    right.set(xlabel="t", xticks=range(-2, 3), yticks=[-1, 0, 1], ylim=(-1.25, 1.25))
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


def clutter(path: Path) -> None:
    """Steps 2 to 4 for four canvases of the first epoch of seed 0."""
    digits, _ = load_embedded().train
    order_start, start = starts(0, 0, 0)
    draws = draw(start, permutation(order_start, len(digits)), np.arange(4), digits.shape[1:], Clutter())
    whole = canvases(digits, draws, Clutter())
    dark = np.concatenate([digits, np.zeros_like(digits[:1])])  # a digit of no ink leaves the patches alone
    patches = canvases(dark, type(draws)(np.full(4, len(digits)), draws.corner, draws.patches), Clutter())
    figure = Figure(figsize=(8, 4.1), layout="constrained")
    for axes, picture in zip(figure.subplots(2, 4).ravel(), [*patches, *whole], strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
    figure.axes[0].set_ylabel("patches")
    figure.axes[4].set_ylabel("with the digit")
    figure.savefig(path, dpi=80)


def motions(path: Path) -> None:
    """Where a grid of positions is moved by a spline, by its inverse, and by both; the Jacobian determinant."""
    shape, step = (49, 49), 4
    offsets = np.random.default_rng(4).uniform(-4.5, 4.5, (1, 2, 4, 4))
    spline = tps_motion(offsets, shape, coords="pixel").data
    back = inverse(spline).data
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    *grids, last = figure.subplots(1, 4)
    shown = [(spline, "thin-plate spline"), (back, "its inverse"), (compose(spline, back).data, "one, then the other")]
    for axes, (motion, title) in zip(grids, shown, strict=True):
        y, x = np.mgrid[: shape[0], : shape[1]]
        x, y = x + motion[0, 0], y + motion[0, 1]
        axes.plot(x[::step].T, y[::step].T, color=FIRST, lw=0.7)
        axes.plot(x[:, ::step], y[:, ::step], color=FIRST, lw=0.7)
        axes.set(title=title)
    rows, columns = control_points(shape)
    x, y = np.meshgrid(columns, rows)
    grids[0].quiver(x, y, *offsets[0], angles="xy", scale_units="xy", scale=1, color=SECOND, width=0.012, zorder=3)
    grids[0].plot(x, y, "o", color=SECOND, ms=3)
    determinant = last.imshow(jacobian_determinant(spline).data[0], cmap="RdBu", vmin=0, vmax=2)
    last.set(title="Jacobian determinant")
    figure.colorbar(determinant, ax=last, ticks=[0, 1, 2])
    for axes in figure.axes[:4]:
        axes.set(xlim=(-6, 54), ylim=(54, -6), aspect="equal", xticks=[], yticks=[])
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
