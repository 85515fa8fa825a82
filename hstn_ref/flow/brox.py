"""Optical flow after Brox, Bruhn, Papenberg and Weickert: High Accuracy Optical Flow Estimation Based on a Theory for
Warping (ECCV 2004).

    I1, I2    target and source, grey levels stretched to 0..255, smoothed by a Gaussian
    w         the motion, target(p) ~ source(p + w(p))
    Psi(s2)   sqrt(s2 + 0.001^2)

    E(w) = sum_p  Psi( |I2(p + w) - I1(p)|^2 + gamma |grad I2(p + w) - grad I1(p)|^2 )
         + alpha sum_p  Psi( |grad u|^2 + |grad v|^2 )                                                    (1)

Grey levels should be alike, gradients should be alike (which survives a change of brightness), and the motion should
be smooth but may jump. Psi makes all three robust: it grows like |s|, not like s^2. Nothing in the data term is
linearised until the level at which it is solved, hence "warping": from a level of the pyramid to the next finer one,
the source is warped by the motion so far and only an increment is estimated (variational.py).

Two presets:

    preset     data term    alpha  gamma  Gaussian   eta    median
    brox2004   joint, (1)   80     100    0.8        0.95   no        the paper's weights and its slow pyramid
    tuned      separate     8      2      0.5        0.9    5x5       Psi(brightness) + gamma Psi(gradient)

Both go down to a shorter side of 8 pixels, since the largest motion that is found is a few pixels there, and do 5
fixed points of 10 sweeps with omega = 1.85 on every level. In `tuned` each constancy may fail on its own, and a
median removes what is left of outliers after every level. gamma is not comparable between the two: with Psi apart,
100 is far too much. On noisy images (sigma 5 grey
levels) a Gaussian of 0.8 would be a tenth better in `tuned`, on clean ones it was a fifth worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from hstn_ref.flow.pairs import Progress, counter, each_pair
from hstn_ref.flow.pyramid import resize, resize_motion, sizes
from hstn_ref.flow.sweeps import median5
from hstn_ref.flow.variational import FIXED_POINTS, Weights, constancies, inside, minimise

COARSEST = 8  # pixels, the shorter side of the coarsest level


@dataclass(frozen=True)
class Preset:
    weights: Weights
    sigma: float  # of the Gaussian before all else, pixels
    eta: float  # a level's size over that of the next finer one
    median: bool  # of the motion, after every level


PRESETS = {
    "brox2004": Preset(Weights(alpha=80, gamma=100, joint=True, relaxations=10), sigma=0.8, eta=0.95, median=False),
    "tuned": Preset(Weights(alpha=8, gamma=2, joint=False, relaxations=10), sigma=0.5, eta=0.9, median=True),
}


def brox(source: Any, target: Any, *, preset: str = "tuned", progress: Progress | None = None) -> np.ndarray:
    """The motion with target(p) ~ source(p + motion(p)): the minimum of (1), found coarse to fine.

    Images (H, W) or (C, H, W) give a motion (2, H, W), batches (N, C, H, W) motions (N, 2, H, W); C is 1 or 3, both
    sides at least 8. Motions are float32, in pixels, x first. Images may have any real dtype and unit.
    `progress` is called with (work done, all work) of a pair, about evenly in time.
    `preset` is "tuned" or "brox2004". Raises ValueError for an unknown preset, images of different or unfit shapes,
    constant images, NaN and infinity; TypeError for numbers that are not real.
    """
    if preset not in PRESETS:
        raise ValueError(f"brox: preset is {preset!r}, expected one of {', '.join(PRESETS)}")
    chosen = PRESETS[preset]
    return each_pair("brox", source, target, COARSEST, lambda s, t: _coarse_to_fine(s, t, chosen, progress))


def _coarse_to_fine(source: np.ndarray, target: np.ndarray, preset: Preset, progress: Progress | None) -> np.ndarray:
    sigmas = (0, preset.sigma, preset.sigma)
    source, target = (gaussian_filter(image, sigmas, mode="nearest") for image in (source, target))
    levels = sizes(target.shape[1:], preset.eta, COARSEST)
    advance = counter(progress, FIXED_POINTS * sum(H * W for H, W in levels))
    w = np.zeros((2, *levels[0]), np.float32)
    for size in levels:
        w = resize_motion(w, size)
        rows = constancies(resize(target, size), resize(source, size), w)
        w = minimise(rows, inside(w), w, preset.weights, tick=partial(advance, size[0] * size[1]))
        if preset.median:
            w = median5(w)
    return w
