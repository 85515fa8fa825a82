"""2-D convolution and how gradients flow through it. The mathematics is in reference.py.

Three bilinear maps contain their own vjps, so three kernels a voice serve derivatives of every order:

        map                                 vjp to the first argument     vjp to the second
    (1) y  = conv2d(x, w)                   conv2d_adjoint(gy, w)         conv2d_weight_gradient(gy, x)
    (2) gx = conv2d_adjoint(gy, w)          conv2d(ggx, w)                conv2d_weight_gradient(gy, ggx)
    (3) gw = conv2d_weight_gradient(gy, x)  conv2d(x, ggw)                conv2d_adjoint(gy, ggw)

where ggx and ggw are the gradients to gx and gw.
"""

from __future__ import annotations

from operator import index
from typing import Any

from ... import backend
from ...tensor import Edge, Tensor, as_tensor, check_dtypes, record
from ..reduce import broadcast_to
from ..relu import rectified
from .reference import Padding, Pair


def conv2d(x, weight, bias=None, *, stride: Any = 1, padding: Any = 0, rectify: bool = False) -> Tensor:
    """y[n,k] = bias[k] + sum_c weight[k,c] * x[n,c], where * slides the filter over the image: equation (1).

    x (N, C, H, W), weight (K, C, U, V), bias (K,) -> (N, K, I, J), where I = (H + top + bottom - U) // stride + 1
    and J likewise. `stride` is an int or a pair (down, right). `padding`, with zeros, is an int, a pair (rows,
    columns), ((top, bottom), (left, right)), or "same" for a result of the images' size, which needs stride 1;
    an even kernel then gets the extra row and column at the bottom and the right. With `rectify` the result is
    relu(y), but for the sign of a zero, in the same pass over the memory.

    Raises ValueError if shapes or options do not fit, TypeError for mixed or non-floating dtypes.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    bias = None if bias is None else as_tensor(bias)
    check_operands("conv2d", x, weight, bias, weight_axes=(1, 0))
    stride, padding = normal_options("conv2d", weight.shape[2:], stride, padding)
    _check_kernel_fits(x.shape, weight.shape, padding)

    kernels = backend.choose(__name__, x.data)
    edges: list[Edge] = [
        (x, lambda gy: conv2d_adjoint(gy, weight, x.shape, stride, padding)),
        (weight, lambda gy: conv2d_weight_gradient(gy, x, weight.shape, stride, padding)),
    ]
    if bias is not None:
        edges.append((bias, conv2d_bias_gradient))
    b = None if bias is None else bias.data
    y = record(kernels.forward(x.data, weight.data, b, stride, padding, rectify), *edges)
    return rectified(y) if rectify else y


def conv2d_adjoint(
    gy: Tensor,
    weight: Tensor,
    x_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    bias: Tensor | None = None,
    rectify: bool = False,
) -> Tensor:
    """gx of equation (2), plus bias (C,): a map of gy (N, K, I, J), weight (K, C, U, V) to (N, C, H, W) = x_shape."""
    kernels = backend.choose(__name__, gy.data)
    edges: list[Edge] = [
        (gy, lambda gx: conv2d(gx, weight, stride=stride, padding=padding)),
        (weight, lambda gx: conv2d_weight_gradient(gy, gx, weight.shape, stride, padding)),
    ]
    if bias is not None:
        edges.append((bias, conv2d_bias_gradient))
    b = None if bias is None else bias.data
    x = record(kernels.gradient_x(gy.data, weight.data, x_shape, stride, padding, b, rectify), *edges)
    return rectified(x) if rectify else x


def conv2d_weight_gradient(
    gy: Tensor, x: Tensor, weight_shape: tuple[int, ...], stride: Pair, padding: Padding
) -> Tensor:
    """gw of equation (3), as a map of gy (N, K, I, J) and x (N, C, H, W) to (K, C, U, V) = weight_shape."""
    kernels = backend.choose(__name__, gy.data)
    return record(
        kernels.gradient_weight(gy.data, x.data, weight_shape, stride, padding),
        (gy, lambda gw: conv2d(x, gw, stride=stride, padding=padding)),
        (x, lambda gw: conv2d_adjoint(gy, gw, x.shape, stride, padding)),
    )


def conv2d_bias_gradient(gy: Tensor) -> Tensor:
    """Equation (4), as a map of gy (N, K, I, J) to (K,); its adjoint repeats a number over images and pixels."""
    kernels = backend.choose(__name__, gy.data)
    return record(kernels.gradient_bias(gy.data), (gy, lambda g: broadcast_to(g.reshape(-1, 1, 1), gy.shape)))


def check_operands(op: str, x: Tensor, weight: Tensor, bias: Tensor | None, weight_axes: Pair) -> None:
    """Check dtypes and shapes; weight_axes are the axes of weight that hold the inputs and the outputs."""
    check_dtypes(op, x, weight, *([] if bias is None else [bias]))
    inputs, outputs = weight_axes
    images, filters = x.shape, weight.shape
    if len(images) != 4 or len(filters) != 4:
        form = "(outputs, inputs, kh, kw)" if outputs == 0 else "(inputs, outputs, kh, kw)"
        raise ValueError(f"{op}: images {images} and weight {filters}, expected (N, C, H, W) and {form}")
    if images[0] == 0:
        raise ValueError(f"{op}: images {images} are an empty batch")
    if 0 in images or 0 in filters:
        raise ValueError(f"{op}: images {images} and weight {filters} must have no axis of size 0")
    if images[1] != filters[inputs]:
        channels = "1 channel" if images[1] == 1 else f"{images[1]} channels"
        raise ValueError(f"{op}: images {images} have {channels}, weight {filters} expects {filters[inputs]}")
    if bias is not None and bias.shape != (filters[outputs],):
        raise ValueError(f"{op}: bias {bias.shape}, weight {filters} expects ({filters[outputs]},)")


def normal_options(op: str, kernel: tuple[int, ...], stride: Any, padding: Any) -> tuple[Pair, Padding]:
    """stride as (down, right) and padding as ((top, bottom), (left, right)), for a kernel (rows, columns)."""
    stride = normal_pair(op, "stride", stride, least=1)
    if isinstance(padding, str):
        if padding != "same":
            raise ValueError(f'{op}: padding {padding!r}, expected ints or "same"')
        if stride != (1, 1):
            raise ValueError(f'{op}: padding "same" needs stride 1, got stride {stride}')
        return stride, tuple(((k - 1) // 2, k // 2) for k in kernel)  # type: ignore[return-value]
    rows, cols = (padding, padding) if _is_int(padding) else _two(op, "padding", padding)
    return stride, (normal_pair(op, "padding", rows, least=0), normal_pair(op, "padding", cols, least=0))


def normal_pair(op: str, name: str, value: Any, least: int) -> Pair:
    """An int or a pair of ints as a pair, each at least `least`."""
    if type(value) is int and value >= least:  # the usual case, in every call of every layer
        return value, value
    first, second = (value, value) if _is_int(value) else _two(op, name, value)
    if not (_is_int(first) and _is_int(second)):
        raise ValueError(f"{op}: {name} {value!r}, expected an int or a pair of ints")
    if min(first, second) < least:
        raise ValueError(f"{op}: {name} {value!r}, expected at least {least}")
    return index(first), index(second)


def _check_kernel_fits(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], padding: Padding) -> None:
    (top, bottom), (left, right) = padding
    height, width = x_shape[2] + top + bottom, x_shape[3] + left + right
    if weight_shape[2] > height or weight_shape[3] > width:
        kernel = f"{weight_shape[2]}x{weight_shape[3]}"
        raise ValueError(
            f"conv2d: the {kernel} kernel of weight {weight_shape} is larger than the padded images {(height, width)}"
        )


def _is_int(value: Any) -> bool:
    try:
        index(value)
    except TypeError:
        return False
    return True


def _two(op: str, name: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{op}: {name} {value!r}, expected an int or a pair")
    return value[0], value[1]
