"""hstn data make, inspect, download"""

from __future__ import annotations

import json
from typing import Any

import click


@click.group()
def data() -> None:
    """Make, inspect and download data sets.

    \b
    Where a command takes a data set, SPEC is one of
      embedded      the digits that come with the package (10,000 to train, 1,000 to validate, 2,000 to test)
      FOLDER        the four files of MNIST, as `hstn data download` fetches them
      FILE.npz      the published cluttered set
      FILE.h5       a file of `hstn data make`
    """


@data.command()
@click.argument("file", metavar="FILE.h5")
@click.option("--digits", metavar="SPEC", default="embedded", show_default=True, help="embedded or a folder.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--canvas", type=int, nargs=2, default=(60, 60), show_default=True, help="Height and width, pixels.")
@click.option("--distractors", type=int, default=6, show_default=True, help="Scraps of other digits.")
@click.option("--patch", type=int, default=8, show_default=True, help="The side of a scrap, pixels.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def make(file: str, digits: str, seed: int, canvas: tuple[int, int], distractors: int, patch: int, quiet: bool) -> None:
    """Put digits among clutter, each once, and write them to a file.

    The defaults make the set of section 4.1: one digit on 60x60 pixels with six 8x8 pieces of others.

    \b
    Examples:
      hstn data make cluttered.h5
      hstn data make mnist60.h5 --digits mnist/ --seed 1
    """
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress

    from hstn_ref.data import Clutter, open_data, write_dataset
    from hstn_ref.errors import DataError

    if Path(file).suffix not in (".h5", ".hdf5"):
        raise DataError(f"{file}: the name of a data set that is written ends in .h5 or .hdf5; it could not be opened")
    splits = open_data(digits, seed=seed, fresh=False, clutter=Clutter(canvas, distractors, patch))
    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(file)
        write_dataset(file, splits, progress=lambda done, total: bar.update(task, completed=done, total=total))
    sizes = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    click.echo(f"{file}: {sizes} images of {canvas[0]}x{canvas[1]} pixels")


@data.command()
@click.argument("spec", default="embedded")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(spec: str, as_json: bool) -> None:
    """Sizes, classes and statistics of a data set (digits without clutter).

    \b
    Examples:
      hstn data inspect
      hstn data inspect cluttered.h5 --json
    """
    from hstn_ref.data import inspect as inspect_data

    facts = inspect_data(spec)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print_facts(facts)


def _print_facts(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading, justify in (("split", "left"), ("images", "right"), ("of each class", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for heading in ("mean", "std", "ink"):
        table.add_column(heading, justify="right")
    for name, split in facts["splits"].items():
        classes = f"{min(split['per_class'])} to {max(split['per_class'])}"
        numbers = (f"{split[key]:.4f}" for key in ("mean", "std", "positive"))
        table.add_row(name, f"{split['images']:,}", classes, *numbers)
    H, W = facts["image_size"]
    click.echo(f"{facts['path']}: images of {H}x{W} pixels")
    for name, value in facts["attributes"].items():
        click.echo(f"  {name}: {value}")
    Console(highlight=False).print(table)


@data.command()
@click.argument("folder", default="mnist")
@click.option("--url", metavar="URL", help="Another place that has the four files.")
def download(folder: str, url: str | None) -> None:
    """Fetch the four files of MNIST (11 MB) into FOLDER, and check them.

    \b
    Example:
      hstn data download mnist/
    """
    from hstn_ref.data import MNIST_URL, download_mnist

    def announce(address: str) -> None:
        click.echo(f"fetching {address}", err=True)

    for path in download_mnist(folder, base_url=url or MNIST_URL, announce=announce):
        click.echo(path)
