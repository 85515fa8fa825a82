"""What the second stage of HSTN takes over from the first, section 4.1 (6): the weights of a localisation network."""

from __future__ import annotations

import os
from collections.abc import Mapping

from autodiff.nn import Module
from hstn_ref import models
from hstn_ref.config import RunConfig
from hstn_ref.errors import ConfigError, DataError
from hstn_ref.trainer import under


def check_pretraining(config: RunConfig) -> None:
    """Raise ConfigError if a first stage is asked for of a network that has none."""
    asked = config.pretraining.localisation_from is not None or config.pretraining.epochs is not None
    if asked and config.model.name != "hstn":
        raise ConfigError(f"pretraining is a stage of hstn; the model is {config.model.name}")


def copy_localisation(path: str | os.PathLike[str], target: models.Network) -> None:
    """Give `target` the weights of the localisation network of a checkpoint, or of a network of the package.

    Raises as `models.load`; DataError if there is no such part, or it means something else by its numbers.
    """
    source = models.load(os.fspath(path))
    if not isinstance(getattr(source, "localisation", None), Module):  # a c_stn has several
        raise DataError(f"{path}: the model {source.name!r} has no localisation network to begin with")
    for option in ("coords", "border"):
        found, wanted = (network.options.get(option) for network in (source, target))
        if found != wanted:
            raise DataError(f"{path}: the localisation network has learned with {option} {found!r}, not {wanted!r}")
    try:
        target.localisation.load_state(source.localisation.state())  # type: ignore[attr-defined]
    except ValueError as error:
        raise DataError(f"{path}: the localisation network does not fit {target.name}: {error}") from error


def own_factors(factors: Mapping[str, float], model: models.Network) -> dict[str, float]:
    """Those of the multipliers that are of parameters which the network has."""
    names = [name for name, _ in model.named_parameters()]
    return {prefix: x for prefix, x in factors.items() if any(under(prefix, name) for name in names)}
