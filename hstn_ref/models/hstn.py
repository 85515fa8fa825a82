"""HSTN, the hierarchical spatial transformer network (section 3.2).

    theta  = localisation(I)               linear transformation generator
    Hx     = converter(theta)              equation (5)
    I_1    = sampler(I, Hx)                equation (6): the large displacement is gone
    w      = flow generator(I_1)           what is left
    output = sampler(I, Hx + w)            equation (3): one resampling of the source by the sum
    loss   = what the task is judged by + alpha |laplacian w| + beta |gradient w|       equation (7)

At the start theta is the identity and w is zero. In the paper's procedure the localisation network then takes over the
weights of a trained Affine-STN, and all is trained jointly (section 4.1 (6)).

To align, both generators see the target too (transformer.py), and alpha and beta weigh (7) against squared differences
of grey levels 0..255, in which the paper gives its results: for images in [0, 1] they are divided by 255^2. Against
differences of numbers in [0, 1], with beta = 1, no flow would be worth its penalty.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.ops import bending_energy, smoothness

from ..motion import affine_motion
from .affine_stn import localisation_layers
from .flow_generator import FlowGenerator
from .transformer import SpatialTransformer, Warp, beside

GREY_LEVELS = 255
PRESETS = {"tiny": (8, 1), "small": (16, 1), "paper": (32, 2)}  # base filters, convolutions a level


class HSTN(SpatialTransformer):
    """The hierarchical spatial transformer: 567,936 parameters on 60x60 images with the preset "paper".

    It has the options of SpatialTransformer, and others, which answer what the paper leaves open; the defaults are the
    readings that docs/paper-map.md recommends.

    preset            size of the flow generator: "tiny", "small", "paper"
    depth             its halvings: by default 2, as 60 = 4 x 15 allows without odd sizes, and in an alignment 3 where 8
                      divides both sides of the images
    alpha, beta       weights of bending energy and smoothness in (7), see above; norm, form, reduction: as in those ops
    flow_unit         "pixel", the unit of the penalty, or "normalised", where the image is 2 wide
    combine           "sum", Hx + w as printed, or "compose", the linear motion taken at x + w(x)
    detach_first_warp whether the localisation network gets no gradient through the flow generator's input
    down, crop        as in FlowGenerator
    """

    name = "hstn"

    def __init__(
        self,
        preset: str = "paper",
        *,
        depth: int | None = None,
        image_size: tuple[int, int] = (60, 60),
        channels: int = 1,
        classes: int = 10,
        padding: str = "valid",
        dropout: float = 0.5,
        border: str = "zeros",
        coords: str = "normalised",
        alpha: float = 0.01,
        beta: float = 1.0,
        norm: str = "l1",
        form: str = "laplacian",
        reduction: str = "mean",
        flow_unit: str = "pixel",
        combine: str = "sum",
        detach_first_warp: bool = False,
        down: str = "pool",
        crop: str = "last",
        task: str = "classify",
        dtype: Any = np.float32,
        rng: int | np.random.Generator = 0,
    ):
        options = {name: x for name, x in locals().items() if name not in _NOT_OPTIONS}
        if depth is None:
            del options["depth"]
        super().__init__(image_size, dtype, options)
        self.combine, self.detach_first_warp = combine, detach_first_warp
        self.alpha, self.beta, self.norm, self.form, self.reduction = alpha, beta, norm, form, reduction
        H, W = self.image_size
        per_pixel = 1.0 if flow_unit == "pixel" else np.array([2 / (W - 1), 2 / (H - 1)]).reshape(2, 1, 1)
        self.unit = 1.0 if task == "classify" else GREY_LEVELS**-2  # of alpha and beta
        self.per_pixel = np.asarray(per_pixel, dtype)  # what one pixel of motion counts in the penalty
        rng = np.random.default_rng(rng)
        common: dict[str, Any] = {"rng": rng, "dtype": dtype}
        self.localisation = localisation_layers(self.image_size, channels=self.seen, padding=padding, **common)
        base, convs = PRESETS[preset]
        if depth is None:
            depth = 3 if task == "align" and H % 8 == W % 8 == 0 else 2
        if min(H, W) < 2**depth:
            raise ValueError(f"HSTN: depth is {depth}, expected halvings that leave something of images {(H, W)}")
        self.flow_generator = FlowGenerator(self.seen, base, depth, convs, down=down, crop=crop, **common)
        self.classifier = self.head(classes=classes, dropout=dropout, rng=rng)

    def transform(self, source: Tensor, target: Tensor | None = None) -> Warp:
        theta = self.localisation(beside(source, target))
        Hx = affine_motion(theta, self.image_size, coords=self.coords)  # (5)
        linear = self.warped(source, Hx)
        w = self.flow_generator(beside(linear.detach() if self.detach_first_warp else linear, target))
        motion = self._combined(theta, Hx, w)
        return Warp(self.warped(source, motion), motion, {"linear": linear, "flow": w}, self.penalty(w))  # (3)

    def penalty(self, w: Tensor) -> Tensor:
        """alpha |laplacian w| + beta |gradient w| of the flow w (N, 2, H, W) in pixels: equation (7), a scalar."""
        w = w * self.per_pixel.astype(w.dtype)
        bending = bending_energy(w, norm=self.norm, form=self.form, reduction=self.reduction)
        smooth = smoothness(w, norm=self.norm, reduction=self.reduction)
        return bending * (self.alpha * self.unit) + smooth * (self.beta * self.unit)  # (7)

    def _combined(self, theta: Tensor, Hx: Tensor, w: Tensor) -> Tensor:
        if self.combine == "sum":
            return Hx + w
        return w + affine_motion(theta, self.image_size, coords=self.coords, after=w)


_NOT_OPTIONS = ("self", "__class__", "image_size", "dtype", "rng")
