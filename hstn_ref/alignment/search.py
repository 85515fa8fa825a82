"""The affine part of an alignment: Adam on six parameters, from many starts at once, coarse to fine.

    S, T      source and target of one level of a pyramid, C channels, 0..255
    Hx        the motion of theta, equation (5) of the paper
    a, b      contrast and brightness that make S(p + Hx) look like T, a number a channel (light.py)
    d(p)      a S(p + Hx(p)) + b - T(p)
    m(p)      1 where p + Hx(p) is inside the source, otherwise 0

    E(theta) = sum_p m Psi(d^2) / sum_p m  +  the same of grad d,     Psi(s2) = sqrt(s2 + 1)              (1)

a and b follow from theta and are constants in the gradient. The mean is over what overlaps, and counts as infinite
where less than half of the target does: nothing would fit better than nothing. (1) has many minima, so on the coarsest
level every combination of

    rotation by -40, -30, ..., 40 degrees, shift by -2, -1, 0, 1 or 2 tenths of both sides

is a start. Where an answer is known already, the starts are its affine motion after each of a few smaller ones. All
are steps of one batch; after each level only the best stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from autodiff import Tensor, enable_grad, no_grad
from autodiff.ops import bilinear_sample, sqrt
from autodiff.optim import Adam
from hstn_ref.alignment.light import light
from hstn_ref.flow.pyramid import resize, sizes
from hstn_ref.flow.variational import inside
from hstn_ref.motion import affine_motion, compose_theta

ANGLES = range(-40, 41, 10)  # degrees
SHIFTS = (-0.4, -0.2, 0, 0.2, 0.4)  # in normalised coordinates, where a side is 2 long
NEAR_ANGLES, NEAR_SHIFTS = (-10, 0, 10), (-0.15, 0, 0.15)  # the same around an answer
COARSEST = 16  # pixels, the shorter side of the coarsest level
LARGEST = 128  # pixels: a level with a longer shorter side is left out, the flow does the rest
KEPT = (12, 4, 2, 1)  # starts that stay after each level
STEPS = 60  # of Adam on every level
RATE = 0.02  # its learning rate on the coarsest level, halved from level to level
OVERLAP = 0.5  # the least share of the target that must be inside the source


def affine_search(source: np.ndarray, target: np.ndarray, thetas: np.ndarray, tick: Callable[[], None]) -> np.ndarray:
    """The theta (6,) that minimises (1), normalised coordinates, float32; images (C, H, W) float32, 0..255.

    It descends from thetas (K, 6), see `starts`. `tick` is called after every level. Raises ValueError where no start
    keeps enough overlap.
    """
    for k, size in enumerate(search_levels(target.shape[1:])):
        thetas, energies = _descend(resize(source, size), resize(target, size), thetas, RATE / 2**k)
        order = np.argsort(energies, kind="stable")[: KEPT[min(k, len(KEPT) - 1)]]
        thetas = thetas[order]
        if not np.isfinite(energies[order[0]]):
            raise ValueError("align: no affine motion was found under which half of the target lies in the source")
        tick()
    return thetas[0]


def search_levels(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes of the levels, coarse to fine."""
    levels = sizes(shape, 0.5, COARSEST)
    return [size for size in levels if min(size) <= LARGEST]


def starts(shape: tuple[int, int], angles: Sequence[float] = ANGLES, shifts: Sequence[float] = SHIFTS) -> np.ndarray:
    """Rotations about the centre, rigid in pixels, and shifts: (K, 6) float32 in normalised coordinates."""
    aspect = max(shape[0] - 1, 1) / max(shape[1] - 1, 1)
    thetas = []
    for angle in np.deg2rad(angles):
        c, s = np.cos(angle), np.sin(angle)
        thetas += [(c, -s * aspect, x, s / aspect, c, y) for y in shifts for x in shifts]
    return np.array(thetas, np.float32)


def starts_near(theta: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """theta (6,) after each of some rotations and shifts: (K, 6) float32."""
    near = starts(shape, NEAR_ANGLES, NEAR_SHIFTS)
    return compose_theta(np.repeat(theta[None], len(near), axis=0), near).data


@enable_grad()  # whoever aligns under no_grad means his own graph
def _descend(source: np.ndarray, target: np.ndarray, thetas: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The thetas (K, 6) after Adam, and (1) for each, (K,)."""
    theta = Tensor(thetas, requires_grad=True)
    sources = np.repeat(source[None], len(thetas), axis=0)
    adam = Adam([theta], lr=rate, betas=(0.9, 0.99))
    for step in range(STEPS):
        adam.lr = rate * (1 - step / STEPS)
        adam.zero_grad()
        energy(sources, target, theta)[0].sum().backward()
        adam.step()
    with no_grad():
        energies, overlap = energy(sources, target, theta)
    return theta.data, np.where(overlap < OVERLAP, np.inf, energies.data)


def energy(sources: np.ndarray, target: np.ndarray, theta: Tensor) -> tuple[Tensor, np.ndarray]:
    """(1) for sources (K, C, H, W), one target (C, H, W) and theta (K, 6): (K,), and the share that overlaps, (K,)."""
    w = affine_motion(theta, target.shape[1:])
    m = np.stack([inside(motion) for motion in w.data])
    warped = bilinear_sample(sources, w, border="edge")
    K, C = sources.shape[:2]
    a, b = light(warped.data.reshape(K, C, -1), target.reshape(C, -1), m.reshape(K, 1, -1), rounds=2)
    d = warped * a[..., None] + (b[..., None] - target)
    x, y = d[:, :, :-1, 1:] - d[:, :, :-1, :-1], d[:, :, 1:, :-1] - d[:, :, :-1, :-1]
    corner = m[:, :-1, :-1] * m[:, :-1, 1:] * m[:, 1:, :-1]
    means = [
        (sqrt((square).sum(axis=1) + 1) * mask).sum(axis=(1, 2)) / np.maximum(mask.sum(axis=(1, 2)), 1)
        for square, mask in ((d * d, m), (x * x + y * y, corner))
    ]
    return means[0] + means[1], m.mean(axis=(1, 2))  # (1)
