"""The ops of `autodiff.ops` in PyTorch, as a user of PyTorch would write them: F.conv2d, F.grid_sample and so on.

Names, arguments and options are ours, and so are shapes, units and frames of reference. Where PyTorch has no such
option, a comment says how it is expressed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

NAME = "PyTorch"
BORDERS = {"zeros": "zeros", "edge": "border", "reflect": "reflection"}
EPS = 1e-3  # pixels, of the norm "l2"

warnings.filterwarnings("ignore", "Using padding='same' with even kernel")  # that it costs a copy


def version() -> str:
    return torch.__version__.partition("+")[0]


def value_and_gradients(
    fun: Callable[..., Tensor], arrays: Sequence[np.ndarray], u: np.ndarray | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """fun(*tensors), and the gradients of <u, fun(*tensors)> to each of them, u being 1 everywhere if not given."""
    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = fun(*xs)
    if not y.requires_grad:  # nothing leads from y to the inputs
        return y.numpy(), [np.zeros_like(a) for a in arrays]
    start = torch.ones_like(y) if u is None else torch.tensor(u, dtype=y.dtype)
    gradients = torch.autograd.grad(y, xs, start, allow_unused=True, materialize_grads=True)
    return y.detach().numpy(), [g.numpy() for g in gradients]


def add(x, y):
    return x + y


def subtract(x, y):
    return x - y


def multiply(x, y):
    return x * y


def divide(x, y):
    return x / y


def power(x, p):
    return x**p


def exp(x):
    return torch.exp(x)


def log(x):
    return torch.log(x)


def sqrt(x):
    return torch.sqrt(x)


def abs(x):
    return torch.abs(x)


def maximum(x, y):
    return torch.maximum(x, torch.as_tensor(y, dtype=x.dtype))  # it takes no number


def matmul(x, y):
    return torch.matmul(x, y)


def dense(x, weight, bias=None):
    return F.linear(x, weight, bias)


def sum(x, axis=None, keepdims=False):
    return torch.sum(x, dim=axis, keepdim=keepdims)


def mean(x, axis=None, keepdims=False):
    return torch.mean(x, dim=axis, keepdim=keepdims)


def broadcast_to(x, shape):
    return torch.broadcast_to(x, shape)


def reshape(x, shape):
    return x.reshape(shape)


def transpose(x, axes=None):
    return x.permute(tuple(range(x.ndim))[::-1] if axes is None else axes)


def take(x, index):
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, slice) and (part.step or 1) < 0 for part in parts):  # PyTorch has no such step
        return torch.flip(x[_turned(parts, x.shape)], [_turned_axis(parts)])
    return x[tuple(torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in parts)]


def concatenate(xs, axis=0):
    return torch.cat(list(xs), dim=axis)


def relu(x):
    return F.relu(x)


def softmax(x):
    return F.softmax(x, dim=-1)


def softmax_cross_entropy(logits, labels):
    return F.cross_entropy(logits, torch.from_numpy(labels))


def dropout(x, rate, rng):
    # F.dropout draws from PyTorch's own generator: the mask is drawn from ours, and laid on as F.dropout does
    kept = rng.random(tuple(x.shape), dtype=np.float32) >= rate
    return x * torch.from_numpy(kept) / (1 - rate)


def conv2d(x, weight, bias=None, *, stride=1, padding=0, rectify=False):
    if padding == "same":
        y = F.conv2d(x, weight, bias, stride, padding)
    elif _symmetric(pads := _pads(padding)):
        y = F.conv2d(x, weight, bias, stride, [before for before, _ in pads])
    else:  # F.conv2d pads both sides alike
        y = F.conv2d(F.pad(x, [*pads[1], *pads[0]]), weight, bias, stride)
    return F.relu(y) if rectify else y


def conv_transpose2d(x, weight, bias=None, *, stride=1, padding=0, output_padding=0, rectify=False):
    pads = [((n - 1) // 2, n // 2) for n in weight.shape[2:]] if padding == "same" else _pads(padding)
    if _symmetric(pads):
        y = F.conv_transpose2d(x, weight, bias, stride, [before for before, _ in pads], output_padding)
    else:  # F.conv_transpose2d crops both sides alike
        y = F.conv_transpose2d(x, weight, bias, stride, 0, output_padding)
        (top, bottom), (left, right) = pads
        y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
    return F.relu(y) if rectify else y


def max_pool2d(x, size, *, stride=None, padding=0, rectify=False):
    pads = _pads(padding)
    if _symmetric(pads):
        y = F.max_pool2d(x, size, stride, [before for before, _ in pads])
    else:  # F.max_pool2d pads both sides alike
        y = F.max_pool2d(F.pad(x, [*pads[1], *pads[0]], value=-torch.inf), size, stride)
    return F.relu(y) if rectify else y


def bilinear_sample(image, motion, *, border="zeros", derivative=(0, 0)):
    if derivative != (0, 0):
        return _slope(image, motion, border, derivative.index(1))
    grid = _normalised(motion, image.shape[2:])
    return F.grid_sample(image, grid, mode="bilinear", padding_mode=BORDERS[border], align_corners=True)


def splat(values, motion, size, *, border="zeros"):
    # PyTorch has it only as the gradient of F.grid_sample to its image
    image = torch.zeros((*values.shape[:2], *size), dtype=values.dtype, requires_grad=True)
    read = bilinear_sample(image, motion, border=border)
    return torch.autograd.grad(read, image, values, create_graph=True)[0]


def bending_energy(w, *, norm="l1", form="laplacian", reduction="mean"):
    centre = 2 * w[:, :, 1:-1, 1:-1]
    xx = w[:, :, 1:-1, 2:] - centre + w[:, :, 1:-1, :-2]
    yy = w[:, :, 2:, 1:-1] - centre + w[:, :, :-2, 1:-1]
    if form == "laplacian":
        return _norm([xx + yy], norm, reduction)
    xy = (w[:, :, 2:, 2:] - w[:, :, 2:, :-2] - w[:, :, :-2, 2:] + w[:, :, :-2, :-2]) / 4
    return _norm([xx, 2**0.5 * xy, yy], norm, reduction)


def smoothness(w, *, norm="l1", reduction="mean"):
    dx, dy = w[:, :, :, 1:] - w[:, :, :, :-1], w[:, :, 1:] - w[:, :, :-1]
    if norm == "l2":  # both differences are needed at a point
        dx, dy = dx[:, :, :-1], dy[:, :, :, :-1]
    return _norm([dx, dy], norm, reduction)


def _norm(differences, norm, reduction):
    """The components are added up; means are over images and points."""
    if norm == "l2":
        squares = torch.stack([(d**2).sum(1) for d in differences]).sum(0)
        terms = [torch.sqrt(squares + EPS**2) - EPS]
    else:
        terms = [(d.abs() if norm == "l1" else d**2).sum(1) for d in differences]
    return torch.stack([t.mean() if reduction == "mean" else t.sum() for t in terms]).sum()


def _slope(image, motion, border, axis):
    """The derivative of the sampled image along x (axis 0) or y: the gradient to the motion, a channel at a time."""
    N, C, H, W = image.shape
    planes, motions = image.reshape(N * C, 1, H, W), motion.repeat_interleave(C, 0)
    read = bilinear_sample(planes, motions, border=border)
    slopes = torch.autograd.grad(read.sum(), motions, create_graph=True)[0]
    return slopes[:, axis].reshape(N, C, *motion.shape[2:])


def _normalised(motion, size):
    """Positions (N, I, J, 2) for F.grid_sample, -1 and 1 being the centres of the outermost pixels."""
    (I, J), (H, W) = motion.shape[2:], size
    y, x = torch.meshgrid(*(torch.arange(n, dtype=motion.dtype) for n in (I, J)), indexing="ij")
    positions = torch.stack([x, y], -1) + motion.permute(0, 2, 3, 1)
    return 2 * positions / torch.tensor([W - 1, H - 1]) - 1


def _pads(padding):
    """((top, bottom), (left, right))."""
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    return [(pad, pad) if isinstance(pad, int) else tuple(pad) for pad in (rows, columns)]


def _symmetric(pads):
    return all(before == after for before, after in pads)


def _turned_axis(parts):
    return next(i for i, part in enumerate(parts) if isinstance(part, slice) and (part.step or 1) < 0)


def _turned(parts, shape):
    """The index with the elements of its slice of negative step in ascending order."""
    axis = _turned_axis(parts)
    met = range(*parts[axis].indices(shape[axis]))[::-1]
    return (*parts[:axis], slice(met.start, met.stop, met.step), *parts[axis + 1 :])
