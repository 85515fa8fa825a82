"""hstn table1"""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click


def numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """ "0,1,2" as integers."""
    if text is None:
        return ()
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise click.BadParameter(f"{text!r} is not of the form 0,1,2", ctx, parameter)
    return tuple(dict.fromkeys(int(part) for part in text.split(",")))


@click.command()
@click.option(
    "--config",
    "config_file",
    metavar="NAME|FILE",
    help="paper, short, ablation, or a TOML file.  [default: that of the table in --out, or paper]",
)
@click.option("--data", "source", metavar="SPEC", help="As of `hstn train`.  [default: of the configuration, mnist]")
@click.option("--out", metavar="FOLDER", help="[default: runs/table1, with --quick runs/table1-quick]")
@click.option("--only", metavar="ROW", multiple=True, help="Train this row, e.g. c_stn_4; may be repeated.")
@click.option("--seeds", metavar="0,1,2", callback=numbers, help="Train these.  [default: of the configuration]")
@click.option("--quick", "reduced", is_flag=True, help="A reduced table, of few images and few epochs.")
@click.option("--report", "report_only", is_flag=True, help="Train nothing; write the table of what is finished.")
@click.option("--threads", type=int, help="Results do not depend on it.  [default: all cores]")
@click.option("--quiet", is_flag=True, help="Show nothing but errors and the table.")
def table1(
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
    """Train the eight networks of the paper's Table 1, and write the table.

    One run after the other, each in a folder of its own under FOLDER. Stop it at any time, even without warning: the
    same command goes on where it was, and what is finished is not trained again. HSTN begins with the localisation
    network of the Affine-STN of the same seed. After every run, FOLDER has table1.md and table1.json, beside the
    paper's numbers, curves.png, transformers.png and confusion.png, and flows.png of several rows of HSTN.

    \b
    Examples:
      hstn data download mnist && hstn table1
      hstn table1 --config short --out runs/table1-short
      hstn table1 --config ablation --out runs/ablation
      hstn table1 --only hstn --seeds 0
      hstn table1 --report
      hstn table1 --quick
    """
    from autodiff.memory import keep_freed_memory
    from hstn_ref import machine
    from hstn_ref.progress import announce_compilation
    from hstn_ref.stopping import Interrupted
    from hstn_ref.table1 import report, running

    folder = Path(out or ("runs/table1-quick" if reduced else "runs/table1"))
    config = _configuration(config_file, folder, reduced, report_only)
    if source is not None:
        config = replace(config, data=replace(config.data, source=source))
    if threads is not None:
        config = replace(config, threads=threads)
    config.select(only)  # says so if there is no such row
    machine.set_threads(config.threads)
    running.prepare(config, folder)
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
        advice = f"stopped and saved; continue with: hstn table1 --out {shlex.quote(str(folder))}"
        raise Interrupted(advice, interruption.signal_number) from interruption
    _print(report.write(config, folder, command=command))
    click.echo(f"Written: {folder / 'table1.md'}, {folder / 'table1.json'}")
    for sentence in failed:
        click.echo(f"hstn: error: {sentence}", err=True)
    if failed:
        raise SystemExit(1)


def _configuration(config_file: str | None, folder: Path, reduced: bool, report_only: bool) -> Any:
    """The one that was asked for, else that of the table in the folder, else the paper's."""
    from hstn_ref.config import read_as
    from hstn_ref.errors import FileError
    from hstn_ref.table1 import configuration, running

    kept = folder / running.CONFIG
    if config_file is None and kept.exists():
        config = read_as(configuration.TableConfig, kept)
        return config.quick() if reduced and not config.reduced else config
    if report_only and not kept.exists():
        raise FileError(f"there is no table in {folder}: it has no {running.CONFIG}")
    config = configuration.read(config_file or configuration.DEFAULT)
    return config.quick() if reduced else config


def _print(facts: dict[str, Any]) -> None:
    from rich.table import Table

    from hstn_ref.cli.output import console
    from hstn_ref.table1 import report

    title = f"{facts['title']}. {report.REDUCED}" if facts["reduced"] else facts["title"]
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, heading in enumerate(report.HEADINGS):
        table.add_column(heading, justify="right" if 0 < i < 7 else "left")
    for row in facts["rows"]:
        table.add_row(*(cell.replace("**", "") for cell in report.cells(row)))
    console().print(table)
