"""The networks of section 4 in PyTorch, as a user of PyTorch would write them.

Sizes, options and names of parameters are those of `hstn_ref.models`, so a state moves from one to the other under the
same names. Images are (N, channels, H, W), logits (N, classes). With a target, a network aligns: it gives the warped
images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hstn_ref.peers import Options, pytorch_ops


def build(name: str, preset: str = "paper", **options: Any) -> nn.Module:
    """The network `name` of `hstn_ref.models`, freshly initialised."""
    from hstn_ref.peers.pytorch_stn import CSTN, ICSTN, TPSSTN  # which are made of the parts below

    networks = {"cnn": CNN, "affine_stn": AffineSTN, "tps_stn": TPSSTN, "c_stn": CSTN, "ic_stn": ICSTN, "hstn": HSTN}
    return networks[name](Options(preset, **options))


def loss_and_gradients(
    name: str, options: Mapping[str, Any], weights: Mapping[str, np.ndarray], images: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The training loss without dropout, and its gradient to every weight, in the dtype of the images."""
    model = build(name, **options).to(torch.from_numpy(images).dtype).eval()
    model.load_state_dict({key: torch.from_numpy(weight) for key, weight in weights.items()})
    loss = model.loss(torch.from_numpy(images), torch.from_numpy(truth))
    loss.backward()
    return loss.detach().numpy(), {key: weight.grad.numpy() for key, weight in model.named_parameters()}


