"""Affine-STN: one affine transformation (section 4.1 (2); Jaderberg et al. 2015).

    localisation    [conv(20, 5x5) -> P] x 3 -> dense(50) -> dense(6) = theta
    converter       theta -> motion field, equation (5)
    sampler         images, motion -> warped images, equation (6)

The last layer begins with zero weights and the identity as its bias, so the network begins with no motion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Conv2d, Dense, Flatten, MaxPool2d, Module, ReLU, Sequential, zeros

from ..motion import affine_motion, identity_theta
from .base import conv_padding, feature_size
from .transformer import SpatialTransformer, Warp, beside


def localisation_layers(
    image_size: tuple[int, int], *, channels: int, padding: str, rng: np.random.Generator, dtype: Any
) -> Sequential:
    """The linear transformation generator: images (N, channels, H, W) -> theta (N, 6). 36,916 parameters on 60x60."""
    H, W = feature_size("AffineSTN", image_size, 5, 3, padding)
    layers: list[Module] = []
    for inputs in (channels, 20, 20):
        convolution = Conv2d(inputs, 20, 5, padding=conv_padding(padding), rng=rng, dtype=dtype)
        layers += [convolution, MaxPool2d(2), ReLU()]
    last = Dense(50, 6, rng=rng, dtype=dtype, initial=zeros)
    last.bias.data = identity_theta(dtype)
    return Sequential(*layers, Flatten(), Dense(20 * H * W, 50, rng=rng, dtype=dtype), ReLU(), last)


class AffineSTN(SpatialTransformer):
    """The affine spatial transformer: 263,358 parameters on 60x60 images with valid convolutions.

    Its options, and what is raised for them, are those of SpatialTransformer.
    """

    name = "affine_stn"

    def __init__(
        self,
        *,
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
        options = {"channels": channels, "classes": classes, "padding": padding, "dropout": dropout}
        super().__init__(image_size, dtype, {**options, "border": border, "coords": coords, "task": task})
        rng = np.random.default_rng(rng)
        common: dict[str, Any] = {"channels": self.seen, "padding": padding, "rng": rng, "dtype": dtype}
        self.localisation = localisation_layers(self.image_size, **common)
        self.classifier = self.head(classes=classes, dropout=dropout, rng=rng)

    def transform(self, source: Tensor, target: Tensor | None = None) -> Warp:
        theta = self.localisation(beside(source, target))
        motion = affine_motion(theta, self.image_size, coords=self.coords)  # (5)
        return Warp(self.warped(source, motion), motion)
