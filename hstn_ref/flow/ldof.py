"""Large displacement optical flow after Brox and Malik (CVPR 2009; IEEE TPAMI 33(3), 2011).

    E(w) = sum_p  Psi( |I2(p + w) - I1(p)|^2 ) + gamma Psi( |grad I2(p + w) - grad I1(p)|^2 )
         + alpha sum_p  Psi( |grad u|^2 + |grad v|^2 )
         + beta sum_p  rho(p) Psi( |w(p) - w1(p)|^2 )                                                     (1)

The first two lines are those of brox.py, with Psi apart. The third holds the motion near matches w1 of descriptors,
found beforehand (matching.py), at most `radius` pixels away along both axes; rho is how much one trusts a match. What
is small and moves far vanishes from the coarse levels of a pyramid, and no warping brings it back: the matches do, as
far as they reach.

alpha = 30, beta = 300, gamma = 5, eta = 0.95, and a coarsest level of 15 pixels, as in the authors' program, which
sums over three channels where variational.py takes the mean: Psi of a sum is sqrt(3) times that of a mean, so alpha
and beta are divided by that here. As there, too:

- Residuals are divided by the root of |grad|, so that an edge counts by its position more than by its contrast: r_0
  by sqrt |grad G|, the rows of the gradient by the roots of |(G_xx, G_xy)| and |(G_xy, G_yy)|.                (2)
- gamma is gamma eta^k on level k.
- On a coarser level a match is at its scaled position, spread to four pixels with bilinear weights. Where several meet,
  w1 and rho are their means with these weights times rho. (An area average of rho would dilute it.)         (3)
- The finest level is done once with matches and then five times without, with twice the sweeps: there the matches are a
  grid of points, and the images know better.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from hstn_ref.flow.matching import RADIUS, find_matches
from hstn_ref.flow.pairs import Progress, counter, each_pair
from hstn_ref.flow.pyramid import resize, resize_motion, sizes
from hstn_ref.flow.variational import FIXED_POINTS, Matches, Weights, constancies, inside, minimise

SMOOTHING = 0.8  # pixels
ALPHA, BETA, GAMMA = 30 / 3**0.5, 300 / 3**0.5, 5.0
ETA = 0.95
COARSEST = 15  # pixels, the shorter side of the coarsest level
SWEEPS = 5
LAST = 5  # times that the finest level is done without matches
LARGEST = 3_000_000  # pixels, of 1.3 kB each, almost all of them descriptors
MATCHING = 3  # minimisations of the finest level that take as long as each of four parts of the matching
TINY = 0.01  # grey levels a pixel, added to |grad| before it divides


def ldof(source: Any, target: Any, *, radius: int = RADIUS, progress: Progress | None = None) -> np.ndarray:
    """The motion with target(p) ~ source(p + motion(p)): the minimum of (1), found coarse to fine.

    Images (H, W) or (C, H, W) give a motion (2, H, W), batches (N, C, H, W) motions (N, 2, H, W); C is 1 or 3, both
    sides at least 15, and at most LARGEST pixels. Motions are float32, in pixels, x first. Images may have any real
    dtype and unit.
    `radius`, pixels, is how far matches are looked for: 40, or more where something moves further; the authors have 80.
    `progress` is called with (work done, all work) of a pair, about evenly in time.
    Raises ValueError for images of different or unfit shapes, constant images, NaN and infinity, and a radius below 1;
    TypeError for numbers that are not real.
    """
    if radius < 1:
        raise ValueError(f"ldof: radius is {radius}, expected at least 1 pixel")

    def estimate(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        return _coarse_to_fine(s, t, int(radius), progress)

    return each_pair("ldof", source, target, COARSEST, estimate, largest=LARGEST)


def _coarse_to_fine(source: np.ndarray, target: np.ndarray, radius: int, progress: Progress | None) -> np.ndarray:
    source, target = (gaussian_filter(image, (0, SMOOTHING, SMOOTHING), mode="nearest") for image in (source, target))
    shape = target.shape[1:]
    levels = sizes(shape, ETA, COARSEST)
    pixels = [H * W for H, W in levels]
    advance = counter(progress, FIXED_POINTS * (sum(pixels) + (4 * MATCHING + LAST) * pixels[-1]))
    tick = partial(advance, FIXED_POINTS * MATCHING * pixels[-1])
    points, motions, rho = find_matches(source, target, tick, radius=radius)
    w = np.zeros((2, *levels[0]), np.float32)
    for k, size in zip(range(len(levels) - 1, -1, -1), levels, strict=True):
        tick = partial(advance, size[0] * size[1])
        w = resize_motion(w, size)
        images = resize(target, size), resize(source, size)
        weights = Weights(alpha=ALPHA, gamma=GAMMA * ETA**k, joint=False, relaxations=SWEEPS)
        rows = normalised(constancies(*images, w))
        w = minimise(rows, inside(w), w, weights, splat_matches(points, motions, rho, shape, size), tick=tick)
    weights = Weights(alpha=ALPHA, gamma=GAMMA, joint=False, relaxations=2 * SWEEPS)
    for _ in range(LAST):
        w = minimise(normalised(constancies(*images, w)), inside(w), w, weights, tick=tick)
    return w


def normalised(rows: np.ndarray) -> np.ndarray:
    """(2): the rows (a, b, z) of `constancies`, (C, 3, 3, H, W), each divided by the root of sqrt(C) |(a, b)|.

    That is the length that |(a, b)| has before `constancies` divides it by sqrt(C).
    """
    length = np.float32(len(rows) ** 0.5) * np.hypot(rows[:, :, 0], rows[:, :, 1])
    return rows / np.sqrt(length + np.float32(TINY))[:, :, None]


def splat_matches(
    points: np.ndarray, motions: np.ndarray, rho: np.ndarray, shape: tuple[int, int], size: tuple[int, int]
) -> Matches:
    """(3): matches at `points` (M, 2) of images of `shape`, x first, with `motions` (M, 2), as a field on `size`."""
    (H, W), (I, J) = shape, size
    scale = np.array([J / W, I / H])
    x, y = ((points + 0.5) * scale - 0.5).T
    q, r = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((4, I, J))  # sums of weights, and of weights times rho, u and v
    for i, j in np.ndindex(2, 2):
        near = (1 - abs(x - q - j)) * (1 - abs(y - r - i)) * rho
        at = np.clip(r + i, 0, I - 1), np.clip(q + j, 0, J - 1)
        for field, values in zip(total, (1, rho, motions[:, 0], motions[:, 1]), strict=True):
            np.add.at(field, at, near * values)
    known = total[0] > 0
    mean = np.divide(total[1:], total[0], out=np.zeros((3, I, J)), where=known)
    return Matches((mean[1:] * scale.reshape(2, 1, 1)).astype(np.float32), (BETA * mean[0]).astype(np.float32))
