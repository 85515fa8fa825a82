"""How far images are deformed: a setting, which data/deformations.py carries out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Deformation:
    """How far images are deformed. Every range is uniform; lengths are in pixels."""

    rotation: float = 15.0  # degrees, either way
    scale: float = 0.15  # its factor s is in 1 - scale .. 1 + scale
    shear: float = 0.0  # k in deformations.py, in -shear .. shear
    shift: float = 0.1  # t is in -shift .. shift of the target's width and height
    rms: float = 1.5  # of the elastic motion |e|, pixels
    sigma: float = 8.0  # of the Gaussian that makes e smooth, pixels
