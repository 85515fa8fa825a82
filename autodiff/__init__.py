"""Reverse-mode automatic differentiation on plain arrays, with hand-written ops for spatial transformers.

from autodiff import Tensor, ops
x = Tensor(images, requires_grad=True)
ops.conv2d(x, weight).sum().backward()
x.grad
"""

from . import check, nn, ops, optim
from .backend import use
from .modes import enable_grad, no_grad
from .tensor import Tensor, grad

__all__ = ["Tensor", "check", "enable_grad", "grad", "nn", "no_grad", "ops", "optim", "use"]
