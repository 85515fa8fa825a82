"""What the options of the networks may be. They come from the command line and from files: all are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

CHOICES = {
    "task": ("classify", "align"),
    "preset": ("tiny", "small", "paper"),
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

Kind = tuple[Callable[[Any], bool], str]  # whether a value is of this kind, and what the kind is


def _integer(x: Any, least: int) -> bool:
    return not isinstance(x, bool) and isinstance(x, Integral) and int(x) >= least


def _number(x: Any) -> bool:
    return not isinstance(x, bool) and isinstance(x, Real) and math.isfinite(x)


def _pair(x: Any, least: int) -> bool:
    return isinstance(x, (list, tuple)) and len(x) == 2 and all(_integer(n, least) for n in x)


def _among(names: tuple[str, ...]) -> Kind:
    return lambda x: isinstance(x, str) and x in names, f"one of {', '.join(names)}"


_COUNT: Kind = (lambda x: _integer(x, 1), "an integer of at least 1")
_WEIGHT: Kind = (lambda x: _number(x) and x >= 0, "a finite number of at least 0")

KINDS: dict[str, Kind] = {
    **{name: _among(names) for name, names in CHOICES.items()},
    **dict.fromkeys(("inputs", "channels", "classes", "steps", "base", "depth", "convs"), _COUNT),
    "image_size": (lambda x: _pair(x, 1), "height and width, two integers of at least 1"),
    "grid": (lambda x: _pair(x, 2), "rows and columns, two integers of at least 2"),
    "dropout": (lambda x: _number(x) and 0 <= x < 1, "a number of at least 0 and less than 1"),
    "alpha": _WEIGHT,
    "beta": _WEIGHT,
    "detach_first_warp": (lambda x: isinstance(x, bool), "true or false"),
}


def check_options(owner: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError for the first option whose value is not of its kind."""
    for name, x in options.items():
        if name in KINDS:
            holds, expected = KINDS[name]
            if not holds(x):
                raise ValueError(f"{owner}: {name} is {x!r}, expected {expected}")
