"""What a row of Table 2 achieves on the test pairs: errors of images and of motions, and time.

    w           the motion found; a network's or a flow's, it is used in the same way
    I'(p)       source(p + w(p)), bilinear, the border continued
    image_epe   mean |I' - target|, grey levels: the "EPE" of section 4.2
    flow_epe    mean |w - w*|, pixels, w* the true motion, which no row has seen

Both in the central 75 % of both sides, and image_epe in the central 50 % and in all of the image too. Times are medians
over repetitions: of a network with one pair and with 64 at a time, of a flow with one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.ops import bilinear_sample
from hstn_ref import alignment, models
from hstn_ref.alignment_metrics import flow_epe, image_epe, share_below
from hstn_ref.data import Dataset
from hstn_ref.flow import brox, ldof, sift_flow
from hstn_ref.flow.pairs import each_pair
from hstn_ref.motion import affine_motion, folding_fraction

Motion = Callable[[np.ndarray, np.ndarray], np.ndarray]  # source, target (N, C, H, W) -> motion (N, 2, H, W)

PARTS = (0.75, 0.5, 1.0)  # of both sides
BATCH = 64
REPETITIONS = 7  # of a time; a flow is timed on so many pairs


def optimised(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The motion of `hstn_ref.align` for batches, without its refusal of results that do not match."""

    def estimate(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        theta, flow = alignment.optimised(s, t, None, None)
        return affine_motion(theta[None], t.shape[1:]).data[0] + flow

    return each_pair("align", source, target, alignment.SMALLEST, estimate)


def no_motion(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Zero: what the errors are before."""
    return np.zeros((len(target), 2, *target.shape[2:]), np.float32)


FLOWS: dict[str, Motion | None] = {  # None: the true motion, which no image tells
    "none": no_motion,
    "truth": None,
    "sift_flow": sift_flow,
    "brox2004": lambda source, target: brox(source, target, preset="brox2004"),
    "ldof": ldof,
    "brox": brox,
    "optimise": optimised,
}


def of_network(model: models.Network) -> Motion:
    """The motions of a network in evaluation mode."""

    def motion(source: np.ndarray, target: np.ndarray) -> np.ndarray:
        with no_grad():
            return model.motion(source, target).data  # type: ignore[attr-defined]

    return motion


def judge(motion: Motion | None, dataset: Dataset, *, batched: bool) -> dict[str, Any]:
    """The errors on all pairs, and the seconds a pair: with `batched` of one at a time and of 64. JSON values.

    `motion` None is the true one: what it leaves of image_epe is no fault of a motion.
    """
    found: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(dataset), BATCH):
        source, target, truth = dataset.batch(np.arange(first, min(first + BATCH, len(dataset))))
        w = truth if motion is None else motion(source, target)
        warped = warp(source, w)
        errors = {f"image_epe_{round(100 * part)}": image_epe(warped, target, part=part) for part in PARTS}
        errors |= {"flow_epe": flow_epe(w, truth), "folding": folding_fraction(w)}
        for name, values in errors.items():
            found.setdefault(name, []).append(values)
    errors = {name: np.concatenate(parts) for name, parts in found.items()}
    return {
        "pairs": len(dataset),
        **{name: float(values.mean()) for name, values in errors.items()},
        "flow_epe_median": float(np.median(errors["flow_epe"])),
        "below_1_pixel": share_below(errors["flow_epe"]),
        "seconds_1": None if motion is None else seconds_a_pair(motion, dataset, 1),
        "seconds_64": seconds_a_pair(motion, dataset, BATCH) if batched and motion is not None else None,
    }


def warp(source: np.ndarray, w: np.ndarray) -> np.ndarray:
    """I' of sources (N, C, H, W) and motions (N, 2, H, W)."""
    with no_grad():
        return bilinear_sample(Tensor(source), Tensor(w.astype(source.dtype)), border="edge").data


def seconds_a_pair(motion: Motion, dataset: Dataset, count: int) -> float:
    """The median time, motion and warp, of `count` pairs at once, divided by `count`."""
    seconds = []
    for repetition in range(REPETITIONS):
        pairs = (repetition * count + np.arange(count)) % len(dataset)
        source, target, _ = dataset.batch(pairs)
        start = time.perf_counter()
        warp(source, motion(source, target))
        seconds.append(time.perf_counter() - start)
    return median(seconds) / count
