"""The state of a training between two steps, to a checkpoint and back.

What is stored is everything that decides the next step: weights, Adam's moments, step count and learning
rate, the plateau's memory, the dropout generators, the step in the epoch; and what has been summed up so far.
A run that was stopped after any step, and resumed, therefore ends with the same bits as one that was not.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.nn import Module
from hstn_ref.checkpoint import Checkpoint, TrainingState, load_weights
from hstn_ref.config import TrainingConfig, to_dict
from hstn_ref.errors import DataError
from hstn_ref.history import Sums

if TYPE_CHECKING:
    from hstn_ref.trainer import Trainer


def generators(model: Module) -> list[np.random.Generator]:
    """The random generators that the modules of a network draw from, each once."""
    drawn_from = (getattr(module, "rng", None) for module in model.modules())
    return list(dict.fromkeys(rng for rng in drawn_from if isinstance(rng, np.random.Generator)))


def capture(trainer: Trainer) -> Checkpoint:
    """The state of a training."""
    optimiser = trainer.optimiser
    state = {
        "config": to_dict(trainer.config),
        "data": _identity(trainer),
        "adam": {"t": optimiser.t, "lr": optimiser.lr},
        "plateau": trainer.plateau.state(),
        "generators": [generator.bit_generator.state for generator in trainer.generators],
        "step": trainer.step,
        "sums": asdict(trainer.sums),
        "history": [asdict(epoch) for epoch in trainer.history],
    }
    m = dict(zip(trainer.parameters, optimiser.m, strict=True))
    v = dict(zip(trainer.parameters, optimiser.v, strict=True))
    return Checkpoint.of(trainer.model, TrainingState(m, v, state))


def restore(trainer: Trainer, checkpoint: Checkpoint, path: Path) -> None:
    """Bring a new training into the state of a checkpoint, which was read from `path`.

    Raises DataError if it is of another network, other data, or another configuration.
    """
    if checkpoint.training is None:
        raise DataError(f"{path}: the file holds a network but no state of training to resume")
    state = checkpoint.training.state
    _check_unchanged(trainer, state, path)
    load_weights(trainer.model, checkpoint, path)
    try:
        m = [checkpoint.training.m[name] for name in trainer.parameters]
        v = [checkpoint.training.v[name] for name in trainer.parameters]
        trainer.optimiser.load_state({**state["adam"], "m": m, "v": v})
        trainer.plateau.load_state(state["plateau"])
        for generator, stored in zip(trainer.generators, state["generators"], strict=True):
            generator.bit_generator.state = stored
        trainer.step, trainer.sums = state["step"], Sums(**state["sums"])
        trainer.history = [trainer.task.epoch(**epoch) for epoch in state["history"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the state of training does not fit: {error}") from error


def _check_unchanged(trainer: Trainer, state: dict[str, Any], path: Path) -> None:
    """What decides the bits must be as it was."""
    present = {**to_dict(trainer.config), **_identity(trainer)}
    before = {**to_dict(TrainingConfig()), **state["config"], **state["data"]}  # older files lack newer keys
    free = set(trainer.config.may_change)
    if "data.source_sha256" in present and "data.source_sha256" in before:
        free.add("data.source")  # the same digits may lie in a folder of another name
    for name in sorted((present.keys() | before.keys()) - free):
        if present.get(name) != before.get(name):
            raise DataError(
                f"{path}: the run was started with {name} = {before.get(name)}, "
                f"and cannot be resumed with {present.get(name)}"
            )


def _identity(trainer: Trainer) -> dict[str, Any]:
    """What is known of the data."""
    sizes = {f"data.{name}": f"{len(split)} images" for name, split in trainer.data.items()}
    return {**sizes, **{f"data.{name}": value for name, value in trainer.data.attributes.items()}}
