"""The runs of Table 2, one at a time, each in a folder of its own.

    table2.toml             the configuration
    affine_stn/seed-0/      a training: config.toml, checkpoint.h5, best.h5, history.jsonl as in runs.py, result.json
    brox/seed-0/            a flow: result.json alone
    table2.md, table2.json, alignments.png     the report, see report.py

A run is finished when it has result.json. All state is in these folders, so a table that was stopped at any moment goes
on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hstn_ref import config as configuration
from hstn_ref import machine, runs
from hstn_ref.checkpoint import load_model
from hstn_ref.data import DataSplits
from hstn_ref.files import write_bytes
from hstn_ref.pretraining import copy_localisation
from hstn_ref.table1 import running
from hstn_ref.table1.running import folder_of
from hstn_ref.table2.configuration import TableConfig
from hstn_ref.table2.judging import FLOWS, judge, of_network
from hstn_ref.training import BEST, CHECKPOINT, fit

CONFIG = "table2.toml"


def prepare(config: TableConfig, out: Path, only: Iterable[str] = ()) -> None:
    """Write the configuration into the folder of the table. Raises as that of Table 1."""
    running.check_unchanged(config, out / CONFIG)
    config.data.open()
    for row in config.select(only):
        if not config.rows[row].flow:
            config.network(row, config.seeds[0])
    configuration.write(config, out / CONFIG)


def train(
    config: TableConfig,
    out: Path,
    *,
    only: Iterable[str] = (),
    seeds: Iterable[int] = (),
    quiet: bool = False,
    command: str = "",
    on_finished: Callable[[], Any] = lambda: None,
) -> list[str]:
    """Run what is not finished, flows first; returns a sentence for each run that failed. As that of Table 1."""
    data, threads = config.data.open(), machine.set_threads(config.threads)

    def run(row: str, seed: int) -> None:
        found = (
            _train_one(config, data, out, row, seed, quiet=quiet)
            if not config.rows[row].flow
            else _flow(config.rows[row].flow, data)
        )
        found |= {
            "seed": seed,
            "threads": threads,
            "data": {"source": config.data.source, **data.attributes},
            "command": command,
            "commit": machine.commit(),
            "machine": machine.describe(),
        }
        write_bytes(folder_of(out, row, seed) / runs.RESULT, (json.dumps(found, indent=2) + "\n").encode())  # the last

    wanted = config.runs(only, seeds)
    return running.in_turn(wanted, out, run, reduced=config.reduced, quiet=quiet, on_finished=on_finished)


def _flow(name: str, data: DataSplits) -> dict[str, Any]:
    motion = FLOWS[name]
    if motion is not None:
        motion(*data.test.batch([0])[:2])  # compiles, so that it is not timed
    return {"flow": name, **judge(motion, data.test, batched=False)}


def _train_one(config: TableConfig, data: DataSplits, out: Path, row: str, seed: int, *, quiet: bool) -> dict[str, Any]:
    folder = folder_of(out, row, seed)
    source = running.localisation_source(out, config.rows[row].localisation_from, seed)
    model, training = config.network(row, seed)
    configuration.write(config.run(row, seed, source), folder / runs.CONFIG)
    if source is not None and not (folder / CHECKPOINT).exists():
        copy_localisation(source, model)
    result = fit(model, data, **asdict(training), folder=folder, resume=True, quiet=quiet)
    best = load_model(folder / BEST)
    return {
        "model": best.name,
        "options": best.options,
        "parameters": sum(parameter.size for parameter in best.parameters()),
        "epochs": len(result.history),
        "best_epoch": result.best.epoch,
        "seconds": sum(epoch.seconds for epoch in result.history),
        **judge(of_network(best), data.test, batched=True),
    }
