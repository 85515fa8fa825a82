"""The flow part of an alignment: what the affine motion leaves, by Gauss-Newton, coarse to fine.

    S, T      source and target, C channels, 0..255, smoothed by a Gaussian of 0.5 pixels
    Hx        the affine motion, which stays; w = (u, v) the flow
    m(p)      1 where p + Hx(p) + w(p) is inside the source, otherwise 0

    E(w) = sum_p m Psi( |S(p + Hx + w) - T(p)|^2 ) + gamma m Psi( |grad S(p + Hx + w) - grad T(p)|^2 )
         + alpha sum_p Psi( |grad u|^2 + |grad v|^2 ),        Psi(s2) = sqrt(s2 + 0.001^2)                   (1)

This is the energy of `hstn_ref.flow.brox` but for one thing: only w is held smooth, so a rotation or an enlargement
costs nothing. The source is read once, at the sum, equation (3) of the paper. w is a motion in the frame of the source,
the warped source lies in that of the target: with L the linear part of p + Hx, and as long as w changes slowly,

    grad S (p + Hx + w) = L^-T grad [S(p + Hx + w)]                                                        (2)

is what the data terms change by with w. A level is solved as variational.py says, and a 5x5 median removes outliers
from w after each. Before each, the source is brought into the light of the target
(light.py), as far as the motion of the coarser level matches the two.

Beyond ENOUGH pixels a level brings no accuracy that the images have; w is enlarged from there, which bounds memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from hstn_ref.alignment.light import light
from hstn_ref.flow.pyramid import resize, resize_motion, sizes
from hstn_ref.flow.sweeps import median5, warp
from hstn_ref.flow.variational import Weights, constancies, inside, minimise
from hstn_ref.motion import affine_motion

WEIGHTS = Weights(alpha=4, gamma=2, joint=False, relaxations=10)
SIGMA = 0.5  # of the Gaussian, pixels
ETA = 0.9  # a level's size over that of the next finer one
COARSEST = 16  # pixels, the shorter side of the coarsest level
ENOUGH = 1 << 20  # pixels of the finest level that is solved


def refinement_levels(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes of the levels, coarse to fine."""
    levels = sizes(shape, ETA, COARSEST)
    return [size for size in levels if size[0] * size[1] <= ENOUGH] or levels[:1]


def refined(source: np.ndarray, target: np.ndarray, theta: np.ndarray, tick: Callable[[], None]) -> np.ndarray:
    """The flow (2, H, W) float32, pixels, that minimises (1) for theta (6,); images (C, H, W) float32, 0..255.

    `tick` is called after every level.
    """
    shape = target.shape[1:]
    source, target = (gaussian_filter(image, (0, SIGMA, SIGMA), mode="nearest") for image in (source, target))
    levels = refinement_levels(shape)
    w = np.zeros((2, *levels[0]), np.float32)
    for size in levels:
        w = resize_motion(w, size)
        motion = affine_motion(theta[None], size).data[0] + w
        still, moving = resize(target, size), resize(source, size)
        rows = constancies(still, in_the_light_of(still, moving, motion), motion)
        back = np.linalg.inv(linear_part(theta, size)).T.astype(np.float32)
        rows[:, :, :2] = np.einsum("ij,ckjhw->ckihw", back, rows[:, :, :2])  # (2)
        w = median5(minimise(rows, inside(motion), w, WEIGHTS))
        tick()
    return w if w.shape[1:] == shape else resize_motion(w, shape)


def linear_part(theta: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """L of an affine motion in images of `size`, (2, 2), in pixels."""
    s = np.array([size[1] - 1, size[0] - 1])
    return theta.reshape(2, 3)[:, :2] * s[:, None] / s


def in_the_light_of(target: np.ndarray, source: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The source (C, H, W) with the contrast and the brightness of the target, as far as `motion` matches the two."""
    C = len(source)
    warped, seen = warp(source, motion), inside(motion)
    a, b = light(warped.reshape(C, -1), target.reshape(C, -1), seen.reshape(1, -1), rounds=4)
    return a[..., None] * source + b[..., None]
