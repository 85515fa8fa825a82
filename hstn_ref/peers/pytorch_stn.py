"""The other spatial transformers of section 4.1 in PyTorch, as a user of PyTorch would write them.

Sizes, options and names of parameters are those of `hstn_ref.models` with their default options, as in `pytorch.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .pytorch import CNN, ReLUConv2d, Size, localisation


def build(name: str, *, steps: int = 4, image_size: Size = (60, 60), dropout: float = 0.5) -> nn.Module:
    """The network `name` of `hstn_ref.models`, freshly initialised; `steps` is that of C-STN and IC-STN."""
    if name == "tps_stn":
        return TPSSTN(image_size, dropout)
    return {"c_stn": CSTN, "ic_stn": ICSTN}[name](steps, image_size, dropout)


class TPSSTN(CNN):
    """A thin-plate spline of 4x4 control points."""

    base: Tensor  # (H, W, 2), the identity in normalised coordinates
    weights: Tensor  # (H W, 16), what each control point contributes to each pixel

    def __init__(self, image_size: Size = (60, 60), dropout: float = 0.5):
        super().__init__(image_size, dropout)
        self.localisation = offsets(image_size)
        pixels, points = normalised_grid(*image_size), normalised_grid(4, 4)
        self.register_buffer("base", pixels.float().view(*image_size, 2), persistent=False)
        self.register_buffer("weights", spline_weights(pixels, points).float(), persistent=False)

    def double(self) -> TPSSTN:
        """In float64, with a grid that has not gone through float32."""
        size: Size = self.base.shape[0], self.base.shape[1]
        super().double()
        pixels = normalised_grid(*size)
        self.base, self.weights = pixels.view(*size, 2), spline_weights(pixels, normalised_grid(4, 4))
        return self

    def forward(self, images: Tensor) -> Tensor:
        by_axis = self.localisation(images).view(-1, 2, 16)  # all x offsets, then all y offsets
        motion = (self.weights @ by_axis.transpose(1, 2)).view(-1, *self.base.shape)
        return self.classifier(F.grid_sample(images, self.base + motion, align_corners=True))


class CSTN(CNN):
    """Affine steps, each with its own localisation network; the matrices are composed, the original image is warped."""

    def __init__(self, steps: int = 4, image_size: Size = (60, 60), dropout: float = 0.5):
        super().__init__(image_size, dropout)
        self.localisation = nn.ModuleList(localisation(image_size) for _ in range(steps))

    def predictors(self) -> list[nn.Module]:
        return list(self.localisation)

    def forward(self, images: Tensor) -> Tensor:
        matrix, warped = None, images
        for predictor in self.predictors():
            step = homogeneous(predictor(warped))
            matrix = step if matrix is None else matrix @ step
            grid = F.affine_grid(matrix[:, :2], list(images.shape), align_corners=True)
            warped = F.grid_sample(images, grid, align_corners=True)
        return self.classifier(warped)


class ICSTN(CSTN):
    """Affine steps of one localisation network."""

    def __init__(self, steps: int = 4, image_size: Size = (60, 60), dropout: float = 0.5):
        super().__init__(0, image_size, dropout)
        self.steps = steps
        self.localisation = localisation(image_size)

    def predictors(self) -> list[nn.Module]:
        return [self.localisation] * self.steps


def offsets(image_size: Size) -> nn.Sequential:
    """Images to the 32 offsets of TPS-STN."""
    layers: list[nn.Module] = []
    H, W = image_size
    for inputs, width in ((1, 32), (32, 64), (64, 128)):
        layers += [ReLUConv2d(inputs, width, 3), nn.Conv2d(width, width, 3), nn.ReLU(), nn.MaxPool2d(2)]
        H, W = (H - 4) // 2, (W - 4) // 2
    last = nn.Linear(144, 32)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * H * W, 144), nn.ReLU(), last)


def homogeneous(theta: Tensor) -> Tensor:
    """theta (N, 6) as matrices (N, 3, 3)."""
    last = theta.new_tensor([0, 0, 1]).expand(len(theta), 1, 3)
    return torch.cat([theta.view(-1, 2, 3), last], 1)


def normalised_grid(H: int, W: int) -> Tensor:
    """The points (x, y) of a grid from -1 to 1, row by row, (H W, 2), in float64."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, H, dtype=torch.float64), torch.linspace(-1, 1, W, dtype=torch.float64), indexing="ij"
    )
    return torch.stack([x, y], -1).view(-1, 2)


def spline_weights(pixels: Tensor, points: Tensor) -> Tensor:
    """The value of the thin-plate spline at each pixel, for a value of 1 at each of K points: (pixels, K)."""
    K = len(points)

    def features(at: Tensor) -> Tensor:
        squared = torch.cdist(at, points, compute_mode="donot_use_mm_for_euclid_dist").square()
        return torch.cat([torch.ones(len(at), 1, dtype=at.dtype), at, torch.xlogy(squared, squared)], 1)

    L = torch.zeros(K + 3, K + 3, dtype=torch.float64)
    L[3:] = features(points)
    L[:3, 3:] = L[3:, :3].T
    return features(pixels) @ torch.linalg.inv(L)[:, 3:]
