"""C-STN: several affine transformations one after the other (section 4.1 (4); Lin and Lucey 2017).

    M_1 = localisation_1(I)
    I_k = sampler(I, M_k)                           the original images, warped by all steps so far
    M_k+1 = M_k o localisation_k+1(I_k)             composition of the matrices, "right"              (8)
    output = sampler(I, M_steps)

What is handed on are the parameters of the warp, not the warped image: however many steps, the result is interpolated
once, and nothing that a step moved out of sight is lost to the next. Each step has a localisation network of its own,
that of the Affine-STN, and begins as the identity. A composition of affine transformations is affine: the steps add no
capacity to the warp, but look again at what they have done.

A step sees the images warped by M_k, so its own transformation is one of *those*, and takes a position first: the right
product, which is a chain of Affine-STN without the repeated interpolation. The published code of Lin and Lucey has the
left product, localisation_k+1(I_k) o M_k: the option `compose="left"`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.nn import Module

from ..motion import affine_motion, compose_theta
from .affine_stn import localisation_layers
from .transformer import SpatialTransformer, Warp, beside


class CSTN(SpatialTransformer):
    """The compositional transformer: 374,106 parameters on 60x60 images with 4 steps, 300,274 with 2.

    steps       affine transformations, each from a localisation network of its own
    compose     "right", M_k o step, as a chain of transformers, or "left", step o M_k, as the published code
    """

    name = "c_stn"

    def __init__(
        self,
        steps: int = 4,
        *,
        compose: str = "right",
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
        options: dict[str, Any] = {"channels": channels, "classes": classes, "padding": padding, "dropout": dropout}
        options |= {"border": border, "coords": coords, "steps": steps, "compose": compose, "task": task}
        super().__init__(image_size, dtype, options)
        self.steps, self.compose = steps, compose
        rng = np.random.default_rng(rng)
        self.localisation = self._localisation({"channels": self.seen, "padding": padding, "rng": rng, "dtype": dtype})
        self.classifier = self.head(classes=classes, dropout=dropout, rng=rng)

    @property
    def title(self) -> str:
        return f"{self.name}_{self.steps}"

    def predictors(self) -> list[Module]:
        """The localisation network of every step."""
        return self.localisation

    def transform(self, source: Tensor, target: Tensor | None = None) -> Warp:
        first, *others = self.predictors()
        theta, stages = first(beside(source, target)), {}
        for k, predictor in enumerate(others, 1):
            warped = self.warped(source, self._motion(theta))
            stages[f"step {k}"] = warped
            step = predictor(beside(warped, target))
            theta = compose_theta(theta, step) if self.compose == "right" else compose_theta(step, theta)  # (8)
        motion = self._motion(theta)
        return Warp(self.warped(source, motion), motion, stages)

    def _motion(self, theta: Tensor) -> Tensor:
        return affine_motion(theta, self.image_size, coords=self.coords)  # (5)

    def _localisation(self, common: dict[str, Any]) -> Any:
        return [localisation_layers(self.image_size, **common) for _ in range(self.steps)]
