"""Elementwise arithmetic and the matrix product, and the operators of Tensor.

    z = x + y    gx = gz           z = exp x     gx = gz exp x
    z = x - y    gy = -gz          z = log x     gx = gz / x
    z = x y      gx = gz y         z = sqrt x    gx = gz / (2 sqrt x)
    z = x / y    gx = gz / y       z = x^p       gx = gz p x^(p-1)
                 gy = -gz x / y^2  z = |x|       gx = gz sign x        (0 at x = 0)
    Z = X Y      gX = gZ Y^T       z = max(x,y)  gx = gz [x >= y]      (a tie goes to x)
                 gY = X^T gZ                     gy = gz [x < y]

Inputs broadcast as in NumPy; the adjoint of broadcasting is a sum (`sum_to`). A Python number takes the dtype of the
tensor beside it; arrays of two precisions give the wider one, and each gradient has its own input's dtype. All raise
ValueError for shapes that do not broadcast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kinks
from ..backend import one_blas_thread
from ..tensor import Tensor, as_tensor, record
from .reduce import sum_to
from .shape import transpose


def add(x, y) -> Tensor:
    """x + y."""
    x, y = _pair("add", x, y)
    return record(x.data + y.data, (x, lambda gz: _like(gz, x)), (y, lambda gz: _like(gz, y)))


def subtract(x, y) -> Tensor:
    """x - y."""
    x, y = _pair("subtract", x, y)
    return record(x.data - y.data, (x, lambda gz: _like(gz, x)), (y, lambda gz: _like(gz * -1.0, y)))


def multiply(x, y) -> Tensor:
    """x y, element by element."""
    x, y = _pair("multiply", x, y)
    return record(x.data * y.data, (x, lambda gz: _like(gz * y, x)), (y, lambda gz: _like(gz * x, y)))


def divide(x, y) -> Tensor:
    """x / y, element by element."""
    x, y = _pair("divide", x, y)
    return record(x.data / y.data, (x, lambda gz: _like(gz / y, x)), (y, lambda gz: _like(gz / y * (x / y) * -1.0, y)))


def power(x, p: float) -> Tensor:
    """x to a constant power p, element by element. Raises TypeError unless p is a Python number."""
    x = as_tensor(x)
    if not isinstance(p, (int, float)):
        raise TypeError(f"power: the exponent must be a Python number, got {type(p).__name__}")
    y = x.data ** (p if isinstance(p, int) else float(p))  # np.float64 would promote float32
    return record(y, (x, lambda gy: gy * power(x, p - 1) * p)) if p != 0 else record(y)


def exp(x) -> Tensor:
    """e to the x, element by element; x has any shape."""
    x = as_tensor(x)
    return record(np.exp(x.data), (x, lambda gy: gy * exp(x)))


def log(x) -> Tensor:
    """The natural logarithm, element by element; x has any shape. -inf at 0 and NaN below, with NumPy's warning."""
    x = as_tensor(x)
    return record(np.log(x.data), (x, lambda gy: gy / x))


def sqrt(x) -> Tensor:
    """The square root, element by element; x has any shape. NaN below 0, with NumPy's warning; its gradient is infinite
    at 0.
    """
    x = as_tensor(x)
    return record(np.sqrt(x.data), (x, lambda gy: gy * 0.5 / sqrt(x)))


def abs(x) -> Tensor:
    """|x|, element by element, with the subgradient 0 at x = 0; x has any shape."""
    x = as_tensor(x)
    kinks.note("abs at 0", lambda: np.sign(x.data.real))
    y = np.abs(x.data) if x.dtype.kind != "c" else x.data * np.sign(x.data.real)  # |x| continued along +-x
    return record(y, (x, lambda gy: gy * np.sign(x.data)))


def maximum(x, y) -> Tensor:
    """The larger of x and y, element by element; where they are equal, the gradient goes to x.

    A NaN in either is the result, and then neither gets a gradient. Shapes are broadcast as NumPy's. Raises ValueError
    if they cannot be.
    """
    x, y = _pair("maximum", x, y)
    kinks.note("tie in maximum", lambda: np.sign(x.data.real - y.data.real))
    return record(
        np.maximum(x.data, y.data),
        (x, lambda gz: _like(gz * (x.data >= y.data).astype(x.dtype), x)),
        (y, lambda gz: _like(gz * (x.data < y.data).astype(y.dtype), y)),
    )


def matmul(x, y) -> Tensor:
    """The matrix product over the last two axes: (..., I, K) and (..., K, J) -> (..., I, J).

    The other axes broadcast; a 1-D input is a row (x) or a column (y). Raises ValueError if the shapes do not fit.
    """
    x, y = as_tensor(x), as_tensor(y)
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[max(-2, -y.ndim)]:
        raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit")
    if x.ndim == 1 and y.ndim == 1:
        return (x * y).sum()
    if x.ndim == 1:
        return (matmul(x.reshape(1, -1), y))[..., 0, :]
    if y.ndim == 1:
        return (matmul(x, y.reshape(-1, 1)))[..., 0]
    with one_blas_thread():
        z = x.data @ y.data
    return record(
        z,
        (x, lambda gz: _like(matmul(gz, _matrix_transpose(y)), x)),
        (y, lambda gz: _like(matmul(_matrix_transpose(x), gz), y)),
    )


def cast(x: Tensor, dtype: np.dtype) -> Tensor:
    """x in another precision; its gradient comes back in its own."""
    if x.dtype == dtype:
        return x
    return record(x.data.astype(dtype), (x, lambda gy: cast(gy, x.dtype)))


def _pair(op: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Two inputs as Tensors; a Python number takes the other's dtype."""
    if isinstance(x, Tensor):
        y = as_tensor(y, x.dtype)
    else:
        y = as_tensor(y)
        x = as_tensor(x, y.dtype)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        raise ValueError(f"{op}: shapes {x.shape} and {y.shape} do not broadcast") from None
    return x, y


def _like(g: Tensor, x: Tensor) -> Tensor:
    """The gradient g of a broadcast result, summed and cast to the input x."""
    return cast(sum_to(g, x.shape), x.dtype)


def _matrix_transpose(x: Tensor) -> Tensor:
    axes = tuple(range(x.ndim))
    return transpose(x, (*axes[:-2], axes[-1], axes[-2]))


_OPERATORS = {
    "__add__": add,
    "__sub__": subtract,
    "__mul__": multiply,
    "__truediv__": divide,
    "__pow__": power,
    "__matmul__": matmul,
    "__radd__": lambda x, y: add(y, x),
    "__rsub__": lambda x, y: subtract(y, x),
    "__rmul__": lambda x, y: multiply(y, x),
    "__rtruediv__": lambda x, y: divide(y, x),
    "__rmatmul__": lambda x, y: matmul(y, x),
    "__neg__": lambda x: multiply(x, -1.0),
    "__abs__": abs,
}
for _name, _op in _OPERATORS.items():
    setattr(Tensor, _name, _op)
