"""Align two images: an affine motion plus a flow, read in one resampling.

    import hstn_ref

    found = hstn_ref.align(source, target)
    found.warped           # the source as it looks in the frame of the target
    found.motion           # (2, H, W) pixels, target(p) ~ source(p + motion(p))
    found.warp_points(xy)  # where points of the source lie in the target

Read in this order: search (the affine part), refinement (the flow), network, result.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hstn_ref.alignment.network import load_aligner, network_answer
from hstn_ref.alignment.refinement import refined, refinement_levels
from hstn_ref.alignment.result import Alignment, Answer, split
from hstn_ref.alignment.search import OVERLAP, affine_search, search_levels, starts, starts_near
from hstn_ref.flow import brox, ldof, sift_flow
from hstn_ref.flow.pairs import each_pair

__all__ = ["ENGINES", "Alignment", "align"]

ENGINES = ("optimise", "network", "brox", "sift_flow", "ldof")
SMALLEST = 16  # pixels, the least height and width
FOLDING = 0.05  # the greatest share of folded squares: pairs that belong together have about 0, others more
CORRELATION = 0.5  # the least between warped and target: pairs that belong together have about 0.8 or more, others less
FLOWS = {"brox": brox, "sift_flow": sift_flow, "ldof": ldof}


def align(
    source: Any,
    target: Any,
    *,
    engine: str = "optimise",
    checkpoint: str | Path | None = None,
    refine: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Alignment:
    """The motion with target(p) ~ source(p + motion(p)), and what follows from it.

    Images are (H, W) or (C, H, W), C = 1 or 3, channels first, of any real dtype and in any unit, the same for both,
    at least 16x16; a picture with its channels last is `picture.transpose(2, 0, 1)`.

    engine      "optimise": an affine motion (search.py) and a flow on top of it (refinement.py), without training;
                photographs are found from rotations up to 40 degrees or shifts up to a third of the image; fine or
                repeating textures, and both at once, may not be
                "network": one pass of a trained network (network.py), on images resampled to its size
                "brox", "sift_flow", "ldof": the flows of `hstn_ref.flow`
                theta of all but the first is the affine motion nearest to the motion
    checkpoint  of the network, a file of `hstn train --task align`; None is the one that the package carries
    refine      whether "optimise" follows, from starts near the theta of another engine alone
    progress    called with (steps done, all steps) now and then, with `refine` anew for "optimise"

    The same images give the same result, bit for bit. Raises ValueError for an unknown engine, images of different or
    unfit shapes, constant images, NaN, where no alignment was found, and for a checkpoint without a network that aligns
    or for another engine; FileError (an OSError) for one that cannot be read; TypeError for numbers that are not real.
    """
    if engine not in ENGINES:
        raise ValueError(f"align: engine is {engine!r}, expected one of {', '.join(ENGINES)}")
    if refine and engine == "optimise":
        raise ValueError('align: refine follows another engine, "optimise" is what it does')
    if checkpoint is not None and engine != "network":
        raise ValueError(f"align: checkpoint is {str(checkpoint)!r}, engine {engine!r} has no use for one")
    source, target = np.array(source), np.array(target)  # copies: the result keeps them
    for side, image in (("source", source), ("target", target)):
        _check_image(side, image)
    model = load_aligner(checkpoint) if engine == "network" else None
    answers: list[Answer] = []

    def estimate(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        if model is not None:
            answers.append(network_answer(model, s, t))
        elif engine != "optimise":
            answers.append(split(FLOWS[engine](s, t, progress=progress)))
        if engine == "optimise" or refine:
            answers.append(optimised(s, t, answers[-1][0] if answers else None, progress))
        return answers[-1][1]

    each_pair("align", source, target, SMALLEST, estimate)
    found = Alignment(source, target, *answers[-1])
    _check_found(found, last="optimise" if refine else engine)
    return found


def optimised(
    source: np.ndarray, target: np.ndarray, start: np.ndarray | None, progress: Callable[[int, int], None] | None
) -> Answer:
    """The engine "optimise", from everywhere or from near the theta of `start`; images (C, H, W) float32, 0..255."""
    shape = target.shape[1:]
    done, steps = 0, len(search_levels(shape)) + len(refinement_levels(shape))

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    thetas = starts(shape) if start is None else starts_near(start, shape)
    theta = affine_search(source, target, thetas, tick)
    return theta, refined(source, target, theta, tick)


def _check_found(found: Alignment, *, last: str) -> None:
    """Raise ValueError where, by what the `last` engine found, the images do not seem to show the same."""
    seen = (
        "no residual" if found.outside.all() else f"residual {found.residual:.3g}, before {found.residual_before:.3g}"
    )
    facts = f"({seen}; folds in {found.folding:.1%})"
    overlap = 1 - found.outside.mean()
    if overlap < OVERLAP:
        raise ValueError(
            f"align: no alignment was found, only {overlap:.0%} of the target would lie inside the source, expected "
            f"{OVERLAP:.0%} {facts}"
        )
    wrong = []
    if found.folding > FOLDING and last != "sift_flow":  # its whole pixels always fold somewhere
        wrong.append(f"the motion folds in {found.folding:.1%} of the image, expected {FOLDING:.0%} at most")
    if found.correlation < CORRELATION:
        wrong.append(
            f"the result and the target have a correlation of {found.correlation:.2f}, expected {CORRELATION} at least"
        )
    if wrong:
        advice = "" if last == "optimise" else "; if they do, refine the motion, or let the engine optimise find it"
        raise ValueError(
            f"align: no alignment was found, {' and '.join(wrong)} {facts}; do both images show the same, in the same "
            f"unit?{advice}"
        )


def _check_image(side: str, image: np.ndarray) -> None:
    """Raise for what a flow would accept and an alignment does not."""
    if image.dtype.kind == "U":
        raise TypeError(f"align: {side} is {image}, expected an array; read a file with hstn_ref.data.read_image")
    if image.ndim == 4:
        raise ValueError(f"align: {side} {image.shape}, expected one image, (H, W) or (C, H, W)")
    if image.ndim == 3 and image.shape[0] not in (1, 3) and image.shape[2] in (1, 3, 4):
        raise ValueError(
            f"align: {side} {image.shape} has its channels last, expected (C, H, W): "
            "image.transpose(2, 0, 1), without alpha"
        )
    if image.ndim > 1 and image.size and (image.min(axis=(-2, -1)) == image.max(axis=(-2, -1))).all():
        raise ValueError(f"align: the {side} is constant, expected something to match")