class CNN(nn.Module):
    def __init__(self, options: Options):
        super().__init__()
        self.options = options
        if options.task == "classify":
            self.classifier = classifier(options)

    def forward(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        return self.head(self.warp(images, target))

    def warp(self, images: Tensor, target: Tensor | None) -> Tensor:
        return images

    def head(self, warped: Tensor) -> Tensor:
        return self.classifier(warped) if self.options.task == "classify" else warped

    def loss(self, images: Tensor, truth: Tensor) -> Tensor:
        """truth: labels or target images."""
        if self.options.task == "classify":
            return F.cross_entropy(self(images), truth)
        return F.mse_loss(self(images, truth), truth)


class AffineSTN(CNN):
    def __init__(self, options: Options):
        super().__init__(options)
        self.localisation = localisation(options)

    def warp(self, images: Tensor, target: Tensor | None) -> Tensor:
        return self.sample(images, self.grid(self.theta(images, target), images))

    def theta(self, images: Tensor, target: Tensor | None) -> Tensor:
        """The affine transformations (N, 2, 3) in the coordinates of F.affine_grid."""
        return self.normalised(self.localisation(beside(images, target)))

    def normalised(self, theta: Tensor) -> Tensor:
        """theta (N, 6) as (N, 2, 3) in the coordinates of F.affine_grid."""
        theta = theta.view(-1, 2, 3)
        if self.options.coords == "normalised":
            return theta
        H, W = self.options.image_size
        x, y = (s / ((n - 1) / 2) for s, n in zip(self.options.scale, (W, H), strict=True))
        return theta * torch.tensor([[1, x / y, x], [y / x, 1, y]], dtype=theta.dtype)

    def grid(self, theta: Tensor, images: Tensor) -> Tensor:
        return F.affine_grid(theta, list(images.shape), align_corners=True)

    def sample(self, images: Tensor, grid: Tensor) -> Tensor:
        return F.grid_sample(images, grid, padding_mode=pytorch_ops.BORDERS[self.options.border], align_corners=True)


class HSTN(AffineSTN):
    def __init__(self, options: Options):
        super().__init__(options)
        self.flow_generator = FlowGenerator(options)

    def warp(self, images: Tensor, target: Tensor | None) -> Tensor:
        return self.warp_and_flow(images, target)[0]

    def warp_and_flow(self, images: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
        theta = self.theta(images, target)
        grid = self.grid(theta, images)
        linear = self.sample(images, grid)
        w = self.flow_generator(beside(linear.detach() if self.options.detach_first_warp else linear, target))
        moved = w.permute(0, 2, 3, 1) * self.units_per_pixel(w)
        if self.options.combine == "compose":
            moved = torch.einsum("nij,nhwj->nhwi", theta[:, :, :2], moved)
        return self.sample(images, grid + moved), w

    def loss(self, images: Tensor, truth: Tensor) -> Tensor:
        target = None if self.options.task == "classify" else truth
        warped, w = self.warp_and_flow(images, target)
        if target is None:
            return F.cross_entropy(self.head(warped), truth) + self.penalty(w)
        return F.mse_loss(warped, target) + self.penalty(w)

    def penalty(self, w: Tensor) -> Tensor:
        """Equation (7)."""
        o = self.options
        if o.flow_unit == "normalised":
            w = w * self.units_per_pixel(w).view(2, 1, 1)
        bending = pytorch_ops.bending_energy(w, norm=o.norm, form=o.form, reduction=o.reduction)
        return o.alpha * bending + o.beta * pytorch_ops.smoothness(w, norm=o.norm, reduction=o.reduction)

    def units_per_pixel(self, w: Tensor) -> Tensor:
        """One pixel along x and y in coordinates in which the image is 2 wide."""
        H, W = self.options.image_size
        return torch.tensor([2 / (W - 1), 2 / (H - 1)], dtype=w.dtype)


class FlowGenerator(nn.Module):
    """The U-Net of Figure 5; see `hstn_ref.models.flow_generator`."""

    def __init__(self, options: Options):
        super().__init__()
        base, depth, convs = options.flow_generator
        widths = [base * 2**level for level in range(depth)]
        before = [options.seen, *widths]
        self.crop = options.crop
        self.contract = nn.ModuleList(convolutions(b, w, convs) for b, w in zip(before, widths, strict=False))
        self.down = nn.ModuleList(nn.MaxPool2d(2) if options.down == "pool" else Halving(w) for w in widths)
        self.bottleneck = nn.Conv2d(widths[-1], 2 * widths[-1], 1)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 3, stride=2) for w in reversed(widths))
        self.expand = nn.ModuleList(convolutions(2 * w, w, convs) for w in reversed(widths))
        self.output = nn.Conv2d(base, 2, 3, padding="same")
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block, down in zip(self.contract, self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = F.relu(self.bottleneck(x))
        for up, block, skip in zip(self.up, self.expand, reversed(skips), strict=True):
            H, W = skip.shape[2:]
            x = F.relu(up(x))
            x = x[:, :, :H, :W] if self.crop == "last" else x[:, :, -H:, -W:]
            x = block(torch.cat([skip, x], 1))
        return self.output(x)


def beside(images: Tensor, target: Tensor | None) -> Tensor:
    """Images beside the target, in units of the target's contrast."""
    if target is None:
        return images
    axes = (1, 2, 3)
    mean, variance = target.mean(axes, keepdim=True), target.var(axes, correction=0, keepdim=True)
    return (torch.cat([images, target], 1) - mean) / torch.sqrt(variance + (1 / 255) ** 2)


def classifier(options: Options) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (options.channels, 32, 32):
        convolution = nn.Conv2d(inputs, 32, 3, padding=conv_padding(options))
        layers += [convolution, nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(options.dropout)]
    numbers = 32 * pooled(options, 3)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(numbers, 256), nn.ReLU(), nn.Linear(256, options.classes))


def localisation(options: Options) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (options.seen, 20, 20):
        layers += [nn.Conv2d(inputs, 20, 5, padding=conv_padding(options)), nn.ReLU(), nn.MaxPool2d(2)]
    last = nn.Linear(50, 6)
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(20 * pooled(options, 5), 50), nn.ReLU(), last)


def conv_padding(options: Options) -> int | str:
    return 0 if options.padding == "valid" else "same"


def pooled(options: Options, kernel: int) -> int:
    """How many pixels three convolutions leave, each followed by 2x2 pooling."""
    H, W = options.image_size
    for _ in range(3):
        H, W = ((n - (kernel - 1 if options.padding == "valid" else 0)) // 2 for n in (H, W))
    return H * W


def convolutions(inputs: int, outputs: int, count: int) -> nn.Sequential:
    layers = (ReLUConv2d(inputs if i == 0 else outputs, outputs, 3, padding="same") for i in range(count))
    return nn.Sequential(*layers)


class ReLUConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


class Halving(ReLUConv2d):
    """A 3x3 convolution with stride 2 that pads at the bottom and at the right."""

    def __init__(self, width: int):
        super().__init__(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))
