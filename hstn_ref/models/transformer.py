"""What the spatial transformers have in common, whatever they are for: a transformer and a head.

    warp     = transform(source, target)      motion and sampler: the file of each network
    result   = classifier(warp.output)        task "classify", section 4.1: the CNN's logits; there is no target
    result   = warp.output                    task "align", section 4.2: the source as it looks in the target's frame

To classify, a localisation network and a flow generator see an image I. To align, they see the source, as far as it is
warped, and the target T, concatenated, in units of the contrast of T:

    ([I, T] - mean T) / sqrt(var T + g^2),    g = 1/255, a grey level                                      (9)

Mean and variance are over the pixels and channels of one image. The paper says "concatenated source image and target
image"; with (9) a motion does not depend on the brightness and contrast that a pair was taken with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Sequential
from autodiff.ops import bilinear_sample, concatenate, sqrt

from .base import Network, Outputs
from .cnn import cnn_layers

GREY_LEVEL = 1 / 255


@dataclass
class Warp:
    """What a transformer did."""

    output: Tensor  # (N, channels, H, W), the source at p + motion(p)
    motion: Tensor  # (N, 2, H, W) in pixels
    stages: dict[str, Tensor] = field(default_factory=dict)  # what came before, see Network.stages
    penalty: Tensor | None = None


class SpatialTransformer(Network):
    """A network that warps its images. A subclass defines `transform` and sets `localisation`, then `classifier`.

    All have these options:

    task             "classify" or "align"
    image_size       (H, W); channels: 1 for grey images, 3 for colour
    classes, dropout of the CNN, therefore without effect on an alignment
    padding          of localisation network and CNN; "same" fits images that are too small for "valid"
    border, coords   of the sampler and of the converter
    dtype            float32 or float64
    rng              the seed of weights and dropout, or a generator

    Raises ValueError for an option that is not of its kind or images that are too small, TypeError for another dtype.
    """

    localisation: Any
    classifier: Sequential | None

    def __init__(self, image_size: tuple[int, int], dtype: Any, options: dict[str, Any]):
        without = ("task",) if options["task"] == "classify" else ("classes", "dropout")  # as in files of before
        super().__init__(image_size, dtype, {name: x for name, x in options.items() if name not in without})
        self.border, self.coords = options["border"], options["coords"]

    @property
    def seen(self) -> int:
        """The number of channels that a localisation network and a flow generator see."""
        return self.options["channels"] * (2 if self.task == "align" else 1)

    def head(self, *, classes: int, dropout: float, rng: np.random.Generator) -> Sequential | None:
        """The CNN, or nothing in an alignment."""
        if self.task == "align":
            return None
        channels, padding = self.options["channels"], self.options["padding"]
        common: dict[str, Any] = {"channels": channels, "padding": padding, "rng": rng, "dtype": self.dtype}
        return cnn_layers(self.image_size, classes=classes, rate=dropout, **common)

    def transform(self, source: Tensor, target: Tensor | None = None) -> Warp:
        raise NotImplementedError(f"{type(self).__name__} defines no transform")

    def motion(self, *images: Any) -> Tensor:
        """motion(source, target), of a classifier motion(images): (N, 2, H, W) in pixels. Raises as `forward`.

        The warped source at p is the source at p + motion(p).
        """
        return self.transform(*self.checked(*images)).motion

    def run(self, *images: Tensor) -> Outputs:
        warp = self.transform(*images)
        stages = {**warp.stages, "motion": warp.motion, "output": warp.output}
        return Outputs(warp.output if self.classifier is None else self.classifier(warp.output), warp.penalty, stages)

    def warped(self, source: Tensor, motion: Tensor) -> Tensor:
        return bilinear_sample(source, motion, border=self.border)  # (6)


def beside(image: Tensor, target: Tensor | None) -> Tensor:
    """What is seen of an image (N, C, H, W): with a target, both in the units of (9), (N, 2 C, H, W)."""
    if target is None:
        return image
    axes = (1, 2, 3)
    mean = target.mean(axes, keepdims=True)
    centred = target - mean
    contrast = sqrt((centred * centred).mean(axes, keepdims=True) + GREY_LEVEL**2)
    return concatenate([image - mean, centred], axis=1) / contrast  # (9)
