"""A forward and a backward pass in plain NumPy, as an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor, as_tensor, record
from .slopes import Fun


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
