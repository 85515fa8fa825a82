"""x"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from hstn_ref.flow.pairs import each_pair
from hstn_ref.flow.pyramid import resize, resize_motion, sizes
from hstn_ref.flow.sweeps import median5
from hstn_ref.flow.variational import Weights, constancies, inside, minimise

SMOOTHING = 0.8  # pixels, sigma of the Gaussian before all else
COARSEST = 8  # pixels, the shorter side of the coarsest level


@dataclass(frozen=True)
class Preset:
    weights: Weights
    eta: float  # a level's size over that of the next finer one
    median: bool  # 5x5, of the motion, after every level


PRESETS = {
    "brox2004": Preset(Weights(80, 100, True, 5, 10, 1.85), 0.95, False),
    "tuned": Preset(Weights(8, 2, False, 5, 10, 1.85), 0.9, True),
}


def brox(source: Any, target: Any, *, preset: str = "tuned") -> np.ndarray:
    chosen = PRESETS[preset]
    return each_pair("brox", source, target, COARSEST, lambda s, t: coarse_to_fine(s, t, chosen))


def coarse_to_fine(source, target, preset):
    source, target = (gaussian_filter(image, (0, SMOOTHING, SMOOTHING), mode="nearest") for image in (source, target))
    levels = sizes(target.shape[1:], preset.eta, COARSEST)
    w = np.zeros((2, *levels[0]), np.float32)
    for size in levels:
        w = resize_motion(w, size)
        w = minimise(constancies(resize(target, size), resize(source, size), w), inside(w), w, preset.weights)
        if preset.median:
            w = median5(w)
    return w
