"""CNN, the network without a transformer and the back end of all classifiers (section 4.1 (1)).

    [conv(32, 3x3) -> P -> D] x 3 -> dense(256) -> dense(10) -> softmax

P is 2x2 max-pooling, D dropout with rate 0.5. The paper names no activation; every layer but the last has a ReLU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Conv2d, Dense, Dropout, Flatten, MaxPool2d, Module, ReLU, Sequential

from .base import Network, Outputs, conv_padding, feature_size


def cnn_layers(
    image_size: tuple[int, int], *, channels: int, classes: int, padding: str, rate: float, rng: Any, dtype: Any
) -> Sequential:
    """The layers from images (N, channels, H, W) to logits (N, classes)."""
    H, W = feature_size("CNN", image_size, 3, 3, padding)
    dropout_rng = rng.spawn(1)[0]
    layers: list[Module] = []
    for inputs in (channels, 32, 32):
        convolution = Conv2d(inputs, 32, 3, padding=conv_padding(padding), rng=rng, dtype=dtype)
        # max and relu commute, values and gradients: after the pooling relu has a quarter of the work
        layers += [convolution, MaxPool2d(2), ReLU(), Dropout(rate, dropout_rng)]
    head = [Flatten(), Dense(32 * H * W, 256, rng=rng, dtype=dtype), ReLU(), Dense(256, classes, rng=rng, dtype=dtype)]
    return Sequential(*layers, *head)


class CNN(Network):
    """The plain network: 226,442 parameters on 60x60 images with valid convolutions.

    image_size   (H, W), pixels; channels: 1 for grey images, 3 for colour
    classes      how many; the result of the network are logits (N, classes)
    padding      of the convolutions, "valid" or "same", which fits images that are too small for "valid"
    dropout      the share of numbers that are zeroed after each pooling, in training
    dtype, rng   float32 or float64; the seed of weights and dropout, or a generator

    Raises ValueError for an option that is not of its kind or images that are too small, TypeError for another dtype.
    """

    name = "cnn"

    def __init__(
        self,
        *,
        image_size: tuple[int, int] = (60, 60),
        channels: int = 1,
        classes: int = 10,
        padding: str = "valid",
        dropout: float = 0.5,
        dtype: Any = np.float32,
        rng: int | np.random.Generator = 0,
    ):
        options = {"channels": channels, "classes": classes, "padding": padding, "dropout": dropout}
        super().__init__(image_size, dtype, options)
        rng = np.random.default_rng(rng)
        self.classifier = cnn_layers(
            self.image_size, channels=channels, classes=classes, padding=padding, rate=dropout, rng=rng, dtype=dtype
        )

    def run(self, *images: Tensor) -> Outputs:
        return Outputs(self.classifier(*images))
