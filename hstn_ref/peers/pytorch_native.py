"""PyTorch's own functions with its own options and units where these differ from ours: for the table of conventions."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from hstn_ref.peers.pytorch_ops import BORDERS


def pool_ceil(x):
    return F.max_pool2d(x, 2, ceil_mode=True)


def strided_same(x, w):
    return F.conv2d(x, w, stride=(1, 2), padding="same")


def deconvolution(x, w):
    return F.conv_transpose2d(x, w, stride=(1, 2), padding=(0, 1), output_padding=(0, 1))


def identity(image, motion):
    """The sampler at F.affine_grid's identity, plus a motion in pixels."""
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=image.dtype)
    grid = F.affine_grid(theta, list(image.shape), align_corners=True)
    H, W = image.shape[2:]
    moved = grid + motion.permute(0, 2, 3, 1) * torch.tensor([2 / (W - 1), 2 / (H - 1)])
    return F.grid_sample(image, moved, align_corners=True)


def corners(image, theta):
    return _warped(image, theta, True)


def half(image, theta):
    return _warped(image, theta, False)


def _warped(image, theta, align_corners):
    grid = F.affine_grid(theta.view(-1, 2, 3), list(image.shape), align_corners=align_corners)
    return F.grid_sample(image, grid, align_corners=align_corners)


def edge_half(image, motion):
    return _grid_sample_half(image, motion, BORDERS["edge"])


def reflect_half(image, motion):
    return _grid_sample_half(image, motion, BORDERS["reflect"])


def _grid_sample_half(image, motion, mode):
    """grid_sample with align_corners=False, at the positions of a motion of one row."""
    (H, W), J = image.shape[2:], motion.shape[3]
    x, y = torch.arange(J) + motion[:, 0], motion[:, 1]
    grid = torch.stack([(2 * x + 1) / W - 1, (2 * y + 1) / H - 1], -1)
    return F.grid_sample(image, grid, padding_mode=mode, align_corners=False)


def dropout(x):
    torch.manual_seed(0)
    return F.dropout(x, 0.4)


def cross_entropy(z):
    return F.cross_entropy(z, torch.tensor([0, 1]))


def adam(x, g):
    """x after a step with lr = 1 and eps = 1e-8."""
    x = x.detach().clone().requires_grad_()
    x.grad = g.detach().clone()
    torch.optim.Adam([x], lr=1.0, eps=1e-8).step()
    return x.detach()
