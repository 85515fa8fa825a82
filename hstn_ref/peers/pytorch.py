"""The networks of section 4.1 in PyTorch, as a user of PyTorch would write them.

Sizes, padding, options and names of parameters are those of `hstn_ref.models` with their default options, so a state
moves from one to the other under the same names. Images are (N, 1, H, W), logits (N, 10).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Size = tuple[int, int]

PRESETS = {"tiny": (8, 2, 1), "small": (16, 2, 1), "paper": (32, 2, 2)}  # base filters, depth, convolutions a level


def build(name: str, preset: str = "paper", *, image_size: Size = (60, 60), dropout: float = 0.5) -> nn.Module:
    """The network `name` of `hstn_ref.models`, freshly initialised."""
    if name == "hstn":
        return HSTN(preset, image_size, dropout)
    return {"cnn": CNN, "affine_stn": AffineSTN}[name](image_size, dropout)


class CNN(nn.Module):
    def __init__(self, image_size: Size = (60, 60), dropout: float = 0.5):
        super().__init__()
        self.classifier = classifier(image_size, dropout)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self(images), labels)


class AffineSTN(CNN):
    def __init__(self, image_size: Size = (60, 60), dropout: float = 0.5):
        super().__init__(image_size, dropout)
        self.localisation = localisation(image_size)

    def forward(self, images: Tensor) -> Tensor:
        grid = F.affine_grid(self.localisation(images).view(-1, 2, 3), list(images.shape), align_corners=True)
        return self.classifier(F.grid_sample(images, grid, align_corners=True))


class HSTN(AffineSTN):
    def __init__(
        self,
        preset: str = "paper",
        image_size: Size = (60, 60),
        dropout: float = 0.5,
        alpha: float = 0.01,
        beta: float = 1.0,
    ):
        super().__init__(image_size, dropout)
        self.flow_generator = FlowGenerator(*PRESETS[preset])
        self.alpha, self.beta = alpha, beta

    def forward(self, images: Tensor) -> Tensor:
        return self.logits_and_flow(images)[0]

    def logits_and_flow(self, images: Tensor) -> tuple[Tensor, Tensor]:
        grid = F.affine_grid(self.localisation(images).view(-1, 2, 3), list(images.shape), align_corners=True)
        w = self.flow_generator(F.grid_sample(images, grid, align_corners=True))
        H, W = images.shape[2:]
        to_normalised = torch.tensor([2 / (W - 1), 2 / (H - 1)], dtype=w.dtype)
        grid = grid + w.permute(0, 2, 3, 1) * to_normalised
        return self.classifier(F.grid_sample(images, grid, align_corners=True)), w

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        logits, w = self.logits_and_flow(images)
        return F.cross_entropy(logits, labels) + self.penalty(w)

    def penalty(self, w: Tensor) -> Tensor:
        """Equation (7) with the norm "l1" and the reduction "mean", w in pixels."""
        centre = w[:, :, 1:-1, 1:-1]
        laplacian = w[:, :, :-2, 1:-1] + w[:, :, 2:, 1:-1] + w[:, :, 1:-1, :-2] + w[:, :, 1:-1, 2:] - 4 * centre
        dx, dy = w[:, :, :, 1:] - w[:, :, :, :-1], w[:, :, 1:] - w[:, :, :-1]
        K = w.shape[1]  # the components of w are added up, not averaged
        return self.alpha * K * laplacian.abs().mean() + self.beta * K * (dx.abs().mean() + dy.abs().mean())


class FlowGenerator(nn.Module):
    """The U-Net of Figure 5; see `hstn_ref.models.flow_generator`."""

    def __init__(self, base: int, depth: int, convs: int):
        super().__init__()
        widths = [base * 2**level for level in range(depth)]
        self.contract = nn.ModuleList(convolutions(b, w, convs) for b, w in zip([1, *widths], widths, strict=False))
        self.bottleneck = nn.Conv2d(widths[-1], 2 * widths[-1], 1)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 3, stride=2) for w in reversed(widths))
        self.expand = nn.ModuleList(convolutions(2 * w, w, convs) for w in reversed(widths))
        self.output = nn.Conv2d(base, 2, 3, padding="same")
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.contract:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = F.relu(self.bottleneck(x))
        for up, block, skip in zip(self.up, self.expand, reversed(skips), strict=True):
            x = F.relu(up(x))[:, :, : skip.shape[2], : skip.shape[3]]
            x = block(torch.cat([skip, x], 1))
        return self.output(x)


def classifier(image_size: Size, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (1, 32, 32):
        layers += [nn.Conv2d(inputs, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout)]
    numbers = 32 * pooled(image_size[0], 3) * pooled(image_size[1], 3)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(numbers, 256), nn.ReLU(), nn.Linear(256, 10))


def localisation(image_size: Size) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (1, 20, 20):
        layers += [nn.Conv2d(inputs, 20, 5), nn.ReLU(), nn.MaxPool2d(2)]
    last = nn.Linear(50, 6)
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
    numbers = 20 * pooled(image_size[0], 5) * pooled(image_size[1], 5)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(numbers, 50), nn.ReLU(), last)


def pooled(size: int, kernel: int) -> int:
    """What is left of `size` pixels after three convolutions, each followed by 2x2 pooling."""
    for _ in range(3):
        size = (size - kernel + 1) // 2
    return size


def convolutions(inputs: int, outputs: int, count: int) -> nn.Sequential:
    layers = (ReLUConv2d(inputs if i == 0 else outputs, outputs, 3, padding="same") for i in range(count))
    return nn.Sequential(*layers)


class ReLUConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))
