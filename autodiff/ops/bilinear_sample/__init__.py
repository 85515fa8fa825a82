"""bilinear_sample and splat: read images at moved positions, and write there. The mathematics is in reference.py.

The two make a family that holds its own derivatives: the vjps of `_sample` and `_splat` are each other, or
themselves at a higher order.
"""

from __future__ import annotations

import numpy as np

from ... import backend, kinks
from ...tensor import Array, Tensor, as_tensor, check_dtypes, record
from ..shape import concatenate

BORDERS = ("zeros", "edge", "reflect")
DERIVATIVES = ((0, 0), (1, 0), (0, 1))


def bilinear_sample(
    image: Tensor | Array, motion: Tensor | Array, *, border: str = "zeros", derivative: tuple[int, int] = (0, 0)
) -> Tensor:
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

    `derivative` (1, 0) reads the slope of the interpolated image along x instead of its value, (0, 1) that along y.

    Source: Jaderberg et al. 2015, equation (5), which the HSTN paper's equation (6) must mean (reference.py).

    Raises ValueError for shapes that do not fit, an unknown border or derivative, TypeError for dtypes.
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
    _check_border("bilinear_sample", border)
    if derivative not in DERIVATIVES:
        known = ", ".join(map(str, DERIVATIVES))
        raise ValueError(f"bilinear_sample: unknown derivative {derivative!r}, expected one of {known}")
    kinks.note("integer position in bilinear_sample", lambda: _cell(motion.data.real, image.shape[2:], border))
    return _sample(image, motion, *derivative, border)


def splat(values: Tensor | Array, motion: Tensor | Array, size: tuple[int, int], *, border: str = "zeros") -> Tensor:
    """Add values to images at moved positions: forward mapping, the adjoint of `bilinear_sample` to its image.

    values (N, C, I, J), motion (N, 2, I, J) in pixels -> images (N, C, H, W) of `size` (H, W). The value at p is
    added to the four pixels around p + motion(p), with the weights with which the sampler reads them: equation (4).
    The result can be differentiated by values and motion to any order.

    Raises ValueError for shapes that do not fit or an unknown border, TypeError for dtypes.
    """
    values, motion = as_tensor(values), as_tensor(motion)
    check_dtypes("splat", values, motion)
    if values.ndim != 4 or motion.shape != (len(values), 2, *values.shape[2:]):
        raise ValueError(
            f"splat: values {values.shape} and motion {motion.shape} do not fit, expected (N, C, I, J) and (N, 2, I, J)"
        )
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"splat: size {size}, expected (H, W) of at least 1 each")
    _check_border("splat", border)
    kinks.note("integer position in splat", lambda: _cell(motion.data.real, size, border))
    return _splat(values, motion, size, 0, 0, border)


def _check_border(op: str, border: str) -> None:
    if border not in BORDERS:
        raise ValueError(f"{op}: unknown border {border!r}, expected one of {', '.join(BORDERS)}")


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
