"""The configuration of Table 2: a TOML file like that of Table 1, with pairs of images and with flows among its rows.

    seeds = [0]

    [data]
    source = "embedded"     or a folder of images
    image_size = 64         pixels, both sides
    pairs = 1600            to train with in an epoch; an eighth each to validate and to test

    [data.deformation]      how the pairs are made, hstn_ref/data/deformations.py
    rotation = 45.0

    [training]              for every network
    [options]               of every network

    [rows.brox]
    flow = "brox2004"       a row without training: one of FLOWS, hstn_ref/table2/judging.py

    [rows.hstn]
    model = "hstn"
    localisation_from = "affine_stn"

Two files come with the package: "short", an hour of one core, and "paper", the recipe of section 4.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hstn_ref import models, runs
from hstn_ref.config import DataConfig, ModelConfig, RunConfig, TrainingConfig, read_as, suggestion
from hstn_ref.data import DataSplits
from hstn_ref.deformation import Deformation
from hstn_ref.errors import ConfigError
from hstn_ref.table1.configuration import RowConfig as NetworkRow
from hstn_ref.table1.configuration import build_row, check_rows, select, without
from hstn_ref.table2.judging import FLOWS

SHIPPED = ("short", "paper")
DEFAULT = "short"


@dataclass(frozen=True)
class PairsConfig:
    """The pairs of `hstn_ref.data.open_pairs`."""

    source: str = "embedded"
    image_size: int = 64
    channels: int = 1
    pairs: int = 1600
    seed: int = 0
    deformation: Deformation = field(default_factory=Deformation)

    def of_run(self) -> DataConfig:
        """The same for one training."""
        size = (self.image_size, self.image_size)
        return DataConfig(self.source, self.seed, size=size, pairs=self.pairs, deformation=self.deformation)

    def open(self) -> DataSplits:
        """Raises as `open_pairs`."""
        data = self.of_run()
        return runs.pairs(data, data.size, self.channels)


@dataclass(frozen=True)
class RowConfig(NetworkRow):
    """A row of the table: a network, or a flow."""

    flow: str = ""


@dataclass(frozen=True)
class TableConfig:
    """Everything that decides what a table contains, and the number of threads, which only decides the times."""

    reduced: bool = False  # a trial run: `quick`
    threads: int | None = None
    seeds: tuple[int, ...] = (0,)
    data: PairsConfig = field(default_factory=PairsConfig)
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, RowConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rows(self.rows, self.seeds)
        for name, row in self.rows.items():
            source = row.localisation_from
            if source is not None and self.rows[source].flow:
                raise ConfigError(f"rows.{name}.localisation_from is {source!r}, which is a flow, expected a network")
            if not row.flow:
                self.network(name, self.seeds[0])  # finds what is wrong before hours of training
            elif row.flow not in FLOWS:
                raise ConfigError(f"rows.{name}.flow: unknown {row.flow!r}{suggestion(row.flow, FLOWS)}")
            elif row != RowConfig(flow=row.flow):
                raise ConfigError(f"rows.{name}: a flow has no other settings")

    def network(self, name: str, seed: int) -> tuple[models.Network, TrainingConfig]:
        """The untrained network of a row, and how it is trained."""
        size = (self.data.image_size, self.data.image_size)
        options = {"task": "align", "image_size": size, "channels": self.data.channels, **self.options}
        return build_row(name, self.rows[name], options, self.training, seed)

    def run(self, name: str, seed: int, source: str | None = None) -> RunConfig:
        """The configuration of one training; `source` is the checkpoint of the row that it begins with."""
        model, training = self.network(name, seed)
        network = ModelConfig(model.name, options=model.options)
        return RunConfig(self.threads, self.data.of_run(), network, training, self.rows[name].pretraining(source))

    def select(self, only: Iterable[str]) -> list[str]:
        """The names of rows, with those they begin with, in the order of the table; all for none."""
        return select(self.rows, only)

    def runs(self, only: Iterable[str] = (), seeds: Iterable[int] = ()) -> list[tuple[int, str]]:
        """(seed, row) of the rows and seeds that are wanted, all for none; a flow has one run, of the first seed."""
        names, first = self.select(only), self.seeds[0]
        wanted = [(seed, name) for seed in (tuple(seeds) or self.seeds) for name in names]
        flows = [(first, name) for name in names if self.rows[name].flow]
        return flows + [(seed, name) for seed, name in wanted if not self.rows[name].flow]

    def quick(self) -> TableConfig:
        """The reduced table: one seed, two epochs, 128 pairs of the photographs of the package."""
        training = {**self.training, "epochs": 2}
        rows = {name: replace(row, training=without(row.training, "epochs")) for name, row in self.rows.items()}
        data = replace(self.data, source="embedded", pairs=128)
        return replace(self, reduced=True, seeds=self.seeds[:1], data=data, training=training, rows=rows)


def read(source: str | os.PathLike[str] = DEFAULT) -> TableConfig:
    """The configuration of the package under that name, or that of a TOML file. Raises as `config.read_as`."""
    return read_as(TableConfig, Path(__file__).with_name(f"{source}.toml") if source in SHIPPED else source)
