"""One run, one folder: from a configuration to a trained network and its results.

    config.toml       the configuration, every option of the network spelt out
    checkpoint.h5     the state of training, see checkpoint.py
    best.h5           the network of the best epoch on the validation images, the one that is judged
    history.jsonl     a line an epoch
    affine_stn/       the same for the first stage, if the network is HSTN
    result.json       what it achieves on the test images, time, and where they come from
    curves.png, stages.png

HSTN is trained in the two stages of section 4.1 (6): an Affine-STN; then HSTN, whose localisation network begins
with the Affine-STN's weights, everything else fresh, all trained jointly with the penalty (7).
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import no_grad
from hstn_ref import config as configuration
from hstn_ref import machine, models
from hstn_ref.checkpoint import load_model
from hstn_ref.config import DataConfig, RunConfig, TrainingConfig
from hstn_ref.data import Dataset, DataSplits, open_data, open_pairs
from hstn_ref.data.checks import CLASSES
from hstn_ref.errors import ConfigError, DataError, FileError, UserError
from hstn_ref.evaluation import mode
from hstn_ref.files import locked, write_bytes
from hstn_ref.history import read_history
from hstn_ref.pretraining import check_pretraining, copy_localisation, own_factors
from hstn_ref.progress import announce
from hstn_ref.tasks import TASKS
from hstn_ref.trainer import multipliers
from hstn_ref.training import BEST, CHECKPOINT, HISTORY, Result, evaluate, fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIG, RESULT, CURVES, STAGES = "config.toml", "result.json", "curves.png", "stages.png"
ORIGIN = ("seed", "threads", "data", "command", "commit", "machine")  # every result.json tells how it came about
FIRST_STAGE = "affine_stn"  # the name of the network and of its folder
PICTURED = 8  # test images in stages.png: the first ones


def train(
    config: RunConfig,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    quiet: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Train a network, judge it on the test images, and write everything into `folder`; returns result.json.

    `resume` goes on where a run in the folder was stopped, in either stage. Raises FileError if the folder
    cannot be written, is in use by another process, or holds a run and is not to be resumed; and as `open_data`,
    `models.build` and `fit`.
    """
    folder = Path(folder)
    places = (folder, folder / FIRST_STAGE)
    if not resume and any((place / name).exists() for place in places for name in (CHECKPOINT, BEST, RESULT)):
        way = "continue it with --resume, or " * (folder / CONFIG).exists()
        raise FileError(f"{folder} holds a run already; {way}choose another folder")
    threads = machine.set_threads(config.threads)
    data = images(config)
    model = build(config, data)
    config = replace(config, model=replace(config.model, options=model.options))
    multipliers([name for name, _ in model.named_parameters()], config.training.lr_multipliers)  # before stage 1
    given = config.pretraining.localisation_from
    check_pretraining(config)
    with locked(folder), _as_before(folder):
        if resume:
            _check_unchanged(config, folder / CONFIG)
        new = not (folder / CHECKPOINT).exists()
        if new and given is not None:
            copy_localisation(given, model)
        configuration.write(config, folder / CONFIG)  # finds out whether the folder can be written
        stages, kind = {}, TASKS[model.task].epoch
        if new and given is None and config.model.name == "hstn" and config.pretraining.epochs != 0:
            _first_stage(config, data, folder, resume=resume, quiet=quiet)
            copy_localisation(folder / FIRST_STAGE / BEST, model)
        if (folder / FIRST_STAGE / HISTORY).exists():
            stages[FIRST_STAGE] = read_history(folder / FIRST_STAGE / HISTORY, kind)
        result = fit(model, data, **_arguments(config.training), folder=folder, resume=resume, quiet=quiet)
        stages[model.name] = result.history
        report = {
            **judge(folder / BEST, data.test, config.training.batch_size),
            "best_epoch": result.best.epoch,
            f"valid_{result.best.quantity}": abs(result.best.merit),
            "epochs": {name: len(history) for name, history in stages.items()},
            "seconds": sum(epoch.seconds for history in stages.values() for epoch in history),
            "seed": config.training.seed,
            "threads": threads,
            "data": {"source": config.data.source, **data.attributes},
            "command": command,
            "commit": machine.commit(),
            "machine": machine.describe(),
        }
        _draw(folder, result, data)
        write_bytes(folder / RESULT, (json.dumps(report, indent=2) + "\n").encode())  # the last: the run is finished
        return report


