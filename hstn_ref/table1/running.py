"""Training the runs of a table, one at a time, each in a folder of its own.

    table1.toml             the configuration
    cnn/seed-0/             a run, see runs.py; it is finished when it has result.json
    table1.md, table1.json, curves.png, transformers.png, confusion.png, flows.png      the report, see report.py

All state is in the folders of the runs, so a table that was stopped at any moment goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hstn_ref import config as configuration
from hstn_ref import runs
from hstn_ref.config import RunConfig
from hstn_ref.errors import ConfigError
from hstn_ref.progress import announce
from hstn_ref.table1.configuration import TableConfig
from hstn_ref.training import BEST, Diverged

CONFIG = "table1.toml"
MAY_CHANGE = ("threads", "seeds", "data.source")  # between two calls; the runs know the content of the data


def folder_of(out: Path, row: str, seed: int) -> Path:
    """The folder of a run."""
    return out / row / f"seed-{seed}"


def finished(out: Path, row: str, seed: int) -> bool:
    return (folder_of(out, row, seed) / runs.RESULT).exists()


def prepare(config: TableConfig, out: Path, only: Iterable[str] = ()) -> None:
    """Write the configuration into the folder of the table, after everything that would end the table hours later.

    Raises ConfigError if the folder has runs of a table of another one, or for networks that do not fit the data;
    as `open_data`; FileError if the folder cannot be written.
    """
    check_unchanged(config, out / CONFIG)
    wanted = [config.run(row, config.seeds[0]) for row in config.select(only)]
    data = runs.images(wanted[0])  # the same for all rows
    for run in wanted:
        runs.build(run, data)
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
    """Train what is not finished, seed by seed and row by row; returns a sentence for each run that failed.

    `only` and `seeds` choose, all if empty; a row that another begins with is trained too. A run that was stopped
    goes on, to the same bits as without the break. `on_finished()` is called after each run. A run whose loss is not
    finite any more fails, and the others go on; Interrupted and errors of files and data end the table.
    """
    wanted = [(seed, row) for seed in (tuple(seeds) or config.seeds) for row in config.select(only)]

    def train_one(row: str, seed: int) -> None:
        _train_one(config, out, row, seed, quiet=quiet, command=command)

    return in_turn(wanted, out, train_one, reduced=config.reduced, quiet=quiet, on_finished=on_finished)


def in_turn(
    runs: Iterable[tuple[int, str]],
    out: Path,
    train_one: Callable[[str, int], None],
    *,
    reduced: bool,
    quiet: bool,
    on_finished: Callable[[], Any],
) -> list[str]:
    """train_one(row, seed) for every (seed, row) that is not finished; a sentence for each that failed."""
    todo = [(seed, row) for seed, row in runs if not finished(out, row, seed)]
    prefix = "REDUCED TABLE, run" if reduced else "run"
    failed = []
    for number, (seed, row) in enumerate(todo, 1):
        announce(f"{prefix} {number} of {len(todo)}: {row}, seed {seed}", quiet=quiet)
        try:
            train_one(row, seed)
        except (Diverged, Waits) as error:
            failed.append(f"{row}, seed {seed}: {error}")
            announce(failed[-1], quiet=quiet)
        else:
            on_finished()
    return failed


class Waits(Exception):
    """The run begins with one that is not finished."""


def localisation_source(out: Path, source: str | None, seed: int) -> str | None:
    """The checkpoint of the row that a run begins with. Raises Waits if that is not finished."""
    if source is None:
        return None
    if not finished(out, source, seed):
        raise Waits(f"it begins with {source} of the same seed, which is not finished")
    return str(folder_of(out, source, seed) / BEST)


def _train_one(config: TableConfig, out: Path, row: str, seed: int, *, quiet: bool, command: str) -> None:
    folder = folder_of(out, row, seed)
    run = config.run(row, seed, localisation_source(out, config.rows[row].localisation_from, seed))
    resume = (folder / runs.CONFIG).exists()  # which is written first of all
    if resume:
        run = _as_begun(run, folder / runs.CONFIG)
    runs.train(run, folder, resume=resume, quiet=quiet, command=command)


def _as_begun(run: RunConfig, path: Path) -> RunConfig:
    """The configuration with the first stage's path as it was, whatever the folder is called from here."""
    return replace(run, pretraining=configuration.read(path).pretraining)


def check_unchanged(config: Any, path: Path) -> None:
    """Raise ConfigError unless a table may go on with this configuration instead of the one in its folder, `path`."""
    if not path.exists() or not any(path.parent.glob("*/seed-*")):
        return
    before = configuration.read_as(type(config), path)
    was, now = runs.flat(configuration.to_dict(before)), runs.flat(configuration.to_dict(config))
    for name in sorted(was.keys() | now.keys()):
        added = name.startswith("rows.") and name.split(".")[1] not in before.rows
        if name not in MAY_CHANGE and not added and was.get(name) != now.get(name):
            raise ConfigError(
                f"{path} has {name} = {was.get(name)}; choose another folder for a table with {now.get(name)}"
            )
