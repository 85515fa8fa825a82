"""Affine-STN: one affine transformation, then the CNN (section 4.1 (2); Jaderberg et al. 2015).

    localisation    [conv(20, 5x5) -> P] x 3 -> dense(50) -> dense(6) = theta
    converter       theta -> motion field, equation (5)
    sampler         images, motion -> warped images, equation (6)
    classifier      the CNN

The last layer begins with zero weights and the identity as its bias, so the network begins as the plain CNN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Conv2d, Dense, Flatten, MaxPool2d, Module, ReLU, Sequential, zeros
from autodiff.ops import bilinear_sample

from ..motion import affine_motion, identity_theta
from .base import Classifier, Outputs, conv_padding, feature_size
from .cnn import cnn_layers


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


class AffineSTN(Classifier):
    """The affine spatial transformer: 263,358 parameters on 60x60 images with valid convolutions.

    `border` is the sampler's, `coords` the converter's (see their docstrings).
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
        dtype: Any = np.float32,
        rng: int | np.random.Generator = 0,
    ):
        options = {"channels": channels, "classes": classes, "padding": padding, "dropout": dropout}
        super().__init__(image_size, dtype, {**options, "border": border, "coords": coords})
        self.border, self.coords = border, coords
        rng = np.random.default_rng(rng)
        common = {"channels": channels, "padding": padding, "rng": rng, "dtype": dtype}
        self.localisation = localisation_layers(self.image_size, **common)
        self.classifier = cnn_layers(self.image_size, classes=classes, rate=dropout, **common)

    def run(self, images: Tensor) -> Outputs:
        theta = self.localisation(images)
        motion = affine_motion(theta, self.image_size, coords=self.coords)  # (5)
        output = bilinear_sample(images, motion, border=self.border)  # (6)
        return Outputs(self.classifier(output), stages={"output": output, "motion": motion})
