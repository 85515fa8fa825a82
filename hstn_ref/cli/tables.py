"""What `hstn table1` and `hstn table2` have in common: options, and the way from a configuration to a table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """ "0,1,2" as integers."""
    if text is None:
        return ()
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise click.BadParameter(f"{text!r} is not of the form 0,1,2", ctx, parameter)
    return tuple(dict.fromkeys(int(part) for part in text.split(",")))


def options(name: str, *, configs: str, data: str, row: str, quick: str) -> Callable[[Command], Command]:
    """The options of the command `name`; the texts say what differs."""
    texts: list[Callable[[Command], Command]] = [
        click.option("--config", "config_file", metavar="NAME|FILE", help=configs),
        click.option("--data", "source", metavar="SPEC", help=data),
        click.option("--out", metavar="FOLDER", help=f"[default: runs/{name}, with --quick runs/{name}-quick]"),
        click.option("--only", metavar="ROW", multiple=True, help=f"Run this row, e.g. {row}; may be repeated."),
        click.option(
            "--seeds", metavar="0,1,2", callback=numbers, help="Train these.  [default: of the configuration]"
        ),
        click.option("--quick", "reduced", is_flag=True, help=quick),
        click.option("--report", "report_only", is_flag=True, help="Run nothing; write the table of what is finished."),
        click.option("--threads", type=int, help="Results do not depend on it, times do.  [default: all cores]"),
        click.option("--quiet", is_flag=True, help="Show nothing but errors and the table."),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(texts):
            command = option(command)
        return command

    return decorate


def make(
    name: str,
    *,
    config_file: str | None,
    source: str | None,
    out: str | None,
    only: tuple[str, ...],
    seeds: tuple[int, ...],
    reduced: bool,
    report_only: bool,
    threads: int | None,
    quiet: bool,
) -> None:
    """Run what is not finished of the table `name`, and write and print the table."""
    from autodiff.memory import keep_freed_memory
    from hstn_ref import machine
    from hstn_ref.progress import announce_compilation
    from hstn_ref.stopping import Interrupted

    configuration, running, report = (
        import_module(f"hstn_ref.{name}.{part}") for part in ("configuration", "running", "report")
    )
    folder = Path(out or (f"runs/{name}-quick" if reduced else f"runs/{name}"))
    config = _configuration(configuration, folder / running.CONFIG, config_file, reduced, report_only)
    if source is not None:
        config = replace(config, data=replace(config.data, source=source))
    if threads is not None:
        config = replace(config, threads=threads)
    config.select(only)  # says so if there is no such row
    _check_kept(folder / f"{name}.json")
    machine.set_threads(config.threads)
    if not report_only:
        running.prepare(config, folder, only)
    keep_freed_memory()
    announce_compilation(quiet=quiet)
    command = machine.command()
    failed: list[str] = []
    try:
        if not report_only:
            failed = running.train(
                config,
                folder,
                only=only,
                seeds=seeds,
                quiet=quiet,
                command=command,
                on_finished=lambda: report.write(config, folder, command=command),
            )
    except Interrupted as interruption:
        report.write(config, folder, command=command)
        chosen = [word for row in only for word in ("--only", row)]
        chosen += ["--seeds", ",".join(map(str, seeds))] if seeds else []
        again = shlex.join(["hstn", name, "--out", str(folder), *chosen])
        advice = f"stopped and saved; continue with: {again}"
        raise Interrupted(advice, interruption.signal_number) from interruption
    _print(report, report.write(config, folder, command=command))
    click.echo(f"Written: {folder / name}.md, {folder / name}.json")
    for sentence in failed:
        click.echo(f"hstn: error: {sentence}", err=True)
    if failed:
        raise SystemExit(1)


def _check_kept(path: Path) -> None:
    """Raise FileError if the table in a file has runs that are nowhere else: a new one would be without them."""
    from hstn_ref.errors import FileError
    from hstn_ref.table1.running import folder_of

    if not path.exists():
        return
    try:
        facts = json.loads(path.read_bytes())
        finished = [(row["row"], run) for row in facts["rows"] for run in row["runs"] if run["status"] == "finished"]
        folders = [folder_of(path.parent, row, run["seed"]) for row, run in finished]
    except (ValueError, LookupError, TypeError):  # no table
        raise FileError(f"{path} is not a table that hstn wrote; move it away, or choose another folder") from None
    gone = [folder for folder in folders if not folder.exists()]
    if gone:
        raise FileError(
            f"{path} has {len(gone)} finished runs whose folders are not there, such as {gone[0]}; "
            "a new table would lose them: choose another folder"
        )


def _configuration(
    configuration: ModuleType, kept: Path, config_file: str | None, reduced: bool, report_only: bool
) -> Any:
    """The one that was asked for, else that of the table in the folder, else the default."""
    from hstn_ref.config import read_as
    from hstn_ref.errors import FileError

    if config_file is None and kept.exists():
        config = read_as(configuration.TableConfig, kept)
        return config.quick() if reduced and not config.reduced else config
    if report_only and not kept.exists():
        raise FileError(f"there is no table in {kept.parent}: it has no {kept.name}")
    config = configuration.read(config_file or configuration.DEFAULT)
    return config.quick() if reduced else config


def _print(report: ModuleType, facts: dict[str, Any]) -> None:
    from rich.table import Table

    from hstn_ref.cli.output import console

    title = f"{facts['title']}. {report.REDUCED}" if facts["reduced"] else facts["title"]
    table = Table(title=title, title_justify="left", title_style="bold")
    for i in report.BRIEF:
        table.add_column(report.HEADINGS[i], justify="right" if 0 < i < len(report.HEADINGS) - 1 else "left")
    for row in facts["rows"]:
        cells = report.cells(row)
        table.add_row(*(cells[i].replace("**", "") for i in report.BRIEF))
    console().print(table)
