"""hstn evaluate"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hstn_ref.files import check_folder

if TYPE_CHECKING:
    from hstn_ref.config import DataConfig


@click.command()
@click.argument("checkpoints", metavar="CHECKPOINT...", nargs=-1, required=True)
@click.option(
    "--data",
    "--images",
    "source",
    metavar="SPEC",
    default="embedded",
    show_default=True,
    help="embedded, a folder with the files of MNIST, an .npz or an .h5 file; of networks that align, embedded or a "
    "folder of images.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--threads", type=int, help="[default: all cores]")
@click.option("--figure", metavar="PNG", help="Draw what the network sees of the first test images.")
@click.option("--json", "json_file", metavar="FILE", help="Write the results, with confusion matrices, as JSON.")
def evaluate(
    checkpoints: tuple[str, ...],
    source: str,
    batch_size: int,
    threads: int | None,
    figure: str | None,
    json_file: str | None,
) -> None:
    """Judge trained networks on test images, or, if they align, on pairs of images.

    CHECKPOINT is a file of `hstn train` (best.h5, checkpoint.h5) or of `model.save`, or the name of a network that
    comes with the package, such as hstn or align. Pairs are those of the test in the training: with the seed and the
    deformation of the config.toml beside CHECKPOINT, or, where there is none, those that a training begins with.

    \b
    Examples:
      hstn evaluate hstn
      hstn evaluate runs/hstn/best.h5 --figure stages.png
      hstn evaluate runs/*/best.h5 --data mnist/ --json results.json
    """
    if figure and len(checkpoints) > 1:
        raise click.UsageError("--figure draws one network, but there are several checkpoints.")
    for option, file, suffix in (("--json", json_file, ".json"), ("--figure", figure, ".png")):
        if file and Path(file).suffix.lower() != suffix:
            raise click.UsageError(f"{option} {file}: expected a name that ends in {suffix}.")
        if file:
            check_folder(Path(file).absolute().parent)
    from autodiff.memory import keep_freed_memory
    from hstn_ref import machine, models, runs
    from hstn_ref.cli.output import print_results
    from hstn_ref.data import open_data
    from hstn_ref.errors import DataError
    from hstn_ref.files import write_bytes
    from hstn_ref.progress import announce_compilation

    keep_freed_memory()
    announce_compilation()
    machine.set_threads(threads)
    networks = [models.load(name) for name in checkpoints]
    kinds = {(network.task, network.options.get("channels", 1), network.image_size) for network in networks}
    if len(kinds) > 1 and any(task == "align" for task, _, _ in kinds):
        raise DataError("the checkpoints differ in task, channels or size of images, expected those of one kind")
    task, channels, size = kinds.pop()
    if task == "classify":
        test = open_data(source).test
    else:
        wanted = replace(_pairs(checkpoints), source=source)
        test = runs.pairs(wanted, size, channels).test
        click.echo(f"{len(test)} test pairs of {source}, seed {wanted.seed}, {wanted.deformation}")
    results = [{"name": name, **runs.judge(models.path_of(name), test, batch_size)} for name in checkpoints]
    titles = {result["title"] for result in results}
    if len(titles) == len(results):  # short names, if they tell the rows apart
        results = [{**result, "name": result["title"]} for result in results]
    print_results(results)
    if json_file:
        write_bytes(json_file, (json.dumps(results, indent=2) + "\n").encode())
    if figure:
        from hstn_ref.plots import save_figure

        save_figure(runs.picture(networks[0], test), figure)


def _pairs(checkpoints: Sequence[str]) -> DataConfig:
    """Of which pairs the configurations tell, beside the checkpoints or, of a first stage, in the folder above."""
    from hstn_ref import config, models, runs
    from hstn_ref.errors import DataError

    found = set()
    for name in checkpoints:
        path = models.path_of(name).resolve().with_name(runs.CONFIG)
        if not path.exists() and path.parent.name == runs.FIRST_STAGE:
            path = path.parents[1] / runs.CONFIG
        data = config.read(path).data if path.exists() else config.DataConfig()
        found.add(config.DataConfig(seed=data.seed, pairs=data.pairs, deformation=data.deformation))
    if len(found) > 1:
        raise DataError("the checkpoints were trained on pairs of different seeds, numbers or deformations")
    return found.pop()