@contextmanager
def _as_before(folder: Path) -> Iterator[None]:
    """Leave the files as they were if the block fails for its settings or data, or before it has saved anything."""
    path = folder / CONFIG
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    except UserError as error:
        places = (folder, folder / FIRST_STAGE)
        if before is None and not any((place / name).exists() for place in places for name in (CHECKPOINT, BEST)):
            remove(folder)
        elif before is not None and isinstance(error, (ConfigError, DataError)):
            write_bytes(path, before)
        raise


def read_result(path: str | os.PathLike[str], numbers: Iterable[str] = ()) -> dict[str, Any]:
    """The result.json of a run, with these `numbers` in it.

    Raises FileError if it cannot be read, DataError if it is none or lacks something.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: not the result of a run: {error}") from error
    wanted = [*ORIGIN, *numbers]
    missing = [name for name in wanted if name not in found] if isinstance(found, dict) else wanted
    if missing:
        raise DataError(f"{path}: not the result of a run, it has no {', '.join(missing)}")
    return found


def images(config: RunConfig) -> DataSplits:
    """The data of a configuration, by the task of its network. Raises as `open_data` or `open_pairs`."""
    wanted = config.data
    if config.model.options.get("task") == "align":
        data = pairs(wanted, wanted.size, config.model.options.get("channels", 1))
    else:
        data = open_data(wanted.source, seed=wanted.seed, fresh=wanted.fresh)
    return data if wanted.images is None else data.first(wanted.images)


def pairs(wanted: DataConfig, size: Sequence[int], channels: int) -> DataSplits:
    """Pairs of images of a configuration for a network of this size. Raises as `open_pairs`."""
    return open_pairs(
        wanted.source,
        size=(size[0], size[1]),
        channels=channels,
        pairs=wanted.pairs,
        seed=wanted.seed,
        fresh=wanted.fresh,
        deformation=wanted.deformation,
    )


def build(config: RunConfig, data: DataSplits) -> models.Network:
    """The network of a configuration, for the images of the data unless its options name a size."""
    options = {"image_size": list(data.image_size), **config.model.options}
    size = options["image_size"]
    if isinstance(size, (list, tuple)) and tuple(size) != tuple(data.image_size):  # what is none, the network refuses
        raise ConfigError(
            f"model.options.image_size is {size}, the images of {config.data.source} "
            f"have the size {list(data.image_size)}"
        )
    if options.get("task") != "align":  # pairs have the channels that the network wants
        if options.get("channels", 1) != 1:
            raise ConfigError(f"model.options.channels is {options['channels']}, images of digits have 1")
        if options.get("classes", CLASSES) != CLASSES:
            raise ConfigError(f"model.options.classes is {options['classes']}, expected {CLASSES}, one for each digit")
    return _build(config.model.name, config, options)


def judge(path: str | os.PathLike[str], dataset: Dataset, batch_size: int = 64) -> dict[str, Any]:
    """What the network of a checkpoint achieves on a data set, as JSON values."""
    model = load_model(path)
    _check_size(model, dataset, path)
    with no_grad():
        model.loss(*dataset.batch(np.arange(min(batch_size, len(dataset))))[:2])  # compiles, so that it is not timed
    found = asdict(evaluate(model, dataset, batch_size))
    if "confusion" in found:
        found["confusion"] = found["confusion"].tolist()
    return {
        "model": model.name,
        "title": model.title,
        "options": model.options,
        "checkpoint": os.fspath(path),
        "parameters": sum(parameter.size for parameter in model.parameters()),
        "images": len(dataset),
        **found,
    }


def picture(model: models.Network, dataset: Dataset, *, note: str = "") -> Figure:
    """What the network sees of the first images of a data set."""
    from hstn_ref.plots import alignment_picture, stage_picture

    batch = dataset.batch(np.arange(min(PICTURED, len(dataset))))
    with mode(model, training=False):
        if model.task == "align":
            return alignment_picture(model.stages(*batch[:2]), title=model.title + note)
        predictions = np.argmax(model(batch[0]).data, axis=1)
        return stage_picture(model.stages(batch[0]), batch[1], predictions, title=f"true → predicted{note}")


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested table as one, with dotted names."""
    items: dict[str, Any] = {}
    for name, value in table.items():
        items |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return items


