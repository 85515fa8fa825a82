"""SIFT flow after Liu, Yuen and Torralba: SIFT Flow: Dense Correspondence across Scenes and its Applications (IEEE
TPAMI 33(5), 2011).

    s1, s2    descriptors of target and source at every pixel, 128 numbers 0..255 (dense_sift.py)
    w = (u, v)   the motion in whole pixels

    E(w) = sum_p  |s1(p) - s2(p + w(p))|_1  +  eta sum_p |u| + |v|
         + sum_{neighbours pq}  min(alpha |u_p - u_q|, d) + min(alpha |v_p - v_q|, d)                     (1)

Descriptors should match, the motion should be small, and neighbours should move alike, up to a limit d from which on
it does not matter how unlike they are. The motion is discrete, so nothing is linearised and no start is needed, but
it is never better than whole pixels: rounding the truth costs 0.38 pixels on average.

alpha = 510, d = 10200, eta = 1.275, on four levels, as in the demonstration of the authors' program. The first
truncation of the paper's (1), of the data term, is switched off there, and so it is here. Descriptors are computed
once and averaged on the way to coarser levels, after a Gaussian of five taps, sigma 0.67 (3); eta doubles with every
level, as a pixel there is two of the next finer. On the coarsest level all motions up to 10 pixels are candidates,
and after that those around the motion so far: 4, 3 and 2 pixels around, on the finest 25 in all. A candidate outside
the source costs as much as the median of those inside. (1) is minimised by belief propagation (belief.py), 60
iterations on the coarsest level, 30 on the others. Its messages begin with those of a coarser grid of nodes:

    a node for 2x2 pixels: data cost their sum for equal labels, offset their mean, eta / 2, 20 iterations   (2)

and so on, over 2 grids on the coarsest level and 1, 2, 3 on the next ones. Without, one pixel alone knows too little
of u when it does not know v: the median error doubles and more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hstn_ref.flow.belief import data_cost, labels, propagate
from hstn_ref.flow.dense_sift import dense_sift
from hstn_ref.flow.pairs import Progress, counter, each_pair
from hstn_ref.flow.pyramid import resize_motion

ALPHA, D, ETA = 510.0, 10200.0, 1.275
LEVELS = 4
RADII = (2, 3, 4, 10)  # pixels of the level, fine to coarse
ITERATIONS = (30, 30, 30, 60)
GRIDS = (3, 2, 1, 2)  # coarser grids of nodes on each level
GRID_ITERATIONS = 20
PERIOD = 8  # iterations, after which belief.py does the same again
DESCRIBING = 65  # iterations times labels that take as long as the descriptors of an image
GAUSSIAN = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 0.67**2))  # (3)
HALVING = np.convolve(GAUSSIAN / GAUSSIAN.sum(), [0.5, 0.5])
SMALLEST = 32  # pixels: 4 on the coarsest level
LARGEST = 4_500_000  # pixels, of 0.9 kB each: descriptors, data cost and messages
STRIP = 32  # rows that are halved at a time, in float32


def sift_flow(source: Any, target: Any, *, progress: Progress | None = None) -> np.ndarray:
    """The motion with target(p) ~ source(p + motion(p)), in whole pixels: (1), coarse to fine.

    Images (H, W) or (C, H, W) give a motion (2, H, W), batches (N, C, H, W) motions (N, 2, H, W); C is 1 or 3, both
    sides at least 32, and at most LARGEST pixels. Motions are float32, in pixels, x first. Images may have any real
    dtype and unit.
    `progress` is called with (work done, all work) of a pair, about evenly in time.
    Raises ValueError for images of different or unfit shapes, constant images, NaN and infinity; TypeError for numbers
    that are not real.
    """
    return each_pair(
        "sift_flow", source, target, SMALLEST, lambda s, t: _coarse_to_fine(s, t, progress), largest=LARGEST
    )


def _coarse_to_fine(source: np.ndarray, target: np.ndarray, progress: Progress | None) -> np.ndarray:
    _, H, W = target.shape
    levels = [work((H >> k, W >> k), 2 * RADII[k] + 1, ITERATIONS[k], GRIDS[k]) for k in range(LEVELS)]
    advance = counter(progress, 2 * DESCRIBING * H * W + sum(levels))
    s1 = pyramid(target)
    advance(DESCRIBING * H * W)
    s2 = pyramid(source)
    advance(DESCRIBING * H * W)
    w = np.zeros((2, *s1[-1].shape[:2]), np.float32)
    for k in reversed(range(LEVELS)):
        w = resize_motion(w, s1[k].shape[:2])
        offset = np.rint(w).astype(np.int64)
        cost = data_cost(s1[k], s2[k], offset, RADII[k])
        outside = np.isinf(cost)
        cost[outside] = np.median(cost[~outside], overwrite_input=True)
        messages = multigrid(cost, offset, ETA * 2**k, ITERATIONS[k], GRIDS[k], advance)
        w = labels(messages, offset, ETA * 2**k)
    return w.astype(np.float32)


def multigrid(
    cost: np.ndarray,
    offset: np.ndarray,
    eta: float,
    iterations: int,
    grids: int,
    advance: Callable[[int], None] = lambda work: None,
) -> np.ndarray:
    """Messages (2, H, W, 5, L) after so many iterations, begun with those of so many coarser grids: (2).

    cost (H, W, L, L) and offset (2, H, W) are those of belief.py; `advance` is told of the `work` that is done.
    """
    H, W, L, _ = cost.shape
    messages = np.zeros((2, H, W, 5, L), np.float32)
    if grids > 0:
        even = (0, H % 2), (0, W % 2)
        I, J = (H + 1) // 2, (W + 1) // 2
        sums = np.pad(cost, (*even, (0, 0), (0, 0))).reshape(I, 2, J, 2, L, L).sum(axis=(1, 3))
        means = np.pad(offset, ((0, 0), *even), mode="edge").reshape(2, I, 2, J, 2).mean(axis=(2, 4))
        coarse = multigrid(sums, np.rint(means).astype(np.int64), eta / 2, GRID_ITERATIONS, grids - 1, advance)
        for i, j in np.ndindex(2, 2):
            messages[:, i::2, j::2] = coarse[:, : (H + 1 - i) // 2, : (W + 1 - j) // 2]
    for first in range(0, iterations, PERIOD):
        now = min(PERIOD, iterations - first)
        propagate(messages, cost, offset, eta, ALPHA, D, now)
        advance(H * W * L * now)
    return messages


def work(shape: tuple[int, int], L: int, iterations: int, grids: int) -> int:
    """That of `multigrid`: pixels times labels times iterations, of all grids."""
    H, W = shape
    coarser = work(((H + 1) // 2, (W + 1) // 2), L, GRID_ITERATIONS, grids - 1) if grids else 0
    return H * W * L * iterations + coarser


def pyramid(image: np.ndarray) -> list[np.ndarray]:
    """The descriptors of image (C, H, W), 0..255, on all levels, fine to coarse."""
    s = [dense_sift(image / 255)]
    while len(s) < LEVELS:
        s.append(halve(s[-1]))
    return s


def halve(s: np.ndarray) -> np.ndarray:
    """Descriptors (H, W, K) -> (H // 2, W // 2, K): smoothed by (3), then the mean of 2x2 pixels."""
    H, W, K = s.shape[0] // 2, s.shape[1] // 2, s.shape[2]
    padded = np.pad(s, ((2, 2), (2, 2), (0, 0)), mode="edge")
    halved = np.empty((H, W, K), np.uint8)
    for top in range(0, H, STRIP):
        strip = padded[2 * top : 2 * min(top + STRIP, H) + 4]
        halved[top : top + STRIP] = np.rint(_halved(_halved(strip, 0), 1))
    return halved


def _halved(padded: np.ndarray, axis: int) -> np.ndarray:
    """float32 of half the size along an axis, which has two pixels more at both ends."""
    lines = np.moveaxis(padded, axis, 0)
    end = len(lines) // 2 * 2 - 4
    smooth = sum(np.float32(tap) * lines[i : i + end : 2] for i, tap in enumerate(HALVING))
    return np.moveaxis(np.asarray(smooth), 0, axis)
