"""max_pool2d: the largest pixel of every window. The mathematics is in reference.py."""

from __future__ import annotations

from ... import backend, kinks
from ...tensor import Array, Tensor, as_tensor, check_dtypes, record
from ..conv2d import normal_options, normal_pair
from ..relu import rectified

Pair = int | tuple[int, int]


def max_pool2d(
    x: Tensor | Array,
    size: Pair,
    *,
    stride: Pair | None = None,
    padding: str | Pair | tuple[tuple[int, int], tuple[int, int]] = 0,
    rectify: bool = False,
) -> Tensor:
    """The maximum over windows of `size` pixels, `stride` apart: equation (1).

    x (N, C, H, W) -> (N, C, I, J) with I = (H + top + bottom - rows) // stride + 1 and J likewise.

    `size` and `stride` are an int or a pair (rows, columns); the stride is the size unless given. `padding`
    is an int, a pair (rows, columns), ((top, bottom), (left, right)) or, for stride 1, "same", a result of the images'
    size as in conv2d; it counts as -inf and never wins.
    Rows and columns that fill no window are left out. Of equal pixels the first in row-major order of the
    window wins and gets the gradient; a NaN in a window is its maximum. With `rectify` the result is relu(y), to the
    bit, in the same pass over the memory.

    Raises ValueError for shapes and options that do not fit, TypeError for a non-floating dtype.
    """
    x = as_tensor(x)
    check_dtypes("max_pool2d", x)
    size = normal_pair("max_pool2d", "size", size, least=1)
    stride, pads = normal_options("max_pool2d", size, size if stride is None else stride, padding)
    if x.ndim != 4:
        raise ValueError(f"max_pool2d: images have shape {x.shape}, expected (N, C, H, W)")
    (top, bottom), (left, right) = pads
    if max(top, bottom) >= size[0] or max(left, right) >= size[1]:
        raise ValueError(
            f"max_pool2d: padding {pads} must be smaller than the window {size}, so that no window is empty"
        )
    if x.shape[2] + top + bottom < size[0] or x.shape[3] + left + right < size[1]:
        raise ValueError(f"max_pool2d: images {x.shape} with padding {pads} are smaller than the window {size}")
    kernels = backend.choose(__name__, x.data)
    positions, maxima = kernels.argmax(x.data, size, stride, pads, rectify)
    kinks.note("tie in max_pool2d", lambda: positions)
    y = record(maxima, (x, lambda gy: _scatter(gy, positions, x.shape[2:])))
    return rectified(y) if rectify else y


def _gather(x: Tensor, positions: Array) -> Tensor:
    """Equation (3): the pixels at `positions`."""
    kernels = backend.choose(__name__, x.data)
    return record(kernels.gather(x.data, positions), (x, lambda gy: _scatter(gy, positions, x.shape[2:])))


def _scatter(g: Tensor, positions: Array, plane_shape: tuple[int, ...]) -> Tensor:
    """Equation (4), the adjoint of `_gather`."""
    kernels = backend.choose(__name__, g.data)
    return record(
        kernels.scatter(g.data, positions, plane_shape),
        (g, lambda gx: _gather(gx, positions)),
    )
