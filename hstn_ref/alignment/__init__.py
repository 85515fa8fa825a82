"""Align two images: an affine motion plus a flow, read in one resampling.

    import hstn_ref

    found = hstn_ref.align(source, target)
    found.warped           # the source as it looks in the frame of the target
    found.motion           # (2, H, W) pixels, target(p) ~ source(p + motion(p))
    found.warp_points(xy)  # where points of the source lie in the target

Read in this order: search (the affine part), refinement (the flow), result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hstn_ref.alignment.refinement import refine, refinement_levels
from hstn_ref.alignment.result import Alignment
from hstn_ref.alignment.search import affine_search, search_levels
from hstn_ref.flow import brox, ldof, sift_flow
from hstn_ref.flow.pairs import each_pair
from hstn_ref.motion.coordinates import pixels

__all__ = ["ENGINES", "Alignment", "align"]

ENGINES = ("optimise", "brox", "sift_flow", "ldof")
SMALLEST = 16  # pixels, the least height and width
OVERLAP = 0.5  # the least share of the target that lies inside the source
FOLDING = 0.05  # the greatest share of folded squares: pairs that belong together have about 0, others more
FLOWS = {"brox": brox, "sift_flow": sift_flow, "ldof": ldof}


def align(
    source: Any, target: Any, *, engine: str = "optimise", progress: Callable[[int, int], None] | None = None
) -> Alignment:
    """The motion with target(p) ~ source(p + motion(p)), and what follows from it.

    Images are (H, W) or (C, H, W), C = 1 or 3, channels first, of any real dtype and in any unit, at least 16x16;
    a picture with its channels last is `picture.transpose(2, 0, 1)`.

    engine     "optimise": an affine motion (search.py) and a flow on top of it (refinement.py), without training;
               rotations up to 40 degrees and shifts up to a third of the image are within its reach
               "brox", "sift_flow", "ldof": the flows of `hstn_ref.flow`; theta is the affine motion nearest to them
    progress   called with (steps done, all steps) now and then

    The same images give the same result, bit for bit. Raises ValueError for an unknown engine, images of different or
    unfit shapes, constant images, NaN, and where no alignment was found; TypeError for numbers that are not real.
    """
    if engine not in ENGINES:
        raise ValueError(f"align: engine is {engine!r}, expected one of {', '.join(ENGINES)}")
    source, target = np.array(source), np.array(target)  # copies: the result keeps them
    for side, image in (("source", source), ("target", target)):
        _check_image(side, image)
    thetas: list[np.ndarray] = []

    def estimate(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        shape = t.shape[1:]
        done, steps = 0, len(search_levels(shape)) + len(refinement_levels(shape))

        def tick() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, steps)

        thetas.append(affine_search(s, t, tick))
        return refine(s, t, thetas[0], tick)

    if engine == "optimise":
        flow = each_pair("align", source, target, SMALLEST, estimate)
        found = Alignment(source, target, thetas[0], flow)
    else:
        motion = each_pair("align", source, target, SMALLEST, FLOWS[engine])
        found = Alignment(source, target, *split(motion))
    _check_found(found, engine)
    return found


def split(motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """theta (6,) of the affine motion nearest to motion (2, H, W) by least squares, and the rest; float32."""
    _, H, W = motion.shape
    grid = pixels((H, W), "normalised", np.dtype(np.float64))  # (3, H W)
    s = np.array([[W - 1], [H - 1]]) / 2
    uv = motion.reshape(2, -1) / s
    change = np.linalg.solve(grid @ grid.T, grid @ uv.T).T  # (2, 3)
    theta = change + np.array([[1, 0, 0], [0, 1, 0]])
    rest = motion - (s * (change @ grid)).reshape(motion.shape)
    return theta.ravel().astype(np.float32), rest.astype(np.float32)


def _check_found(found: Alignment, engine: str) -> None:
    """Raise ValueError where the images do not seem to show the same."""
    overlap = 1 - found.outside.mean()
    if overlap < OVERLAP:
        raise ValueError(
            f"align: no alignment was found, only {overlap:.0%} of the target would lie inside the source, expected "
            f"{OVERLAP:.0%}"
        )
    if engine != "sift_flow" and found.folding > FOLDING:  # whole pixels always fold somewhere
        raise ValueError(
            f"align: no alignment was found, the best motion folds in {found.folding:.0%} of the image (residual "
            f"{found.residual:.3g}, before {found.residual_before:.3g}); do both images show the same?"
        )


def _check_image(side: str, image: np.ndarray) -> None:
    """Raise ValueError for what a flow would accept and an alignment does not."""
    if image.ndim == 4:
        raise ValueError(f"align: {side} {image.shape}, expected one image, (H, W) or (C, H, W)")
    if image.ndim == 3 and image.shape[0] not in (1, 3) and image.shape[2] in (1, 3, 4):
        raise ValueError(
            f"align: {side} {image.shape} has its channels last, expected (C, H, W): "
            "image.transpose(2, 0, 1), without alpha"
        )
    if image.ndim > 1 and image.size and (image.min(axis=(-2, -1)) == image.max(axis=(-2, -1))).all():
        raise ValueError(f"align: the {side} is constant, expected something to match")
