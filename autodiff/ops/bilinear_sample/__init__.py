"""bilinear_sample: read images at moved positions. The mathematics is in reference.py.

Two ops make a family that holds its own derivatives: the vjps of `_sample` and `_splat` are each other, or
themselves at a higher order.
"""

from __future__ import annotations

import numpy as np

from ... import backend, kinks
from ...tensor import Array, Tensor, as_tensor, check_dtypes, record
from ..shape import concatenate

BORDERS = ("zeros", "edge", "reflect")


def bilinear_sample(image: Tensor | Array, motion: Tensor | Array, *, border: str = "zeros") -> Tensor:
    """Warp images by backward mapping: output pixel p takes the value of the image at p + motion(p).

    image (N, C, H, W), motion (N, 2, I, J) in pixels -> (N, C, I, J), the size of the motion.

    motion[:, 0] points along x (columns), motion[:, 1] along y (rows). Pixel centres are at integers, so a
    motion of zero returns the image bit for bit. Beyond the image

        "zeros"      there are zeros,
        "edge"       positions are clamped to the image,
        "reflect"    positions are mirrored about the centres of the border pixels.

    The result can be differentiated by both inputs to any order. Where a position is an integer it has a kink
    in the motion, and the derivative is the one from the right (floor convention): image[x + 1] - image[x].
    A NaN position gives NaN; no position, however far, reads outside the image.

    Source: Jaderberg et al. 2015, equation (5), which the HSTN paper's equation (6) must mean (reference.py).

    Raises ValueError for shapes that do not fit or an unknown border, TypeError for dtypes.
    """
    image, motion = as_tensor(image), as_tensor(motion)
    check_dtypes("bilinear_sample", image, motion)
    if image.ndim != 4 or motion.ndim != 4 or motion.shape[:2] != (image.shape[0], 2):
        raise ValueError(
            f"bilinear_sample: image {image.shape} and motion {motion.shape} do not fit, "
            "expected (N, C, H, W) and (N, 2, I, J)"
        )
    if 0 in image.shape[2:]:
        raise ValueError(f"bilinear_sample: image {image.shape} has no pixels")
    if border not in BORDERS:
        raise ValueError(f"bilinear_sample: unknown border {border!r}, expected one of {', '.join(BORDERS)}")
    kinks.note("integer position in bilinear_sample", lambda: _cell(motion.data.real, image.shape[2:], border))
    return _sample(image, motion, 0, 0, border)


def _sample(image: Tensor, motion: Tensor, a: int, b: int, border: str) -> Tensor:
    """Equation (1): the image at the moved positions, differentiated a times along x and b times along y."""
    size = image.shape[2:]
    kernels = backend.choose(__name__, image.data)
    return record(
        kernels.sample(image.data, motion.data, a, b, border),
        (image, lambda g: _splat(g, motion, size, a, b, border)),
        (motion, lambda g: _motion_gradient(g, image, motion, a, b, border)),
    )


def _cell(motion: Array, size: tuple[int, ...], border: str) -> Array:
    """The integers below the moved positions, (N, 2, I, J); far outside, where nothing changes, all are one cell."""
    (H, W), (I, J) = size, motion.shape[2:]
    x = np.arange(J)
    y = np.arange(I)[:, None]
    cell = np.floor(np.stack([motion[:, 0] + x, motion[:, 1] + y], axis=1))
    return cell if border == "reflect" else np.clip(cell, -2, np.reshape([W, H], (2, 1, 1)))


def _splat(g: Tensor, motion: Tensor, size: tuple[int, ...], a: int, b: int, border: str) -> Tensor:
    """Equation (4), the adjoint of `_sample` to its image."""
    kernels = backend.choose(__name__, g.data)
    return record(
        kernels.splat(g.data, motion.data, size, a, b, border),
        (g, lambda gi: _sample(gi, motion, a, b, border)),
        (motion, lambda gi: _motion_gradient(g, gi, motion, a, b, border)),
    )


def _motion_gradient(g: Tensor, image: Tensor, motion: Tensor, a: int, b: int, border: str) -> Tensor:
    """Equation (5): the gradient of <sample(image), g> = <image, splat(g)> to the motion."""

    def component(a, b):
        if a > 1 or b > 1:
            return Tensor(np.zeros_like(motion.data[:, :1]))
        return (g * _sample(image, motion, a, b, border)).sum(axis=1, keepdims=True)

    return concatenate([component(a + 1, b), component(a, b + 1)], axis=1)
