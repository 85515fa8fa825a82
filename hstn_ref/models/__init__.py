"""The networks of the paper, one file each.

model = HSTN("small", rng=0)
logits = model(images)                    images (N, 1, 60, 60) in [0, 1] -> (N, 10)
model.loss(images, labels).backward()
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .affine_stn import AffineSTN
from .base import Classifier, Outputs
from .cnn import CNN
from .flow_generator import FlowGenerator
from .hstn import HSTN

MODELS: dict[str, type[Classifier]] = {model.name: model for model in (CNN, AffineSTN, HSTN)}

__all__ = ["CNN", "HSTN", "MODELS", "AffineSTN", "Classifier", "FlowGenerator", "Outputs", "build", "load"]


def build(name: str, **options: Any) -> Classifier:
    """The network called `name` ("cnn", "affine_stn", "hstn") with its constructor's options.

    Raises ValueError for a name that is no network or an option it does not have.
    """
    import difflib
    import inspect

    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown model {name!r}, expected one of {', '.join(MODELS)}{hint}")
    known = inspect.signature(MODELS[name]).parameters
    if unknown := options.keys() - known.keys():
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    return MODELS[name](**options)


def load(path: str | Path) -> Classifier:
    """The network saved at `path` by `model.save` or by training, in evaluation mode."""
    from hstn_ref import checkpoint

    return checkpoint.load_model(path)