def _check_unchanged(config: RunConfig, path: Path) -> None:
    """Raise ConfigError unless a run may go on with this configuration instead of the one in the file."""
    training = {f"training.{name}" for name in config.training.may_change}
    free = {"threads", "data.source", "pretraining.epochs"} | training
    before, present = (flat(configuration.to_dict(c)) for c in (configuration.read(path), config))
    for name in sorted((before.keys() | present.keys()) - free):
        if before.get(name) != present.get(name):
            raise ConfigError(
                f"{path} has {name} = {before.get(name)}; a run cannot be resumed with {present.get(name)} instead"
            )


def _check_size(model: models.Network, dataset: Dataset, path: str | os.PathLike[str]) -> None:
    if model.image_size != tuple(dataset.image_size):
        wanted, found = ("x".join(map(str, size)) for size in (model.image_size, dataset.image_size))
        raise DataError(f"{path}: the network is made for images of {wanted} pixels, those of the data have {found}")


def _first_stage(config: RunConfig, data: DataSplits, folder: Path, *, resume: bool, quiet: bool) -> None:
    """Train the Affine-STN whose localisation network HSTN begins with, in a folder of its own."""
    epochs = config.pretraining.epochs
    known = inspect.signature(models.MODELS[FIRST_STAGE]).parameters
    options = {name: value for name, value in config.model.options.items() if name in known}
    training = config.training if epochs is None else replace(config.training, epochs=epochs)
    first = _build(FIRST_STAGE, config, options)
    factors = own_factors(training.lr_multipliers, first)
    arguments = _arguments(replace(training, lr_multipliers=factors))
    announce("stage 1 of 2: Affine-STN", quiet=quiet)
    fit(first, data, **arguments, folder=folder / FIRST_STAGE, resume=resume, quiet=quiet)
    announce("stage 2 of 2: HSTN", quiet=quiet)


def _build(name: str, config: RunConfig, options: Mapping[str, Any]) -> models.Network:
    try:
        return models.build(name, rng=config.training.seed, dtype=config.model.dtype, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model: {error}") from error


def _arguments(config: TrainingConfig) -> dict[str, Any]:
    """The arguments of `fit`."""
    return {field.name: getattr(config, field.name) for field in fields(config)}


def _draw(folder: Path, result: Result, data: DataSplits) -> None:
    from hstn_ref.plots import save_figure, training_curves

    model = load_model(folder / BEST)
    count = data.attributes.get("only_the_first")
    note = f", only the first {count} images of each split" if count else ""
    save_figure(training_curves(result.history, title=model.title + note), folder / CURVES)
    save_figure(picture(model, data.test, note=note), folder / STAGES)


def trained_networks() -> list[Path]:
    """The networks that come with the package, in the order of the paper's Table 1."""
    files = (models.path_of(title) for title in models.TABLE_1)
    return [path for path in files if path.exists()]


def remove(folder: str | os.PathLike[str]) -> None:
    """Delete the files of a run, and nothing else but folders left empty, so that another can begin in its folder."""
    folder = Path(folder)
    for place in (folder / FIRST_STAGE, folder):
        for name in (CONFIG, CHECKPOINT, BEST, HISTORY, RESULT, CURVES, STAGES):
            (place / name).unlink(missing_ok=True)
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
