"""Pairs of images whose motion is known: an affine motion plus an elastic one, at random.

    p           a pixel (x, y) of the target, c the centre of the target
    L, t        linear part and translation of the affine motion
    e           the elastic motion, a smooth random field
    w           the motion: target(p) = source(p + w(p))

    w(p) = (L - 1)(p - c) + t + e(p)                                                                   (1)
    L    = s R(angle) [1 k; 0 1]             scale s, rotation R, shear k                              (2)
    e    = a G_sigma * n,   n uniform in (-1, 1)^2 at every pixel, a such that the mean of |e|^2 is rms^2   (3)

(3) is the field of Simard, Steinkraus and Platt (2003), parameterised by what one sees, the root-mean-square
displacement in pixels, instead of by the factor a. The source is a window of a larger image, the canvas, and the
target is sampled from the canvas at p + w(p): one interpolation, so w is exact. A field for which not everywhere

    |L^-1 de/dp| < 0.9    (the largest singular value)                                                   (4)

with differences to the next pixel for de/dp, is drawn again: then det(1 + dw/dp) = det L det(1 + L^-1 de/dp) > 0,
nothing folds (where sigma is about a pixel, differences to the pixel before may be others, and fold), and the motion
of the other direction, source(q) = target(q + v(q)), is found by fixed point, q + v(q) = y with

    y = c + L^-1 (q - c - t - e(y))                                                                      (5)

Since source and target may trade places, one pair serves both readings, "the target is deformed" and "the source is".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.ops import bilinear_sample
from hstn_ref.deformation import Deformation
from hstn_ref.motion.coordinates import pixel_positions

MARGIN = 4  # sigmas: how far the elastic field reaches beyond the target on every side, so that (5) finds it there
DRAWS = 100  # of fields, until one does not fold
SLOPE = 0.9  # of (4)
TOLERANCE = 1e-6  # pixels, of (5)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images (C, H, W) and the motions (2, H, W) between them, in pixels, x first."""

    source: np.ndarray
    target: np.ndarray
    motion: np.ndarray  # target(p) = source(p + motion(p))
    inverse: np.ndarray  # source(q) = target(q + inverse(q))

    def swapped(self) -> Pair:
        """The same pair with source and target exchanged."""
        return Pair(self.target, self.source, self.inverse, self.motion)


def random_pair(
    canvas: np.ndarray, shape: tuple[int, int], rng: np.random.Generator, deformation: Deformation | None = None
) -> Pair:
    """A pair of images of `shape` (H, W) from the middle of `canvas` (C, h, w): equations (1) to (5).

    The images have the dtype of the canvas, integer or floating. Where p + w(p) leaves it, its edge is continued.
    Raises ValueError for a canvas smaller than `shape`, and for an elastic motion that always folds.
    """
    deformation = deformation or Deformation()
    (H, W), (h, w) = shape, canvas.shape[1:]
    if canvas.ndim != 3 or h < H or w < W:
        raise ValueError(f"random_pair: canvas {canvas.shape}, expected (C, h, w) with h >= {H} and w >= {W}")
    field = random_field(shape, rng, deformation)
    top, left = (h - H) // 2, (w - W) // 2
    motion = field.at(pixel_positions(shape))
    window = (slice(None), slice(top, top + H), slice(left, left + W))
    offset = np.array([left, top], np.float64).reshape(2, 1, 1)  # from the target's coordinates to the canvas's
    target = _sample(canvas, motion + offset)
    if canvas.dtype.kind in "ui":
        target = np.rint(target)
    return Pair(canvas[window].copy(), target.astype(canvas.dtype), motion, inverse_motion(field))


@dataclass(frozen=True, eq=False)
class Field:
    """The motion (1) of a target of `shape`, which can be asked at any position."""

    shape: tuple[int, int]
    linear: np.ndarray  # L - 1, (2, 2)
    shift: np.ndarray  # t, (2,)
    elastic: np.ndarray  # e on the pixels of the target and `margin` pixels around it, (2, H + 2 m, W + 2 m)
    margin: int

    def at(self, positions: np.ndarray) -> np.ndarray:
        """w at positions (2, I, J), x first: (2, I, J). Between pixels e is bilinear, beyond its margin constant."""
        return self._affine(positions) + self.elastic_at(positions)  # (1)

    def at_pixels(self) -> np.ndarray:
        """w at the pixels of the target, (2, H, W)."""
        (H, W), m = self.shape, self.margin
        return self._affine(pixel_positions(self.shape)) + self.elastic[:, m : m + H, m : m + W]  # (1)

    def _affine(self, positions: np.ndarray) -> np.ndarray:
        H, W = self.shape
        centre = np.array([(W - 1) / 2, (H - 1) / 2]).reshape(2, 1, 1)
        return np.tensordot(self.linear, positions - centre, 1) + self.shift.reshape(2, 1, 1)

    def elastic_at(self, positions: np.ndarray) -> np.ndarray:
        """e at positions (2, I, J): (2, I, J)."""
        return _sample(self.elastic, positions + self.margin - pixel_positions(positions.shape[1:]))


