"""hstn demo"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hstn_ref.config import RunConfig

SHORT: dict[str, Any] = {  # learns fast: small steps of a small batch, little dropout; the paper's recipe takes hours
    "model.options": {"preset": "small", "dropout": 0.1},
    "training.epochs": 4,
    "training.batch_size": 32,
    "training.lr": 1e-3,
    "training.lr_multipliers": {"localisation": 0.1, "flow_generator": 0.1},
    "pretraining.epochs": 3,
}


@click.command()
@click.option("--out", metavar="FOLDER", default="runs/demo", show_default=True)
@click.option("--threads", type=int, help="[default: all cores]")
def demo(out: str, threads: int | None) -> None:
    """Show everything in a short run.

    In one or two minutes on two cores it trains a small HSTN from scratch on the digits of the package, with
    other clutter in every epoch: the localisation network first, as part of an Affine-STN, then all of it jointly.
    Then it judges this network, and the trained ones that come with the package, on the test digits, and draws what
    they see.

    \b
    Example:
      hstn demo
    """
    from hstn_ref import machine, runs
    from hstn_ref.checkpoint import load_model
    from hstn_ref.cli.output import print_results
    from hstn_ref.cli.train import run
    from hstn_ref.config import RunConfig
    from hstn_ref.data import open_data
    from hstn_ref.files import locked
    from hstn_ref.plots import save_figure

    config = RunConfig().override({"threads": threads, **SHORT})
    machine.set_threads(config.threads)
    with locked(out):  # by another demo perhaps, whose files these are
        _make_room(config, Path(out))
        result = run(config, out)
    click.echo(
        f"A short run: test accuracy {result['accuracy']:.4f} after {sum(result['epochs'].values())} epochs "
        f"in {result['seconds']:.0f} s; the paper's networks were trained until they stopped improving."
    )
    test = open_data(config.data.source, seed=config.data.seed).test
    rows = [{**result, "name": "hstn small, this short run"}]
    pictures = [Path(out, runs.STAGES)]
    for path in runs.trained_networks():
        rows.append({**runs.judge(path, test), "name": f"{path.stem}, shipped"})
        if path.stem == "hstn":
            pictures.append(Path(out, "stages_trained.png"))
            save_figure(runs.picture(load_model(path), test), pictures[-1])
    print_results(rows, title=f"Accuracy on the {len(test)} test digits of the package")
    click.echo(f"What the networks see: {', '.join(map(str, pictures))}")


def _make_room(config: RunConfig, folder: Path) -> None:
    """Remove what a demo before has left in the folder; a run of another kind is refused when this one begins."""
    from hstn_ref import runs
    from hstn_ref.config import read

    path = folder / runs.CONFIG
    if path.exists():
        before = read(path)
        same = ("data", "training", "pretraining")
        if before.model.name == config.model.name and all(getattr(before, x) == getattr(config, x) for x in same):
            runs.remove(folder)
