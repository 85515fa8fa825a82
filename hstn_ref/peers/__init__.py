"""The ops and networks of this package in other frameworks, to be compared with: they judge, nothing here needs them.

A module is imported only where its framework is asked for; the `verify` extra installs them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """The options of the networks of `hstn_ref.models`, for all of them, with the same names and defaults."""

    preset: str = "paper"
    depth: int | None = None
    image_size: tuple[int, int] = (60, 60)
    channels: int = 1
    classes: int = 10
    padding: str = "valid"
    dropout: float = 0.5
    border: str = "zeros"
    coords: str = "normalised"
    alpha: float = 0.01
    beta: float = 1.0
    norm: str = "l1"
    form: str = "laplacian"
    reduction: str = "mean"
    flow_unit: str = "pixel"
    combine: str = "sum"
    detach_first_warp: bool = False
    down: str = "pool"
    crop: str = "last"
    grid: tuple[int, int] = (4, 4)
    steps: int = 4
    compose: str = "right"
    task: str = "classify"

    @property
    def seen(self) -> int:
        """How many channels a generator sees."""
        return self.channels * (2 if self.task == "align" else 1)

    @property
    def flow_generator(self) -> tuple[int, int, int]:
        """(base filters, depth, convolutions a level) of HSTN."""
        base, convs = {"tiny": (8, 1), "small": (16, 1), "paper": (32, 2)}[self.preset]
        deep = self.task == "align" and all(n % 8 == 0 for n in self.image_size)
        return base, self.depth or (3 if deep else 2), convs

    @property
    def scale(self) -> tuple[float, float]:
        """(x, y): how many pixels a unit of theta's coordinates is."""
        H, W = self.image_size
        longest = (max(H, W) - 1) / 2
        return {"normalised": ((W - 1) / 2, (H - 1) / 2), "isotropic": (longest, longest), "pixel": (1.0, 1.0)}[
            self.coords
        ]
