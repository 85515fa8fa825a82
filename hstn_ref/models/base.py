"""What the classification networks of section 4.1 have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.nn import Conv2d, Module
from autodiff.ops import softmax_cross_entropy


@dataclass
class Outputs:
    """Everything one forward pass computed."""

    logits: Tensor  # (N, classes)
    penalty: Tensor | None = None  # scalar, what the training loss adds to the cross entropy
    stages: dict[str, Tensor] = field(default_factory=dict)  # by name, see Classifier.stages


class Classifier(Module):
    """A network from images (N, channels, H, W) in [0, 1] to logits (N, classes).

    A subclass defines `run(images) -> Outputs`, the class attribute `name`, and calls `__init__` with all options that
    are needed to build it again.
    """

    name: ClassVar[str]

    def __init__(self, image_size: tuple[int, int], dtype: Any, options: dict[str, Any]):
        H, W = image_size
        self.image_size = (int(H), int(W))
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"{type(self).__name__}: dtype {self.dtype}, expected float32 or float64")
        check_choices(type(self).__name__, options)
        self.options = {"image_size": list(self.image_size), **options}

    @property
    def title(self) -> str:
        """The name of its row in Table 1, which tells networks of several sizes apart: "c_stn_4" is a c_stn."""
        return self.name

    def run(self, images: Tensor) -> Outputs:
        raise NotImplementedError(f"{type(self).__name__} defines no run")

    def forward(self, images: Any) -> Tensor:
        """The logits (N, classes) of images (N, channels, H, W).

        Raises ValueError if the images are not of the size that the network was built for, TypeError if they are
        not floating.
        """
        return self.run(self._images(images)).logits

    def loss(self, images: Any, labels: Any) -> Tensor:
        """The training loss, a scalar: mean cross entropy plus, for HSTN, the penalty (7). labels (N,) integers."""
        return self.logits_and_loss(images, labels)[1]

    def logits_and_loss(self, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
        """The logits and the training loss of one forward pass."""
        outputs = self.run(self._images(images))
        loss = softmax_cross_entropy(outputs.logits, labels)
        return outputs.logits, loss if outputs.penalty is None else loss + outputs.penalty

    def stages(self, images: Any) -> dict[str, np.ndarray]:
        """What the network sees on the way, by name.

        "input", "linear" (linearly warped), "step 1", "step 2", ... (warped by the steps so far, without the last)
        and "output" (finally warped) are images (N, channels, H, W);
        "motion" (the whole) and "flow" (the optical flow field alone) are (N, 2, H, W) in pixels.
        """
        images = self._images(images)
        with no_grad():
            stages = self.run(images).stages
        return {"input": images.data, **{name: stage.data for name, stage in stages.items()}}

    def save(self, path: Any) -> None:
        """Write weights and options to an HDF5 file, whole or not at all."""
        from hstn_ref import checkpoint

        checkpoint.save_model(self, path)

    def _images(self, images: Any) -> Tensor:
        images = images if isinstance(images, Tensor) else Tensor(images)
        owner = type(self).__name__
        if images.dtype.kind != "f":
            raise TypeError(f"{owner}: images have dtype {images.dtype}, expected floating-point values in [0, 1]")
        expected = (self.options.get("channels", 1), *self.image_size)
        if images.ndim != 4 or images.shape[1:] != expected:
            raise ValueError(f"{owner}: images {images.shape}, expected (N, {', '.join(map(str, expected))})")
        if len(images) == 0:
            raise ValueError(f"{owner}: empty batch, images have shape {images.shape}")
        return images if images.dtype == self.dtype else Tensor(images.data.astype(self.dtype))


def feature_size(
    owner: str, image_size: tuple[int, int], kernel: int, levels: int, padding: str, convs: int = 1
) -> tuple[int, int]:
    """(H, W) after `levels` times [`convs` convolutions, 2x2 pooling]. Raises ValueError if nothing is left."""
    sizes = []
    for size in image_size:
        for _ in range(levels):
            size = (size if padding == "same" else size - convs * (kernel - 1)) // 2
        sizes.append(size)
    if min(sizes) < 1:
        level = "convolution" if convs == 1 else f"convolution x {convs}"
        raise ValueError(
            f"{owner}: images {image_size} are too small for {levels} times [{kernel}x{kernel} {level}, pooling]"
            + ("" if padding == "same" else '; padding="same" needs less')
        )
    return sizes[0], sizes[1]


class ReLUConv2d(Conv2d):
    """A convolution and a ReLU in one pass."""

    def forward(self, x: Tensor, rectify: bool = True) -> Tensor:
        return super().forward(x, rectify)


CHOICES = {
    "padding": ("valid", "same"),
    "border": ("zeros", "edge", "reflect"),
    "coords": ("normalised", "isotropic", "pixel"),
    "norm": ("l1", "l2", "squared"),
    "form": ("laplacian", "hessian"),
    "reduction": ("mean", "sum"),
    "flow_unit": ("pixel", "normalised"),
    "combine": ("sum", "compose"),
    "down": ("pool", "conv"),
    "crop": ("last", "first"),
    "compose": ("right", "left"),
}


def check_choices(owner: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError for the first option whose value is not among its CHOICES."""
    for name, known in CHOICES.items():
        if name in options and options[name] not in known:
            raise ValueError(f"{owner}: unknown {name} {options[name]!r}, expected one of {', '.join(known)}")


def conv_padding(padding: str) -> Any:
    """The `padding` of a convolution from its name in the options."""
    return 0 if padding == "valid" else "same"
