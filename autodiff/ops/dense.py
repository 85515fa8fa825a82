"""The fully connected layer."""

from __future__ import annotations

from ..backend import one_blas_thread
from ..tensor import Edge, Tensor, as_tensor, check_dtypes, record
from .arithmetic import matmul
from .shape import transpose


def dense(x, weight, bias=None) -> Tensor:
    """y = x W^T + b: x (N, inputs), weight (outputs, inputs), bias (outputs,) -> (N, outputs).

    gx = gy W,  gW = gy^T x,  gb = sum_n gy_n.

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
    with one_blas_thread():
        y = x.data @ weight.data.T
    edges: list[Edge] = [(x, lambda gy: matmul(gy, weight)), (weight, lambda gy: matmul(transpose(gy), x))]
    if bias is not None:
        y = y + bias.data
        edges.append((bias, lambda gy: gy.sum(axis=0)))
    return record(y, *edges)
