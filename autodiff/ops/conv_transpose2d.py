"""Transposed convolution ("deconvolution"): conv2d's equation (2) read as a forward map.

It needs no kernels of its own, and its vjps are those of `conv2d_adjoint`.
"""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor, as_tensor
from .conv2d import check_operands, conv2d_adjoint, normal_options, normal_pair


def conv_transpose2d(
    x, weight, bias=None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, rectify: bool = False
) -> Tensor:
    """The adjoint of conv2d(., weight) of the same stride and padding, plus bias.

    x (N, C, H, W), weight (inputs C, outputs K, U, V), bias (K,) -> (N, K, I, J) with

        I = (H - 1) stride - (top + bottom) + U + output_padding        and J likewise.

    Each pixel of x adds a copy of the filter, times its value, to the result; neighbours lie `stride` apart.
    `padding`, in the forms of conv2d, *crops* the result. `output_padding`, an int or a pair below the stride,
    adds rows at the bottom and columns at the right: conv2d with a stride maps several sizes to the same H. With
    `rectify` the result is relu(y), but for the sign of a zero, in the same pass over the memory.

    A 3x3 deconvolution of stride 2 that doubles the size has two alignments, one pixel apart:
    padding=((0, 1), (0, 1)) crops the last row and column of the full result (TensorFlow's and Keras's "same");
    padding=((1, 0), (1, 0)), which is padding=1, output_padding=1 as in PyTorch, crops the first.

    Raises ValueError if shapes or options do not fit, TypeError for mixed or non-floating dtypes.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    bias = None if bias is None else as_tensor(bias)
    check_operands("conv_transpose2d", x, weight, bias, weight_axes=(0, 1))
    stride, padding = normal_options("conv_transpose2d", weight.shape[2:], stride, padding)
    extra = normal_pair("conv_transpose2d", "output_padding", output_padding, least=0)
    if extra[0] >= stride[0] or extra[1] >= stride[1]:
        raise ValueError(f"conv_transpose2d: output_padding {extra} must be below stride {stride}")

    N, _, H, W = x.shape
    _, K, U, V = weight.shape
    I, J = (
        (size - 1) * step - sum(pad) + kernel + more
        for size, step, pad, kernel, more in zip((H, W), stride, padding, (U, V), extra, strict=True)
    )
    if I < 1 or J < 1:
        raise ValueError(f"conv_transpose2d: padding {padding} crops all of images {x.shape}, weight {weight.shape}")
    return conv2d_adjoint(x, weight, (N, K, I, J), stride, padding, bias, rectify)
