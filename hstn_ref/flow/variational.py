"""One level of a variational flow: from an energy to a linear system, and its solution. Used by brox and ldof.

    I1, I2      target and source, C channels; p a pixel; w = (u, v) the motion, target(p) ~ source(p + w(p))
    w0          the motion at the start, dw = w - w0 = (du, dv)
    m           1 where p + w0(p) is inside the image, otherwise 0
    Psi(s2)     sqrt(s2 + EPS^2), a rounded |s|

**Linearise.** With I2w(p) = I2(p + w0(p)), G = (I1 + I2w)/2 and Iz = I2w - I1, the three constancy assumptions of a
channel are rows (a, b, z), each with a residual that is linear in the increment:

    brightness       r_0 = Iz  + G_x  du + G_y  dv
    gradient, x      r_1 = Iz_x + G_xx du + G_xy dv                     r_k = z_k + a_k du + b_k dv          (1)
    gradient, y      r_2 = Iz_y + G_xy du + G_yy dv

I2w is read by cubic convolution. It is differentiated, not the derivatives of I2 warped: the gradient of I2(p + w(p))
is comparable to that of I1 where w turns or stretches. Derivatives are (1, -8, 0, 8, -1)/12, border repeated.   (2)

**Minimise** the sum over the pixels, with sums over the channels divided by C,

    joint       m Psi( r_0^2 + gamma (r_1^2 + r_2^2) )             + alpha Psi( |grad u|^2 + |grad v|^2 )    (3)
    separate    m Psi( r_0^2 ) + gamma m Psi( r_1^2 + r_2^2 )      + alpha Psi( |grad u|^2 + |grad v|^2 )    (4)

**Lag the nonlinearity.** With Psi' (up to the factor 2) taken at the last w, the energy is quadratic and its minimum
solves, at every pixel i with neighbours j in N,

    g_ij = alpha / sqrt( |grad u|^2 + |grad v|^2 + EPS^2 )  on the edge ij: the difference of its two ends, and
           along it the mean of their central differences; no edge leaves the image                          (5)
    p_0  = m / sqrt( r_0^2 + gamma (r_1^2 + r_2^2) + EPS^2 ),  p_1 = p_2 = gamma p_0              joint       (6)
    p_0  = m / sqrt( r_0^2 + EPS^2 ),  p_1 = p_2 = m gamma / sqrt( r_1^2 + r_2^2 + EPS^2 )        separate
    A11  = sum_k p_k a_k^2,   A12 = sum_k p_k a_k b_k,   A22 = sum_k p_k b_k^2                               (7)
    c    = A w0 - sum_k p_k z_k (a_k, b_k)

    (A11 + sum_N g_ij) u_i + A12 v_i = c1_i + sum_N g_ij u_j                                                 (8)
    (A22 + sum_N g_ij) v_i + A12 u_i = c2_i + sum_N g_ij v_j

The unknown is w itself, not dw: then the smoothness has no right-hand side of its own. The matrix is symmetric and
positive semi-definite. It is solved by successive over-relaxation in red-black order, in which the pixels of a colour
do not depend on each other, so that it does not matter in which direction the image is walked through.

**Matches.** Where a motion w1 is known from elsewhere, with a weight beta, the energy has one more term (ldof.py),
and (7) gains

    beta Psi( |w - w1|^2 )                                                                               (9)
    s = beta / sqrt( |w - w1|^2 + EPS^2 ):    A11 += s,   A22 += s,   c += s w1                           (10)

Source: Brox, Bruhn, Papenberg, Weickert (2004), equations (8) to (14) of their section 3 and the lagged scheme there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

from hstn_ref.flow import sweeps

EPS = 1e-3  # of Psi, in grey levels and in pixels
STENCIL = np.array([1, -8, 0, 8, -1]) / 12  # (2)


FIXED_POINTS = 5  # times that (5) to (7) are computed
OMEGA = 1.85  # over-relaxation


@dataclass(frozen=True)
class Weights:
    """The energy (3) or (4), and how hard (8) is worked on."""

    alpha: float  # smoothness
    gamma: float  # gradient constancy
    joint: bool  # (3), otherwise (4)
    relaxations: int  # sweeps for every fixed point


@dataclass(frozen=True)
class Matches:
    """Positions whose motion is known, more or less: what ldof adds to the energy."""

    motion: np.ndarray  # (2, H, W), pixels
    weight: np.ndarray  # (H, W), 0 where nothing is known


def derivative(image: np.ndarray, axis: int) -> np.ndarray:
    """The derivative of images along an axis, (2)."""
    return correlate1d(image, STENCIL, axis, mode="nearest")


def inside(motion: np.ndarray) -> np.ndarray:
    """m: whether p + motion(p) is inside the image, (H, W), 1 or 0 in the dtype of the motion."""
    _, H, W = motion.shape
    x, y = np.arange(W, dtype=motion.dtype) + motion[0], np.arange(H, dtype=motion.dtype)[:, None] + motion[1]
    return ((x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1)).astype(motion.dtype)


def constancies(target: np.ndarray, source: np.ndarray, w0: np.ndarray) -> np.ndarray:
    """The rows (a, b, z) of (1), divided by sqrt(C): images (C, H, W) -> (C, 3, 3, H, W)."""
    warped = sweeps.warp(source, w0)
    mean, z = (target + warped) / 2, warped - target
    x, y = derivative(mean, 2), derivative(mean, 1)
    xx, xy, yy = derivative(x, 2), derivative(x, 1), derivative(y, 1)
    rows = np.stack([x, y, z, xx, xy, derivative(z, 2), xy, yy, derivative(z, 1)], axis=1)  # (1)
    C, _, H, W = rows.shape
    rows /= np.sqrt(target.dtype.type(C))  # in place: they are the largest array of all
    return rows.reshape(C, 3, 3, H, W)


def minimise(
    rows: np.ndarray,
    mask: np.ndarray,
    w0: np.ndarray,
    weights: Weights,
    matches: Matches | None = None,
    *,
    tick: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The motion (2, H, W) that minimises (3) or (4), and (9) where there are matches, from w0.

    `tick` is called after each of the FIXED_POINTS.
    """
    w = w0.copy()
    for _ in range(FIXED_POINTS):
        gx, gy = sweeps.diffusivity(w, weights.alpha, EPS)
        system = sweeps.data_term(rows, mask, w, w0, weights.gamma, weights.joint, EPS)
        if matches is not None:
            s = matches.weight / np.sqrt(np.sum((w - matches.motion) ** 2, axis=0) + np.float32(EPS**2))
            system[[0, 2]] += s  # A11 and A22
            system[3:] += s * matches.motion  # (10)
        sweeps.relax(w, system, gx, gy, weights.relaxations, OMEGA)
        tick()
    return w
