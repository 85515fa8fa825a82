"""Functions made ready for a check: a forward and a backward pass in plain NumPy, and many inputs as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import multiply, reshape, take
from ..tensor import Tensor, as_tensor, record
from .slopes import Fun, magnitude


def from_numpy(forward: Callable[..., Any], backward: Callable[..., Any]) -> Fun:
    """A function of Tensors from forward(x1, ..., xn) -> y and backward(gy, x1, ..., xn) -> (gx1, ..., gxn).

    One input may have its gradient returned bare; None stands for an input without one. The gradients cannot be
    differentiated again, so `adjoint` and `second_order` do not apply.
    """

    def fun(*inputs: Any) -> Tensor:
        xs = [as_tensor(x) for x in inputs]

        def vjp(i: int) -> Callable[[Tensor], Tensor]:
            def numpy_backward(gy: Tensor) -> Tensor:
                gradients = backward(gy.data, *(x.data for x in xs))
                gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
                if len(gradients) != len(xs):
                    raise ValueError(f"backward returned {len(gradients)} gradients for {len(xs)} inputs")
                gradient = gradients[i]
                return Tensor(np.zeros_like(xs[i].data) if gradient is None else np.asarray(gradient))

            return numpy_backward

        y = forward(*(x.data for x in xs))
        return record(np.asarray(y), *((x, vjp(i)) for i, x in enumerate(xs)))

    return fun


def together(fun: Fun, *arrays: np.ndarray) -> tuple[Fun, np.ndarray]:
    """fun as a function of one vector that holds all inputs, each divided by its size, and that vector.

    For networks: `check.report(*check.together(loss, *weights))` moves all weights at once and costs what one costs.
    """
    scales = [magnitude(a) for a in arrays]
    stops = np.cumsum([a.size for a in arrays]).tolist()
    starts = [0, *stops[:-1]]

    def of_vector(z: Tensor) -> Tensor:
        pieces = (take(z, slice(start, stop)) for start, stop in zip(starts, stops, strict=True))
        parts = zip(pieces, arrays, scales, strict=True)
        return fun(*(multiply(reshape(piece, a.shape), scale) for piece, a, scale in parts))

    dtype = np.result_type(*arrays)
    flat = [np.asarray(a, dtype).ravel() / dtype.type(s) for a, s in zip(arrays, scales, strict=True)]
    return of_vector, np.concatenate(flat)
