"""TPS-STN: one thin-plate spline (section 4.1 (3); Jaderberg et al. 2015).

    localisation    [conv(32, 3x3)] x 2 -> P -> [conv(64, 3x3)] x 2 -> P -> [conv(128, 3x3)] x 2 -> P
                    -> dense(144) -> dense(32): offsets of 4x4 control points
    converter       offsets -> motion field, the thin-plate spline of motion/thin_plate_spline.py
    sampler         images, motion -> warped images, equation (6)

The last layer begins with zero weights and biases, so the network begins with no motion. The offsets have no bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Conv2d, Dense, Flatten, MaxPool2d, Module, ReLU, Sequential, zeros

from ..motion import tps_motion
from .base import ReLUConv2d, conv_padding, feature_size
from .options import check_options
from .transformer import SpatialTransformer, Warp, beside


def offset_layers(
    image_size: tuple[int, int], *, outputs: int, channels: int, padding: str, rng: np.random.Generator, dtype: Any
) -> Sequential:
    """Images (N, channels, H, W) -> offsets (N, outputs). 586,128 parameters on 60x60 with 32 outputs."""
    H, W = feature_size("TPSSTN", image_size, 3, 3, padding, convs=2)
    common: dict[str, Any] = {"padding": conv_padding(padding), "rng": rng, "dtype": dtype}
    layers: list[Module] = []
    for inputs, width in ((channels, 32), (32, 64), (64, 128)):
        layers += [ReLUConv2d(inputs, width, 3, **common), Conv2d(width, width, 3, **common), MaxPool2d(2), ReLU()]
    last = Dense(144, outputs, rng=rng, dtype=dtype, initial=zeros)
    return Sequential(*layers, Flatten(), Dense(128 * H * W, 144, rng=rng, dtype=dtype), ReLU(), last)


class TPSSTN(SpatialTransformer):
    """The thin-plate spline transformer: 812,570 parameters on 60x60 images with valid convolutions.

    grid    rows and columns of control points, at least 2; coords: the unit of the offsets, as in `tps_motion`
    """

    name = "tps_stn"

    def __init__(
        self,
        *,
        grid: Sequence[int] = (4, 4),
        image_size: tuple[int, int] = (60, 60),
        channels: int = 1,
        classes: int = 10,
        padding: str = "valid",
        dropout: float = 0.5,
        border: str = "zeros",
        coords: str = "normalised",
        task: str = "classify",
        dtype: Any = np.float32,
        rng: int | np.random.Generator = 0,
    ):
        check_options("TPSSTN", {"grid": grid})
        R, C = (int(points) for points in grid)
        options: dict[str, Any] = {"channels": channels, "classes": classes, "padding": padding, "dropout": dropout}
        options |= {"border": border, "coords": coords, "grid": [R, C], "task": task}
        super().__init__(image_size, dtype, options)
        self.grid = (R, C)
        rng = np.random.default_rng(rng)
        common: dict[str, Any] = {"channels": self.seen, "padding": padding, "rng": rng, "dtype": dtype}
        self.localisation = offset_layers(self.image_size, outputs=2 * R * C, **common)
        self.classifier = self.head(classes=classes, dropout=dropout, rng=rng)

    def transform(self, source: Tensor, target: Tensor | None = None) -> Warp:
        offsets = self.localisation(beside(source, target))
        motion = tps_motion(offsets, self.image_size, grid=self.grid, coords=self.coords)
        return Warp(self.warped(source, motion), motion)
