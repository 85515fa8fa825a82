"""Composition and inversion of motion fields.

A motion m moves the position p to p + m(p). Between pixels it is interpolated, and beyond the border it is that of the
nearest pixel: m(q) is the sampler, with the border "edge", applied to m. The motion of `inner` first, then `outer`, is

    (outer o inner)(p) = inner(p) + outer(p + inner(p))                                                    (14)

and the inverse b of m, with m o b = 0, is the fixed point of

    b(p) = -m(p + b(p))                                                                                    (15)

The iteration b <- b - step (b + m(p + b)) finds it if m changes slowly: with step 1, if the motions of no two positions
differ by as much as their distance. Differentiating (15), with the slopes D = dm/dp at p + b(p), a 2x2 matrix a pixel,

    db + dm(p + b) + D db = 0,      db = -(1 + D)^-1 dm(p + b)                                             (16)

so for a gradient g of b the gradient of m is -splat((1 + D)^-T g), at p + b: the implicit function theorem. It costs
one step however many the iteration took, keeps none of them, and is built from ops, so that it has gradients too.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.ops import bilinear_sample, concatenate, splat
from autodiff.tensor import Array, as_tensor, check_dtypes, record


class NotConverged(RuntimeWarning):
    """An inverse motion was not found to the tolerance."""


def compose(outer: Any, inner: Any) -> Tensor:
    """The motion of `inner` first and then `outer`, both (N, 2, H, W) in pixels: equation (14).

    An image warped by `outer`, and the result by `inner`, is the image warped once by the composition (but smoother
    for its second interpolation): backward mapping takes a position through the last warp first.
    Can be differentiated by both to any order. Raises ValueError for shapes that do not fit, TypeError for dtypes.
    """
    outer, inner = as_tensor(outer), as_tensor(inner)
    check_dtypes("compose", outer, inner)
    if outer.ndim != 4 or outer.shape[1] != 2 or outer.shape != inner.shape:
        raise ValueError(f"compose: outer {outer.shape} and inner {inner.shape}, expected (N, 2, H, W) for both")
    return inner + bilinear_sample(outer, inner, border="edge")  # (14)


def inverse(motion: Any, *, step: float = 1.0, iterations: int = 200, tolerance: float | None = None) -> Tensor:
    """The motion b (N, 2, H, W), in pixels, that `motion` (N, 2, H, W) undoes: compose(motion, b) is zero; (15), (16).

    step        s of the iteration, which converges if |1 - s A| < 1 for the eigenvalues of A = 1 + dm/dp: with 1 for
                rotations below 60 degrees and enlargements of positions below 2, with 0.5, slower, below 75 and 4.
    tolerance   pixels, within which every position must come back; left out, 8 roundings of the largest position
    iterations  at most

    Where the iteration does not reach the tolerance, it warns with `NotConverged` and the distance that is left, and
    returns where it has come to; a motion that folds (`folding_fraction`) has no inverse. Any motion's inverse is of
    little use where p + b(p) lies outside the image, since there the motion is a guess.

    Can be differentiated to any order. Raises ValueError for shapes that do not fit, TypeError for dtypes.
    """
    motion = as_tensor(motion)
    check_dtypes("inverse", motion)
    if motion.ndim != 4 or motion.shape[1] != 2 or motion.size == 0:
        raise ValueError(f"inverse: motion has shape {motion.shape}, expected (N, 2, H, W), none of them 0")
    if tolerance is None:
        tolerance = 8 * float(np.finfo(motion.dtype).eps) * max(motion.shape[2:])
    b = np.zeros_like(motion.data)
    with no_grad():
        for k in range(iterations + 1):
            residual = compose(motion, b).data
            if np.abs(residual).max() <= tolerance:
                break
            if k < iterations:
                b = b - motion.dtype.type(step) * residual  # towards (15)
        else:
            distances = inverse_residual(motion, b)
            n = int(np.argmax(distances))
            warnings.warn(
                f"inverse: after {iterations} iterations a position of image {n} comes back {distances[n]:.3g} pixels "
                f"from where it was, tolerance {tolerance:.2g}; does the motion fold, or need a smaller step?",
                NotConverged,
                stacklevel=2,
            )
    return _implicit(motion, b)


def inverse_residual(motion: Any, inverse: Any) -> np.ndarray:
    """By how many pixels, at most, a position taken through `inverse` and then `motion` misses itself: (N,)."""
    with no_grad():
        u, v = np.moveaxis(compose(motion, inverse).data, 1, 0)
    return np.hypot(u, v).max(axis=(1, 2))


def _implicit(motion: Tensor, b: Array) -> Tensor:
    """The solution b of (15) with its gradient, equation (16)."""

    def vjp(g: Tensor) -> Tensor:
        moved = _implicit(motion, b)
        D_x, D_y = (bilinear_sample(motion, moved, border="edge", derivative=d) for d in ((1, 0), (0, 1)))
        u_x, v_x, u_y, v_y = D_x[:, :1], D_x[:, 1:], D_y[:, :1], D_y[:, 1:]
        g_u, g_v = g[:, :1], g[:, 1:]
        determinant = (u_x + 1) * (v_y + 1) - u_y * v_x
        solved = concatenate([(v_y + 1) * g_u - v_x * g_v, (u_x + 1) * g_v - u_y * g_u], axis=1) / determinant
        return -splat(solved, moved, b.shape[2:], border="edge")  # (16)

    return record(b, (motion, vjp))
