"""Reverse-mode automatic differentiation on plain arrays, with hand-written ops for spatial transformers.

from autodiff import Tensor, ops
x = Tensor(images, requires_grad=True)
ops.conv2d(x, weight).sum().backward()
x.grad
"""

from . import check, nn, ops, optim
from .backend import use
from .tensor import Tensor, grad, no_grad

__all__ = ["Tensor", "check", "grad", "nn", "no_grad", "ops", "optim", "use"]
