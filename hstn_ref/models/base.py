"""What the networks of section 4 have in common: an input, a loss, what they see on the way, and a file.

    task          inputs            result                            truth         loss
    "classify"    images            logits (N, classes)               labels (N,)   cross entropy, section 4.1
    "align"       source, target    the source warped onto the target target        mean squared difference, section 4.2

HSTN adds its penalty (7) to either. Images are (N, channels, H, W) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.nn import Conv2d, Module
from autodiff.ops import softmax_cross_entropy
from autodiff.ops.arithmetic import cast
from hstn_ref.plain import plain

from .options import check_options


@dataclass
class Outputs:
    """Everything one forward pass computed."""

    result: Tensor  # logits (N, classes), or the warped source (N, channels, H, W)
    penalty: Tensor | None = None  # scalar, what the training loss adds
    stages: dict[str, Tensor] = field(default_factory=dict)  # by name, see Network.stages


class Network(Module):
    """The base class. A subclass defines `run`, the class attribute `name`, and calls `__init__` with all options that
    are needed to build it again; `hstn_ref.models.MODELS[name] = subclass` lets `load` find it.
    """

    name: ClassVar[str]

    def __init__(self, image_size: tuple[int, int], dtype: Any, options: dict[str, Any]):
        check_options(type(self).__name__, {"image_size": image_size, **options})
        H, W = image_size
        self.image_size = (int(H), int(W))
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"{type(self).__name__}: dtype {self.dtype}, expected float32 or float64")
        self.options: dict[str, Any] = plain({"image_size": self.image_size, **options})
        self.task: str = options.get("task", "classify")

    @property
    def title(self) -> str:
        """The name of its row in Table 1, which tells networks of several sizes apart: "c_stn_4" is a c_stn."""
        return self.name

    def run(self, *images: Tensor) -> Outputs:
        """One forward pass: of images, or of source and target."""
        raise NotImplementedError(f"{type(self).__name__} defines no run")

    def forward(self, *images: Any) -> Tensor:
        """model(images): the logits (N, classes). model(source, target): the warped source (N, channels, H, W).

        Raises ValueError if the images are not of the size that the network was built for, TypeError if they are
        not floating, or too few or too many for its task.
        """
        return self.run(*self.checked(*images)).result

    def loss(self, images: Any, truth: Any) -> Tensor:
        """The training loss, a scalar: loss(images, labels) or loss(source, target)."""
        return self.outputs_and_loss(images, truth)[1]

    def outputs_and_loss(self, images: Any, truth: Any) -> tuple[Outputs, Tensor]:
        """All results and the training loss of one forward pass."""
        if self.task == "classify":
            outputs = self.run(*self.checked(images))
            loss = softmax_cross_entropy(outputs.result, truth)
        else:
            source, target = self.checked(images, truth)
            outputs = self.run(source, target)
            difference = outputs.result - target
            loss = (difference * difference).mean()  # (1)
        return outputs, loss if outputs.penalty is None else loss + outputs.penalty

    def stages(self, *images: Any) -> dict[str, np.ndarray]:
        """What the network sees on the way, by name.

        "input", "target" (of an alignment), "step 1", "step 2", ... (warped by the steps so far, without the last),
        "linear" (linearly warped) and "output" (finally warped) are images (N, channels, H, W);
        "flow" (the optical flow field alone) and "motion" (the whole) are (N, 2, H, W) in pixels.
        """
        inputs = self.checked(*images)
        with no_grad():
            stages = self.run(*inputs).stages
        named = zip(("input", "target"), inputs, strict=False)
        return {name: stage.data for name, stage in (*named, *stages.items())}

    def save(self, path: Any) -> None:
        """Write weights and options to an HDF5 file, whole or not at all."""
        from hstn_ref import checkpoint

        checkpoint.save_model(self, path)

    def checked(self, *images: Any) -> list[Tensor]:
        """The inputs of a forward pass as Tensors of the network's dtype. Raises as `forward`."""
        owner, expected = type(self).__name__, "images" if self.task == "classify" else "source and target"
        if len(images) != len(expected.split(" and ")):
            raise TypeError(f"{owner}: {len(images)} inputs, expected {expected}, its task is {self.task!r}")
        tensors = [self._images(x) for x in images]
        if len({len(x) for x in tensors}) > 1:
            raise ValueError(f"{owner}: source {images[0].shape} and target {images[1].shape}, expected one shape")
        return tensors

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
        return cast(images, self.dtype)


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


def conv_padding(padding: str) -> Any:
    """The `padding` of a convolution from its name in the options."""
    return 0 if padding == "valid" else "same"
