"""The configuration of a table: a TOML file with a recipe for all rows, and what is different in some.

    seeds = [0, 1, 2]

    [data]
    source = "mnist"

    [training]              as in the configuration of a run, for every row
    lr_multipliers = { localisation = 0.1 }     where a network has such parameters

    [options]               of every network
    dropout = 0.1

    [rows.hstn]             the rows, in their order; the name is that of the folder
    model = "hstn"
    localisation_from = "affine_stn"            the row whose run of the same seed HSTN begins with
    options = { preset = "small" }
    training = { epochs = 12 }

Three files come with the package: "paper", the recipe of section 4.1; "short", one of 18 to 28 epochs; "ablation",
HSTN with other weights and norms of the penalty (7) and without its first stage, reduced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hstn_ref import models
from hstn_ref.config import (
    ConfigError,
    DataConfig,
    ModelConfig,
    PretrainingConfig,
    RunConfig,
    TrainingConfig,
    from_dict,
    read_as,
    suggestion,
)
from hstn_ref.pretraining import own_factors

SHIPPED = ("paper", "short", "ablation")
DEFAULT = "paper"


@dataclass(frozen=True)
class RowConfig:
    """A row of the table: a network, and what is different from the other rows."""

    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    localisation_from: str | None = None

    def pretraining(self, source: str | None) -> PretrainingConfig:
        """The first stage of its runs: `source`, the checkpoint of the row that they begin with, or none."""
        begins_afresh = self.model == "hstn" and source is None
        return PretrainingConfig(0 if begins_afresh else None, source)


@dataclass(frozen=True)
class TableConfig:
    """Everything that decides what a table contains, and the number of threads, which does not."""

    title: str = "Table 1"
    reduced: bool = False  # few images and epochs, and the report says so
    threads: int | None = None
    seeds: tuple[int, ...] = (0,)
    data: DataConfig = field(default_factory=DataConfig)
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, RowConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rows(self.rows, self.seeds)
        for name in self.rows:
            self.run(name, self.seeds[0])  # finds what is wrong before hours of training

    def run(self, name: str, seed: int, source: str | None = None) -> RunConfig:
        """The configuration of one run; `source` is the checkpoint of the row that it begins with."""
        row = self.rows[name]
        _, training = build_row(name, row, self.options, self.training, seed)
        options = {**self.options, **row.options}
        model = ModelConfig(row.model, options=options)
        return RunConfig(self.threads, self.data, model, training, row.pretraining(source))

    def select(self, only: Iterable[str]) -> list[str]:
        """The names of rows, with those they begin with, in the order of the table; all for none."""
        return select(self.rows, only)

    def quick(self) -> TableConfig:
        """The reduced table: one seed, two epochs, 512 images of the package to train, validate and test."""
        training = {**self.training, "epochs": 2, "restarts": 0}
        rows = {
            name: replace(row, training=without(row.training, "epochs", "restarts")) for name, row in self.rows.items()
        }
        data = replace(self.data, source="embedded", images=512)
        return replace(self, reduced=True, seeds=self.seeds[:1], data=data, training=training, rows=rows)


PARTS = ("localisation", "flow_generator", "classifier")  # of the networks


def read(source: str | os.PathLike[str] = DEFAULT) -> TableConfig:
    """The configuration of the package under that name, or that of a TOML file. Raises as `config.read_as`."""
    return read_as(TableConfig, Path(__file__).with_name(f"{source}.toml") if source in SHIPPED else source)


def check_rows(rows: Mapping[str, RowConfig], seeds: tuple[int, ...]) -> None:
    """Raise ConfigError unless names, seeds, and what begins with what make a table."""
    if not rows:
        raise ConfigError("the table has no rows, expected at least one [rows.NAME]")
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds is {list(seeds)}, expected different numbers from 0")
    earlier: list[str] = []
    for name, row in rows.items():
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ConfigError(f"rows.{name}: the name is that of a folder, expected letters, digits and _")
        source = row.localisation_from
        if source is not None and source not in earlier:
            raise ConfigError(f"rows.{name}.localisation_from is {source!r}, expected the name of a row above it")
        earlier.append(name)


def build_row(
    name: str, row: RowConfig, options: Mapping[str, Any], common: Mapping[str, Any], seed: int
) -> tuple[models.Network, TrainingConfig]:
    """The untrained network of a row, and how it is trained. `options` and `common` are those of all rows."""
    if "seed" in {**common, **row.training}:
        raise ConfigError("training.seed: the seeds of a table are its key seeds")
    try:
        model = models.build(row.model, rng=seed, **{**options, **row.options})
        training = from_dict(TrainingConfig, {**common, **row.training, "seed": seed}, "training.")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"rows.{name}: {error}") from error
    if row.localisation_from is not None and row.model != "hstn":
        raise ConfigError(f"rows.{name}.localisation_from: only hstn begins with another network, not {row.model}")
    for prefix in training.lr_multipliers:
        if prefix.partition(".")[0] not in PARTS:
            raise ConfigError(f"training.lr_multipliers: no network has {prefix!r}{suggestion(prefix, PARTS)}")
    return model, replace(training, lr_multipliers=own_factors(training.lr_multipliers, model))


def select(rows: Mapping[str, RowConfig], only: Iterable[str]) -> list[str]:
    """The names of rows, with those they begin with, in their order; all for none."""
    wanted = set(only)
    for name in wanted:
        if name not in rows:
            raise ConfigError(f"there is no row {name!r}{suggestion(name, rows)}")
    begun: set[str] = set()
    while begun != wanted:
        begun = set(wanted)
        wanted |= {source for name in begun if (source := rows[name].localisation_from)}
    return [name for name in rows if name in wanted or not wanted]


def without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in names}
