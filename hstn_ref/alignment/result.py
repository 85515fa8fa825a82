"""What an alignment found, and what follows from it: images and points warped, the inverse, areas, folds.

    p         a pixel of the target, q = p + m(p) the position of the source that shows the same
    m         the motion, m = Hx + w: an affine part and a flow, equation (3) of the paper
    L, t      Hx(p) = (L - 1)(p - c) + t, c the centre of the image

The inverse motion b leads from the source back, p = q + b(q). With w continued beyond the border as that of the nearest
pixel, and Hx by its formula, p is found by Newton's method from where w = 0,

    p <- p - J^-1 (p + m(p) - q),    J = L + dw/dp,    or J = L where the determinant of that is not positive   (1)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from autodiff import no_grad
from autodiff.ops import bilinear_sample
from hstn_ref import motion as motions
from hstn_ref.alignment.light import light
from hstn_ref.alignment.refinement import linear_part
from hstn_ref.flow.variational import inside
from hstn_ref.motion.coordinates import pixel_positions, pixels

ITERATIONS = 60  # of (1), at most
HALF = 20  # steps of (1) after which they are halved: whole ones may go to and fro over the edges between pixels
TOLERANCE = 1e-6  # pixels, of (1)

Answer = tuple[np.ndarray, np.ndarray]  # theta and flow of an Alignment


def split(motion: np.ndarray) -> Answer:
    """theta (6,) of the affine motion nearest to motion (2, H, W) by least squares, and the rest; float32."""
    _, H, W = motion.shape
    grid = pixels((H, W), "normalised", np.dtype(np.float64))  # (3, H W)
    s = np.array([[W - 1], [H - 1]]) / 2
    uv = motion.reshape(2, -1) / s
    change = np.linalg.solve(grid @ grid.T, grid @ uv.T).T  # (2, 3)
    theta = change + np.array([[1, 0, 0], [0, 1, 0]])
    rest = motion - (s * (change @ grid)).reshape(motion.shape)
    return theta.ravel().astype(np.float32), rest.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Alignment:
    """The motion with target(p) ~ source(p + motion(p)); made by `hstn_ref.align`.

    source, target  the images as they were given, (H, W) or (C, H, W)
    theta           the affine part, (6,) float32, normalised coordinates (hstn_ref/motion/coordinates.py)
    flow            what it leaves, (2, H, W) float32, pixels, x first
    """

    source: np.ndarray
    target: np.ndarray
    theta: np.ndarray
    flow: np.ndarray

    @cached_property
    def motion(self) -> np.ndarray:
        """Hx + flow, (2, H, W) float32, pixels, x first: by how much each pixel of the target reads elsewhere."""
        return motions.affine_motion(self.theta[None], self.shape).data[0] + self.flow

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)"""
        return self.flow.shape[1], self.flow.shape[2]

    @cached_property
    def matrix(self) -> np.ndarray:
        """The affine part in pixels, (2, 3) float64: (x, y, 1) of the target to (x, y) of the source."""
        (H, W), theta = self.shape, self.theta.astype(np.float64)
        c, L = np.array([W - 1, H - 1]) / 2, linear_part(theta, self.shape)
        return np.column_stack([L, theta[[2, 5]] * c + c - L @ c])  # the unit of theta is half a side, as c

    @cached_property
    def warped(self) -> np.ndarray:
        """The source as it looks in the frame of the target, float32 in the unit of the source."""
        return self.warp(self.source)

    def warp(self, image: Any, *, border: str = "edge", nearest: bool = False) -> np.ndarray:
        """Any image (H, W) or (C, H, W) of the frame of the source, in that of the target: one bilinear resampling.

        float64 stays, all else becomes float32. `border` is that of `bilinear_sample`: "edge" continues the image,
        "zeros" and "reflect" do as they say. With `nearest` the nearest pixel is read instead and the dtype stays: for
        labels and masks, which have no values between; the border is "edge" or "zeros" then.
        Raises ValueError for another shape or an unknown border.
        """
        image = np.asarray(image)
        if image.ndim not in (2, 3) or image.shape[-2:] != self.shape:
            raise ValueError(f"warp: image {image.shape}, expected (H, W) or (C, H, W) of {self.shape} pixels")
        if nearest:
            return self._nearest(image, border)
        dtype = np.float64 if image.dtype == np.float64 else np.float32
        batch = image.astype(dtype).reshape(1, -1, *self.shape)
        with no_grad():
            return bilinear_sample(batch, self.motion[None].astype(dtype), border=border).data.reshape(image.shape)

    def warp_points(self, xy: Any, *, to: str = "target") -> np.ndarray:
        """Where points (K, 2) of the source, (x, y) in pixels, lie in the target; `to="source"` leads back. float64.

        The points move as the image does: what is at q in `source` is at warp_points(q) in `warped`. Back is
        p + motion(p), the way there solves it by (1); between pixels the motion is bilinear. Points outside are moved
        too, by a guess. Raises ValueError for another shape, NaN, or another `to`.
        """
        q = np.asarray(xy, np.float64)
        if q.ndim != 2 or q.shape[1] != 2 or not np.isfinite(q).all():
            raise ValueError(f"warp_points: points {q.shape}, expected finite numbers (K, 2)")
        if to == "source":
            return (self._affine(q.T) + self._flow_at(q.T)).T
        if to != "target":
            raise ValueError(f"warp_points: to is {to!r}, expected source or target")
        return self._solved(q.T).T

    @cached_property
    def inverse(self) -> np.ndarray:
        """The motion b (2, H, W) float32, pixels, that undoes this one: source(q) ~ target(q + b(q)); (1).

        Warns with `hstn_ref.motion.NotConverged` if the motion folds, where the inverse is one of several, and where
        none was found.
        """
        if self.folding:
            warnings.warn(
                f"align: the motion folds in {self.folding:.2%} of the image, there the inverse is one of several",
                motions.NotConverged,
                stacklevel=2,
            )
        q = pixel_positions(self.shape).reshape(2, -1)
        return (self._solved(q) - q).astype(np.float32).reshape(2, *self.shape)

    @cached_property
    def jacobian_determinant(self) -> np.ndarray:
        """det(1 + dm/dp), (H, W) float32: the area of the source that a pixel of the target shows, < 0 in a fold."""
        return motions.jacobian_determinant(self.motion[None]).data[0]

    @cached_property
    def folding(self) -> float:
        """The share of squares between four pixels in which the motion folds; 0 where it can be inverted."""
        return float(motions.folding_fraction(self.motion[None])[0])

    @cached_property
    def outside(self) -> np.ndarray:
        """Which pixels of the target read beyond the border of the source: (H, W) bool."""
        return inside(self.motion) == 0

    @cached_property
    def light(self) -> tuple[float, float]:
        """Contrast and brightness (a, b), means over the channels, with target ~ a warped + b; b in the images' unit.

        Channels that are constant in either image do not count: they have no contrast to compare.
        That the light differs costs an alignment nothing, but it is part of the `residual`.
        """
        C, (H, W) = self.source.size // (self.shape[0] * self.shape[1]), self.shape
        low = min(float(image.min()) for image in (self.source, self.target))
        high = max(float(image.max()) for image in (self.source, self.target))
        unit = 255 / max(high - low, 1e-9)
        s, t = (unit * image.reshape(C, H * W).astype(np.float64) for image in (self.warped, self.target))
        varied = (np.ptp(s, axis=1) > 0) & (np.ptp(t, axis=1) > 0)
        varied |= not varied.any()
        a, b = light(s[varied], t[varied], ~self.outside.reshape(1, -1), rounds=4)
        return float(a.mean()), float(b.mean() / unit)

    @property
    def residual(self) -> float:
        """Mean |warped - target| over the pixels that are not `outside`, in the unit of the images."""
        return self._difference(self.warped)

    @property
    def residual_before(self) -> float:
        """Mean |source - target| over the same pixels."""
        return self._difference(self.source)

    @cached_property
    def correlation(self) -> float:
        """Pearson's, of warped and target over the pixels that are not `outside`; 0 if one of them is constant there.

        Contrast and brightness leave it as it is. Every channel has a mean of its own.
        """
        s, t = (
            image.reshape(-1, *self.shape)[:, ~self.outside].astype(np.float64) for image in (self.warped, self.target)
        )
        s, t = (x - x.mean(axis=1, keepdims=True) for x in (s, t))
        most = np.sqrt(np.sum(s**2) * np.sum(t**2))
        return float(np.sum(s * t) / most) if most > 0 else 0.0

    def _difference(self, image: np.ndarray) -> float:
        difference = abs(image.astype(np.float64) - self.target)
        return float(difference[..., ~self.outside].mean())

    def _affine(self, p: np.ndarray) -> np.ndarray:
        return self.matrix[:, :2] @ p + self.matrix[:, 2:]

    def _nearest(self, image: np.ndarray, border: str) -> np.ndarray:
        if border not in ("edge", "zeros"):
            raise ValueError(f"warp: border is {border!r}, expected edge or zeros with nearest")
        H, W = self.shape
        x, y = np.rint(self.motion + pixel_positions(self.shape)).astype(np.int64)
        warped = image[..., y.clip(0, H - 1), x.clip(0, W - 1)]
        if border == "zeros":
            warped[..., (x < 0) | (x >= W) | (y < 0) | (y >= H)] = 0
        return warped

    def _flow_at(self, p: np.ndarray, derivative: tuple[int, int] = (0, 0)) -> np.ndarray:
        """w at positions (2, K), or its derivative along x, (1, 0), or y, (0, 1): (2, K)."""
        K = p.shape[1]
        motion = p - np.stack([np.arange(K), np.zeros(K)])  # from the pixels of an image of one row
        flow, motion = self.flow[None].astype(np.float64), motion.reshape(1, 2, 1, K)
        with no_grad():
            return bilinear_sample(flow, motion, border="edge", derivative=derivative).data.reshape(2, K)

    def _solved(self, q: np.ndarray) -> np.ndarray:
        """The p with p + m(p) = q for positions q (2, K): (1)."""
        L = self.matrix[:, :2]
        p = np.linalg.inv(L) @ (q - self.matrix[:, 2:])
        moving = np.arange(q.shape[1])  # positions that (1) still changes: few after some steps
        for k in range(ITERATIONS):
            at = p[:, moving]
            left = self._affine(at) + self._flow_at(at) - q[:, moving]
            J = np.stack([L[:, :1] + self._flow_at(at, (1, 0)), L[:, 1:] + self._flow_at(at, (0, 1))], axis=1)
            determinant = J[0, 0] * J[1, 1] - J[0, 1] * J[1, 0]
            J[..., determinant <= 0] = L[..., None]
            step = np.stack([J[1, 1] * left[0] - J[0, 1] * left[1], J[0, 0] * left[1] - J[1, 0] * left[0]])
            step /= J[0, 0] * J[1, 1] - J[0, 1] * J[1, 0]
            p[:, moving] = at - (step if k < HALF else step / 2)  # (1)
            moving = moving[np.hypot(*step) > TOLERANCE]
            if len(moving) == 0:
                return p
        warnings.warn(
            f"align: no inverse of the motion was found at {len(moving) / q.shape[1]:.2%} of the positions; there the "
            "inverse and the points are a guess",
            motions.NotConverged,
            stacklevel=3,
        )
        return p
