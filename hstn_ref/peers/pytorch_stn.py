"""The other spatial transformers of section 4 in PyTorch, as a user of PyTorch would write them.

Sizes, options and names of parameters are those of `hstn_ref.models`, as in `pytorch.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hstn_ref.peers import Options
from hstn_ref.peers.pytorch import AffineSTN, ReLUConv2d, beside, conv_padding, localisation


class TPSSTN(AffineSTN):
    """A thin-plate spline instead of an affine transformation."""

    weights: Tensor  # (H W, K), what each control point contributes to each pixel

    def __init__(self, options: Options):
        super().__init__(options)
        R, C = options.grid
        self.localisation = offset_layers(options)
        pixels, points = (coordinates(rows, columns, options) for rows, columns in (options.image_size, (R, C)))
        self.register_buffer("weights", spline_weights(pixels, points), persistent=False)

    def warp(self, images: Tensor, target: Tensor | None) -> Tensor:
        H, W = self.options.image_size
        offsets = self.localisation(beside(images, target))
        by_axis = offsets.view(len(images), 2, -1)  # all x offsets, then all y offsets
        motion = (self.weights.to(images.dtype) @ by_axis.transpose(1, 2)).view(-1, H, W, 2)
        half = (s / ((n - 1) / 2) for s, n in zip(self.options.scale, (W, H), strict=True))
        identity = torch.eye(2, 3, dtype=images.dtype).expand(len(images), 2, 3)
        grid = self.grid(identity, images) + motion * torch.tensor(list(half), dtype=images.dtype)
        return self.sample(images, grid)


class CSTN(AffineSTN):
    """Affine steps, each with its own localisation network; the matrices are composed, the original image is warped."""

    def __init__(self, options: Options):
        super().__init__(options)
        self.localisation = self.predictor(options)

    def predictor(self, options: Options) -> nn.Module:
        return nn.ModuleList(localisation(options) for _ in range(options.steps))

    def predictors(self) -> list[nn.Module]:
        return list(self.localisation)

    def warp(self, images: Tensor, target: Tensor | None) -> Tensor:
        matrix, warped = None, images
        for predictor in self.predictors():
            step = homogeneous(self.normalised(predictor(beside(warped, target))))
            if matrix is None:
                matrix = step
            else:
                matrix = matrix @ step if self.options.compose == "right" else step @ matrix
            warped = self.sample(images, self.grid(matrix[:, :2], images))
        return warped


class ICSTN(CSTN):
    """Affine steps of one localisation network."""

    def predictor(self, options: Options) -> nn.Module:
        return localisation(options)

    def predictors(self) -> list[nn.Module]:
        return [self.localisation] * self.options.steps


def offset_layers(options: Options) -> nn.Sequential:
    """Images to the offsets of the control points."""
    layers: list[nn.Module] = []
    H, W = options.image_size
    for inputs, width in ((options.seen, 32), (32, 64), (64, 128)):
        padding = conv_padding(options)
        layers += [ReLUConv2d(inputs, width, 3, padding=padding), nn.Conv2d(width, width, 3, padding=padding)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        H, W = ((n - (4 if options.padding == "valid" else 0)) // 2 for n in (H, W))
    last = nn.Linear(144, 2 * options.grid[0] * options.grid[1])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * H * W, 144), nn.ReLU(), last)


def homogeneous(theta: Tensor) -> Tensor:
    """theta (N, 2, 3) as matrices (N, 3, 3)."""
    return torch.cat([theta, theta.new_tensor([0, 0, 1]).expand(len(theta), 1, 3)], 1)


def coordinates(rows: int, columns: int, options: Options) -> Tensor:
    """A grid of rows and columns from corner to corner, row by row, (rows columns, 2): in units of the coordinates.

    Pixels are as good as any unit of both axes for a spline, but half of the longer side keeps the numbers small.
    """
    H, W = options.image_size
    x, y = options.scale if options.coords == "normalised" else ((max(H, W) - 1) / 2,) * 2
    ys, xs = torch.meshgrid(
        torch.linspace(-1, 1, rows, dtype=torch.float64) * (H - 1) / 2 / y,
        torch.linspace(-1, 1, columns, dtype=torch.float64) * (W - 1) / 2 / x,
        indexing="ij",
    )
    return torch.stack([xs, ys], -1).view(-1, 2)


def spline_weights(pixels: Tensor, points: Tensor) -> Tensor:
    """The value of the thin-plate spline at each pixel, for a value of 1 at each of K points: (pixels, K)."""
    K = len(points)

    def features(at: Tensor) -> Tensor:
        squared = (at[:, None] - points).square().sum(-1)
        return torch.cat([torch.ones(len(at), 1, dtype=at.dtype), at, torch.xlogy(squared, squared)], 1)

    L = torch.zeros(K + 3, K + 3, dtype=points.dtype)
    L[3:] = features(points)
    L[:3, 3:] = L[3:, :3].T
    return features(pixels) @ torch.linalg.inv(L)[:, 3:]