def random_field(
    shape: tuple[int, int], rng: np.random.Generator, deformation: Deformation, *, margin: int | None = None
) -> Field:
    """An affine plus elastic motion that does not fold: equations (2) to (4).

    `margin` is that of the elastic motion, MARGIN sigmas unless told; 0 is enough, and quick, without (5).
    Raises ValueError if none of a hundred does.
    """
    H, W = shape
    margin = int(np.ceil(MARGIN * deformation.sigma)) if margin is None else margin
    for _ in range(DRAWS):
        ranges = np.array([np.radians(deformation.rotation), deformation.shear, deformation.scale])
        angle, k, growth = rng.uniform(-1, 1, 3) * ranges
        s, cos, sin = 1 + growth, np.cos(angle), np.sin(angle)
        linear = s * np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, k], [0, 1]])  # (2)
        shift = deformation.shift * rng.uniform(-1, 1, 2) * (W, H)
        elastic = random_elastic((H + 2 * margin, W + 2 * margin), rng, deformation.rms, deformation.sigma)
        field = Field(shape, linear - np.eye(2), shift, elastic, margin)
        if _slope(field) < SLOPE:  # (4)
            return field
    raise ValueError(
        f"random_field: an elastic motion of {deformation.rms} pixels root-mean-square with sigma {deformation.sigma} "
        f"folds, or almost, in all of {DRAWS} draws, expected a smaller ratio of the two"
    )


def random_elastic(shape: tuple[int, int], rng: np.random.Generator, rms: float, sigma: float) -> np.ndarray:
    """The elastic motion (2, H, W) of equation (3). Raises ValueError unless rms >= 0 and sigma > 0."""
    from scipy.ndimage import gaussian_filter

    if not (rms >= 0 and sigma > 0):
        raise ValueError(f"random_elastic: rms is {rms} and sigma {sigma}, expected rms >= 0 and sigma > 0")
    e = gaussian_filter(rng.uniform(-1, 1, (2, *shape)), (0, sigma, sigma), mode="reflect")
    return e * (rms / np.sqrt(np.mean(np.sum(e * e, axis=0))))  # (3)


def inverse_motion(field: Field) -> np.ndarray:
    """The motion v (2, H, W) of equation (5), to a millionth of a pixel."""
    H, W = field.shape
    centre, shift = np.array([(W - 1) / 2, (H - 1) / 2]).reshape(2, 1, 1), field.shift.reshape(2, 1, 1)
    inverse = np.linalg.inv(field.linear + np.eye(2))
    q = pixel_positions(field.shape)
    y, before = q, q + 1
    while abs(y - before).max() > TOLERANCE:
        before, y = y, centre + np.tensordot(inverse, q - centre - shift - field.elastic_at(y), 1)  # (5)
    return y - q


def _slope(field: Field) -> float:
    """The largest singular value of L^-1 de/dp, with differences to the next pixel: the left side of (4)."""
    e = field.elastic
    d = np.stack([np.diff(e, axis=2)[:, :-1], np.diff(e, axis=1)[:, :, :-1]], axis=1)  # of component i along axis j
    d = np.einsum("ik,kjyx->yxij", np.linalg.inv(field.linear + np.eye(2)), d)
    # The squares of both singular values have the sum |d|^2 and the product det^2.
    total, determinant = np.sum(d * d, axis=(2, 3)), d[..., 0, 0] * d[..., 1, 1] - d[..., 0, 1] * d[..., 1, 0]
    return float(np.sqrt((total + np.sqrt(np.maximum(total**2 - 4 * determinant**2, 0))) / 2).max())


def _sample(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """image (C, h, w) read at p + motion(p), (C, H, W) float64; its edge is continued."""
    with no_grad():
        sampled = bilinear_sample(Tensor(image.astype(np.float64)[None]), Tensor(motion[None]), border="edge")
    return sampled.data[0]
