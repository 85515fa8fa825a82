"""The networks that are verified, in float64, with random weights: no layer is zero and no sample lies on a pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Dense
from hstn_ref import models
from hstn_ref.models import Network


@dataclass(frozen=True)
class ModelCase:
    """A network in evaluation mode (no dropout) and a batch for it."""

    name: str
    build: Callable[[], Network]
    images: np.ndarray  # (N, channels, H, W), float64
    truth: np.ndarray  # labels (N,), or target images
    detached: bool = False  # its backward pass is, by intention, not the derivative of its loss


def model_cases() -> list[ModelCase]:
    """Every network, in the paper's form on the smallest images that fit it, and with every option."""
    same: dict[str, Any] = {"image_size": (12, 14), "padding": "same"}
    return [
        _case("CNN", "cnn", image_size=(28, 28)),
        _case("CNN: same padding, 3 channels, 4 classes", "cnn", **same, channels=3, classes=4),
        _case("AffineSTN", "affine_stn", image_size=(36, 36)),
        _case("AffineSTN: border edge, coords isotropic", "affine_stn", **same, border="edge", coords="isotropic"),
        _case("AffineSTN: border reflect, coords pixel", "affine_stn", **same, border="reflect", coords="pixel"),
        _case("TPSSTN", "tps_stn", image_size=(36, 36)),
        _case("TPSSTN: border edge, coords isotropic", "tps_stn", **same, border="edge", coords="isotropic"),
        _case("TPSSTN: 3x5 points, coords pixel", "tps_stn", **same, grid=(3, 5), border="reflect", coords="pixel"),
        _case("CSTN: 2 steps", "c_stn", steps=2, image_size=(36, 36)),
        _case("CSTN: 4 steps, left", "c_stn", **same, compose="left", border="edge", coords="isotropic"),
        _case("CSTN: 3 steps, coords pixel", "c_stn", **same, steps=3, border="reflect", coords="pixel"),
        _case("ICSTN: 2 steps", "ic_stn", steps=2, image_size=(36, 36)),
        _case("ICSTN: 4 steps, left", "ic_stn", **same, compose="left", border="edge", coords="isotropic"),
        _case("ICSTN: 3 steps, coords pixel", "ic_stn", **same, steps=3, border="reflect", coords="pixel"),
        _case("HSTN: tiny", "hstn", preset="tiny", image_size=(36, 36)),
        _case("HSTN: paper, 2 channels", "hstn", preset="paper", **same, channels=2),
        _case("HSTN: small, norm squared", "hstn", preset="small", **same, norm="squared", alpha=0.5),
        _case("HSTN: composed, crop first", "hstn", preset="tiny", **same, combine="compose", crop="first"),
        _case(
            "HSTN: composed, coords isotropic, border edge",
            "hstn",
            preset="tiny",
            **same,
            combine="compose",
            coords="isotropic",
            border="edge",
        ),
        _case(
            "HSTN: coords pixel, border reflect, halved by convolution",
            "hstn",
            preset="tiny",
            **same,
            coords="pixel",
            border="reflect",
            down="conv",
        ),
        _case(
            "HSTN: norm l2, form hessian, reduction sum",
            "hstn",
            preset="tiny",
            **same,
            norm="l2",
            form="hessian",
            reduction="sum",
        ),
        _case(
            "HSTN: flow in normalised units, first warp detached",
            "hstn",
            preset="tiny",
            **same,
            flow_unit="normalised",
            detach_first_warp=True,
        ),
        *_alignment_cases(),
    ]


def _alignment_cases() -> list[ModelCase]:
    """Every network that aligns, grey and colour, with both paddings; depth 3 on sides of multiples of 8."""
    valid: dict[str, Any] = {"task": "align", "image_size": (36, 36)}
    same: dict[str, Any] = {"task": "align", "image_size": (16, 24), "padding": "same", "channels": 3}
    return [
        _case("AffineSTN: align", "affine_stn", **valid),
        _case("TPSSTN: align, 3 channels", "tps_stn", **same),
        _case("CSTN: align, 2 steps", "c_stn", **valid, steps=2),
        _case("ICSTN: align, 2 steps, 3 channels", "ic_stn", **same, steps=2, border="edge"),
        _case("HSTN: align, tiny", "hstn", **valid, preset="tiny"),
        _case("HSTN: align, 3 channels", "hstn", **same, preset="tiny"),
    ]


def functional(model: Network, images: np.ndarray, truth: np.ndarray) -> Callable[..., Tensor]:
    """The training loss as a function of the parameters: fun(*values), in the order of `model.parameters()`.

    The values, Tensors of any one dtype, take the place of the model's parameters during a call; the images take
    their dtype.
    """
    places = [
        [(module, name) for module in model.modules() for name, value in vars(module).items() if value is parameter]
        for parameter in model.parameters()
    ]

    def loss(*values: Tensor) -> Tensor:
        before = model.parameters(), model.dtype
        try:
            _replace(values, values[0].dtype)
            return model.loss(images, truth)
        finally:
            _replace(*before)

    def _replace(values, dtype) -> None:
        for owners, value in zip(places, values, strict=True):
            for module, name in owners:
                setattr(module, name, value)
        model.dtype = dtype

    return loss


def smooth_images(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise averaged over neighbours, (N, C, H, W) in [0, 1]: samples between pixels mean something."""
    noise = rng.random(shape)
    for axis in (2, 3):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)) / 3
    return noise


def _case(title: str, model: str, **options: Any) -> ModelCase:
    rng = np.random.default_rng(2018)
    images = smooth_images((2, options.get("channels", 1), *options["image_size"]), rng)
    if options.get("task") == "align":
        truth = smooth_images(images.shape, rng)
    else:
        truth = rng.integers(0, options.get("classes", 10), 2)

    def build() -> Network:
        network = models.build(model, dtype=np.float64, **options)
        rng = np.random.default_rng(7)
        for parameter in network.parameters():
            parameter.data = parameter.data + 0.05 * rng.standard_normal(parameter.shape)
        in_pixels = model == "tps_stn" and options.get("coords") == "pixel"
        for module in network.modules():  # motions of a few pixels, from the layers that give theta or offsets
            if isinstance(module, Dense) and module.weight.shape[1] in (50, 144) and not in_pixels:
                module.weight.data = (0.02 if "task" in options else 0.1) * module.weight.data
        network.eval()
        return network

    return ModelCase(title, build, images, truth, detached=options.get("detach_first_warp", False))
