"""The networks of the paper, one file each.

model = HSTN("small", rng=0)
logits = model(images)                    images (N, 1, 60, 60) in [0, 1] -> (N, 10)
model.loss(images, labels).backward()

model = HSTN("small", task="align", image_size=(64, 64), rng=0)
warped = model(source, target)            images (N, 1, 64, 64) -> the source in the frame of the target
model.motion(source, target)              (N, 2, 64, 64) in pixels
model.loss(source, target).backward()     no labels
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .affine_stn import AffineSTN
from .base import Network, Outputs
from .c_stn import CSTN
from .cnn import CNN
from .flow_generator import FlowGenerator
from .hstn import HSTN
from .ic_stn import ICSTN
from .tps_stn import TPSSTN
from .transformer import SpatialTransformer

MODELS: dict[str, type[Network]] = {model.name: model for model in (CNN, AffineSTN, TPSSTN, CSTN, ICSTN, HSTN)}

TABLE_1: dict[str, tuple[str, dict[str, Any]]] = {  # the rows of the paper's Table 1: `title`, name and options
    "cnn": ("cnn", {}),
    "affine_stn": ("affine_stn", {}),
    "tps_stn": ("tps_stn", {}),
    "c_stn_2": ("c_stn", {"steps": 2}),
    "c_stn_4": ("c_stn", {"steps": 4}),
    "ic_stn_2": ("ic_stn", {"steps": 2}),
    "ic_stn_4": ("ic_stn", {"steps": 4}),
    "hstn": ("hstn", {}),
}

WEIGHTS = Path(__file__).parents[1] / "weights"  # the trained networks that come with the package
NAMES = (*TABLE_1, "align")  # what they may be called: by `title`, or the one that aligns

__all__ = [
    "CNN",
    "CSTN",
    "HSTN",
    "ICSTN",
    "MODELS",
    "TABLE_1",
    "TPSSTN",
    "WEIGHTS",
    "AffineSTN",
    "FlowGenerator",
    "Network",
    "Outputs",
    "SpatialTransformer",
    "build",
    "load",
    "path_of",
]


def build(name: str, **options: Any) -> Network:
    """The network called `name` ("cnn", "affine_stn", "tps_stn", "c_stn", "ic_stn", "hstn") with its options.

    Raises ValueError for a name that is no network, an option it does not have or a value that is not of its kind;
    TypeError for a dtype that is neither float32 nor float64.
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


def load(network: str | Path) -> Network:
    """The network saved at a path by `model.save` or by training, in evaluation mode.

    A name of TABLE_1 ("cnn", ..., "hstn"), or "align", stands for the trained network of the package. Raises FileError
    for a name of which the package has no network, and as `load_model`.
    """
    from hstn_ref import checkpoint
    from hstn_ref.errors import FileError

    path = path_of(network)
    if not path.exists() and (network in NAMES or not path.suffix):
        there = ", ".join(name for name in NAMES if path_of(name).exists())
        raise FileError(f"there is no file {network}, nor has the package a network of that name; it has {there}")
    return checkpoint.load_model(path)


def path_of(network: str | Path) -> Path:
    """The file of the network of the package that has this name; any other path as it is."""
    return WEIGHTS / f"{network}.h5" if network in NAMES else Path(network)
