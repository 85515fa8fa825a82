"""The fully connected layer."""

from __future__ import annotations

from ..tensor import Tensor, as_tensor, check_dtypes
from .arithmetic import matmul
from .shape import transpose


def dense(x, weight, bias=None) -> Tensor:
    """y = x W^T + b: x (N, inputs), weight (outputs, inputs), bias (outputs,) -> (N, outputs).

    Raises ValueError if the shapes do not fit, TypeError for mixed or non-floating dtypes.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    bias = None if bias is None else as_tensor(bias)
    check_dtypes("dense", x, weight, *([] if bias is None else [bias]))
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"dense: inputs {x.shape} and weight {weight.shape}, expected (N, inputs) and (outputs, inputs)"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"dense: bias {bias.shape}, weight {weight.shape} expects {weight.shape[:1]}")
    y = matmul(x, transpose(weight))
    return y if bias is None else y + bias
