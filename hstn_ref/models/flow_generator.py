"""The optical flow field generator: a U-Net from an image to a motion field (Figure 5).

    level l     convs x [conv(base 2^l, 3x3)], kept for the skip -> downsampling (2x2, stride 2)      l = 0 .. depth-1
    bottleneck  conv(base 2^depth, 1x1)
    level l     deconv(base 2^l, 3x3, stride 2) -> beside the skip -> convs x [conv(base 2^l, 3x3)]   l = depth-1 .. 0
    output      conv(2, 3x3), zero at the start, linear: w = (u, v)

Filters double after each downsampling and halve after each deconvolution; every layer but the last has a ReLU. The
text leaves depth and width open, and of Figure 5 only the caption was read: docs/paper-map.md gives the reasons for
(base, depth, convs) = (32, 2, 2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Conv2d, ConvTranspose2d, MaxPool2d, Module, Sequential, zeros
from autodiff.ops import concatenate

from .base import ReLUConv2d
from .options import check_options

Padding = tuple[tuple[int, int], tuple[int, int]]


class FlowGenerator(Module):
    """Images (N, inputs, H, W) of any size from 2^depth up -> optical flow field (N, 2, H, W).

    down: "pool", 2x2 max-pooling, or "conv", a 3x3 convolution with stride 2.
    crop: a stride-2 deconvolution gives 2n+1 rows for n; where 2n are wanted, the "last" row and column (TensorFlow,
    Keras) or the "first" (PyTorch with padding 1, output_padding 1) are cut off. An odd image takes all 2n+1, so any
    size works.
    """

    def __init__(
        self,
        inputs: int,
        base: int,
        depth: int,
        convs: int,
        *,
        down: str = "pool",
        crop: str = "last",
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        sizes = {"inputs": inputs, "base": base, "depth": depth, "convs": convs}
        check_options("FlowGenerator", {**sizes, "down": down, "crop": crop})
        same: dict[str, Any] = {"padding": "same", "rng": rng, "dtype": dtype}
        widths = [base * 2**level for level in range(depth)]
        self.crop = crop
        self.contract, self.down = [], []
        for width, before in zip(widths, [inputs, *widths], strict=False):
            self.contract.append(_convolutions(before, width, convs, same))
            self.down.append(MaxPool2d(2) if down == "pool" else _HalvingConv2d(width, rng, dtype))
        self.bottleneck = Conv2d(widths[-1], 2 * widths[-1], 1, rng=rng, dtype=dtype)
        self.up, self.expand = [], []
        for width in reversed(widths):
            self.up.append(ConvTranspose2d(2 * width, width, 3, stride=2, rng=rng, dtype=dtype))
            self.expand.append(_convolutions(2 * width, width, convs, same))
        self.output = Conv2d(base, 2, 3, initial=zeros, **same)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W) -> w (N, 2, H, W), pixels, x first. Raises ValueError for a side below 2^depth."""
        if min(x.shape[2:]) < 2 ** len(self.down):
            raise ValueError(f"FlowGenerator: images {x.shape[2:]} are too small for {len(self.down)} halvings")
        skips = []
        for convolutions, down in zip(self.contract, self.down, strict=True):
            x = convolutions(x)
            skips.append(x)
            x = down(x)
        x = self.bottleneck(x, rectify=True)
        for up, convolutions, skip in zip(self.up, self.expand, reversed(skips), strict=True):
            x = up(x, self._cut(x.shape[2:], skip.shape[2:]), rectify=True)
            x = convolutions(concatenate([skip, x], axis=1))
        return self.output(x)

    def _cut(self, size: tuple[int, ...], wanted: tuple[int, ...]) -> Padding:
        """The rows and columns to cut from the 2n+1 of a deconvolution to get the size of the skip."""
        rows, columns = (2 * n + 1 - m for n, m in zip(size, wanted, strict=True))
        return ((0, rows), (0, columns)) if self.crop == "last" else ((rows, 0), (columns, 0))


class _HalvingConv2d(ReLUConv2d):
    """A 3x3 convolution with stride 2, H rows -> H // 2."""

    def __init__(self, width: int, rng: np.random.Generator, dtype: Any):
        super().__init__(width, width, 3, stride=2, padding=((0, 1), (0, 1)), rng=rng, dtype=dtype)


def _convolutions(inputs: int, outputs: int, count: int, options: dict[str, Any]) -> Sequential:
    return Sequential(*(ReLUConv2d(inputs if i == 0 else outputs, outputs, 3, **options) for i in range(count)))
