"""hstn train"""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import click

from hstn_ref import config as configuration
from hstn_ref.config import SCHEDULES, RunConfig, TrainingConfig
from hstn_ref.errors import FileError

DEFAULT = TrainingConfig()


def assignments(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE options as a dict; a value is read as TOML (3, 0.5, true, [60, 60]) or else is a text."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", ctx, parameter)
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values


def height_and_width(ctx: click.Context, parameter: click.Parameter, text: str | None) -> list[int] | None:
    """ "64" or "48x64" as [H, W]."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise click.BadParameter(f"{text!r} is not of the form N or HxW", ctx, parameter)
    return [int(sides[0]), int(sides[-1])]


@click.command()
@click.option("--config", "config_file", metavar="FILE", help="A TOML file with the settings; flags override it.")
@click.option(
    "--task",
    type=click.Choice(["classify", "align"]),
    help="Cluttered digits, or pairs of images.  [default: classify]",
)
@click.option("--model", help="cnn, affine_stn, tps_stn, c_stn, ic_stn or hstn.  [default: hstn]")
@click.option("--preset", help="Size of HSTN's flow generator: tiny, small or paper.  [default: paper]")
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    callback=assignments,
    help="An option of the network's constructor, e.g. padding=same; may be repeated.",
)
@click.option("--dtype", help="float32 or float64.  [default: float32]")
@click.option(
    "--data",
    "--images",
    "source",
    metavar="SPEC",
    help="embedded, a folder with the files of MNIST, an .npz or an .h5 file; to align, embedded or a folder of "
    "images.  [default: embedded]",
)
@click.option(
    "--fresh/--fixed",
    default=None,
    help="Whether every epoch has other clutter around the digits, or other pairs.  [default: fresh]",
)
@click.option("--size", metavar="HxW", callback=height_and_width, help="Of the images to align.  [default: 64x64]")
@click.option("--pairs", type=int, help="Of images, in an epoch of training to align.  [default: 2000]")
@click.option("--out", metavar="FOLDER", help="The folder of the run.  [default: runs/MODEL]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, with its own settings.")
@click.option("--epochs", type=int, help=f"At most.  [default: {DEFAULT.epochs}]")
@click.option("--batch-size", type=int, help=f"[default: {DEFAULT.batch_size}]")
@click.option("--lr", type=float, help=f"Learning rate of Adam.  [default: {DEFAULT.lr:g}]")
@click.option(
    "--lr-multiplier",
    "lr_multipliers",
    metavar="NAME=FACTOR",
    multiple=True,
    callback=assignments,
    help="A factor to the learning rate of some parameters, e.g. localisation=0.1; may be repeated.",
)
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    help="Of the learning rate: divided by 10 on a plateau, or to zero along half a cosine.  "
    f"[default: {DEFAULT.schedule}]",
)
@click.option(
    "--restarts",
    type=int,
    help="Rounds, at first, in which everything learns at one pace, and after which the classifier begins anew.  "
    f"[default: {DEFAULT.restarts}]",
)
@click.option("--restart-epochs", type=int, help=f"Epochs of such a round.  [default: {DEFAULT.restart_epochs}]")
@click.option("--restart-lr", type=float, help=f"Learning rate in them.  [default: {DEFAULT.restart_lr:g}]")
@click.option(
    "--patience",
    type=int,
    help="Epochs without a lower validation loss after which the learning rate is divided by 10.  "
    f"[default: {DEFAULT.patience}]",
)
@click.option(
    "--reductions",
    type=int,
    help=f"Divisions of the learning rate after which training ends.  [default: {DEFAULT.reductions}]",
)
@click.option("--seed", type=int, help=f"Of weights, order and dropout.  [default: {DEFAULT.seed}]")
@click.option("--pretrain-epochs", type=int, help="Of HSTN's first stage; 0 leaves it out.  [default: as --epochs]")
@click.option(
    "--localisation-from",
    metavar="CHECKPOINT",
    help="Take HSTN's localisation network from a trained network instead of the first stage.",
)
@click.option("--checkpoint-minutes", type=float, help=f"[default: {DEFAULT.checkpoint_minutes:g}]")
@click.option("--threads", type=int, help="Results do not depend on it.  [default: all cores]")
@click.option("--quiet", is_flag=True, help="Show nothing but errors and the result.")
def train(
    config_file: str | None,
    task: str | None,
    model: str | None,
    preset: str | None,
    options: dict[str, Any],
    dtype: str | None,
    source: str | None,
    fresh: bool | None,
    size: list[int] | None,
    pairs: int | None,
    out: str | None,
    resume: bool,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    lr_multipliers: dict[str, Any],
    schedule: str | None,
    restarts: int | None,
    restart_epochs: int | None,
    restart_lr: float | None,
    patience: int | None,
    reductions: int | None,
    seed: int | None,
    pretrain_epochs: int | None,
    localisation_from: str | None,
    checkpoint_minutes: float | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Train a network on cluttered digits, or to align images.

    The procedure is that of section 4.1 of the paper: Adam with learning rate 1e-4, divided by 10 when the
    validation loss stops falling. HSTN is trained in two stages: first an Affine-STN (in the sub-folder
    affine_stn), then HSTN, whose localisation network begins with the Affine-STN's weights.

    The folder of the run then has checkpoint.h5 (the state of training), best.h5 (the network of the highest
    validation accuracy), history.jsonl, config.toml, result.json (accuracy on the test images), curves.png and
    stages.png. Ctrl-C saves before it leaves; a resumed run ends with the same bits as one without a break.

    To align, a network is trained without labels, on pairs that are cut from images and deformed at random (section
    4.2); best.h5 is then the network of the lowest difference of the images of validation.

    \b
    Examples:
      hstn train --model cnn --epochs 20
      hstn train --model hstn --preset small --data mnist/ --out runs/small
      hstn train --model c_stn --option steps=2 --out runs/c_stn_2
      hstn train --config runs/small/config.toml --seed 1 --out runs/small-1
      hstn train --resume --out runs/small
      hstn train --model hstn --localisation-from runs/affine_stn/best.h5
      hstn train --task align --images photographs/ --model hstn --preset small --size 64 --lr 1e-3 --batch-size 16
    """
    if resume and (config_file or not out):
        raise click.UsageError("--resume needs --out FOLDER and reads the settings from there, not from --config.")
    from hstn_ref.cli.output import print_results
    from hstn_ref.runs import BEST, STAGES

    flags = {
        "threads": threads,
        "data.source": source,
        "data.fresh": fresh,
        "data.size": size,
        "data.pairs": pairs,
        "model.name": model,
        "model.dtype": dtype,
        "model.options": options | {name: x for name, x in (("task", task), ("preset", preset)) if x is not None},
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.lr": lr,
        "training.lr_multipliers": lr_multipliers,
        "training.schedule": schedule,
        "training.restarts": restarts,
        "training.restart_epochs": restart_epochs,
        "training.restart_lr": restart_lr,
        "training.patience": patience,
        "training.reductions": reductions,
        "training.seed": seed,
        "training.checkpoint_minutes": checkpoint_minutes,
        "pretraining.epochs": pretrain_epochs,
        "pretraining.localisation_from": localisation_from,
    }
    if resume:
        config_file = str(Path(out or "") / "config.toml")
        if not Path(config_file).is_file():
            raise FileError(f"there is no run to resume in {out}: it has no config.toml")
    config = (configuration.read(config_file) if config_file else RunConfig()).override(flags)
    if (size or pairs) and config.model.options.get("task") != "align":
        raise click.UsageError("--size and --pairs belong to --task align.")
    out = out or f"runs/{config.model.name}"
    print_results([run(config, out, resume=resume, quiet=quiet)])
    click.echo(f"The network is in {Path(out, BEST)}, pictures in {Path(out, STAGES)}.")


def run(config: RunConfig, out: str, *, resume: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Train in the folder `out`, and return the result; say how to go on if the user stops it."""
    from autodiff.memory import keep_freed_memory
    from hstn_ref import machine, runs
    from hstn_ref.progress import announce_compilation
    from hstn_ref.stopping import Interrupted

    keep_freed_memory()
    announce_compilation(quiet=quiet)
    try:
        return runs.train(config, out, resume=resume, quiet=quiet, command=machine.command())
    except Interrupted as interruption:
        advice = f"stopped and saved; continue with: hstn train --resume --out {shlex.quote(out)}"
        raise Interrupted(advice, interruption.signal_number) from interruption
