"""How far images are deformed: a setting, which data/deformations.py carries out."""

from __future__ import annotations

from dataclasses import dataclass

from hstn_ref.errors import ConfigError

LIMITS = {  # the least and the most of each
    "rotation": (0, 180),
    "scale": (0, 0.9),
    "shear": (0, 10),
    "shift": (0, 1),
    "rms": (0, 1000),
    "sigma": (0.1, 1000),
}


@dataclass(frozen=True)
class Deformation:
    """How far images are deformed. Every range is uniform; lengths are in pixels.

    Raises ConfigError for a number outside of its LIMITS.
    """

    rotation: float = 15.0  # degrees, either way
    scale: float = 0.15  # its factor s is in 1 - scale .. 1 + scale
    shear: float = 0.0  # k in deformations.py, in -shear .. shear
    shift: float = 0.1  # t is in -shift .. shift of the target's width and height
    rms: float = 1.5  # of the elastic motion |e|, pixels
    sigma: float = 8.0  # of the Gaussian that makes e smooth, pixels

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not least <= value <= most:
                raise ConfigError(f"data.deformation.{name} is {value!r}, expected a number from {least} to {most}")
