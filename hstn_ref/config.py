"""The configuration of a run: dataclasses, and TOML files with the same names.

    threads = 2

    [data]
    source = "embedded"

    [model]
    name = "hstn"
    options = { preset = "small" }

    [training]
    epochs = 20
    lr_multipliers = { localisation = 0.1 }

Every key may be left out; the defaults are the paper's (section 4.1) where it names a value. Flags of the
command line override the file: `RunConfig.override`.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hstn_ref.deformation import Deformation
from hstn_ref.errors import ConfigError, FileError
from hstn_ref.plain import plain

Config = TypeVar("Config")


SCHEDULES = ("plateau", "cosine")
DTYPES = ("float32", "float64")
LARGEST, MOST = 4096, 10**7  # pixels along a side; pairs of images


@dataclass(frozen=True)
class TrainingConfig:
    """How `training.fit` trains.

    Adam, its learning rate and its division by 10 are the paper's; it is silent about the other numbers.

    lr_multipliers      by parameter-name prefix ("localisation"), a factor to lr; the longest prefix counts
    schedule            of lr: "plateau", the paper's, or "cosine", from lr to zero along half a cosine over `epochs`
    restarts            at first: rounds of `restart_epochs` epochs in which everything learns with `restart_lr`, and
                        after each of which the classifier begins anew (restarts.py); then lr and lr_multipliers hold
    patience            of "plateau": epochs without a lower validation loss after which lr is divided by 10
    reductions          training ends, before `epochs`, when lr has been divided so often for that reason
    seed                of weights, order of the images and dropout
    checkpoint_minutes  between checkpoints within an epoch; the end of an epoch always has one
    """

    epochs: int = 150
    batch_size: int = 128
    lr: float = 1e-4
    lr_multipliers: Mapping[str, float] = field(default_factory=dict)
    schedule: str = "plateau"
    restarts: int = 0
    restart_epochs: int = 2
    restart_lr: float = 1e-4
    patience: int = 10
    reductions: int = 2
    seed: int = 0
    checkpoint_minutes: float = 5.0

    def __post_init__(self) -> None:
        for name, value in plain(vars(self)).items():
            object.__setattr__(self, name, value)
        for name, hint in typing.get_type_hints(type(self)).items():
            _converted(hint, getattr(self, name), f"training.{name}")  # from Python, too, of the right kind
        for name in ("epochs", "batch_size", "patience", "reductions", "restart_epochs"):
            value = getattr(self, name)
            _require(value >= 1, f"training.{name} is {value}, expected at least 1")
        for name in ("lr", "restart_lr"):
            value = getattr(self, name)
            _require(0 < value < float("inf"), f"training.{name} is {value}, expected a positive number")
        _require(self.seed >= 0, f"training.seed is {self.seed}, expected at least 0")
        _require(
            self.schedule in SCHEDULES,
            f"training.schedule is {self.schedule!r}, expected one of {', '.join(SCHEDULES)}",
        )
        _require(self.restarts >= 0, f"training.restarts is {self.restarts}, expected at least 0")
        rounds = self.restarts * self.restart_epochs
        _require(
            rounds < self.epochs,
            f"training.epochs is {self.epochs}, expected more than the {rounds} of "
            f"{self.restarts} restarts every {self.restart_epochs} epochs",
        )
        minutes = self.checkpoint_minutes
        _require(minutes >= 0, f"training.checkpoint_minutes is {minutes}, expected at least 0")
        for name, x in self.lr_multipliers.items():
            _require(0 <= x < float("inf"), f"training.lr_multipliers.{name} is {x}, expected at least 0")

    @property
    def may_change(self) -> set[str]:
        """What does not decide the bits of the steps that are done: it may change when a run is resumed."""
        return {"checkpoint_minutes"} if self.schedule == "cosine" else {"checkpoint_minutes", "epochs"}


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and the options of its constructor (`hstn_ref.models.build`)."""

    name: str = "hstn"
    dtype: str = "float32"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(self.dtype in DTYPES, f"model.dtype is {self.dtype!r}, expected one of {', '.join(DTYPES)}")
        for name, key in (("dtype", "model.dtype"), ("rng", "training.seed")):
            _require(name not in self.options, f"model.options.{name}: it is set by {key}")


@dataclass(frozen=True)
class DataConfig:
    """Which images: the arguments of `hstn_ref.data.open_data` or, to align, of `open_pairs`.

    source              "embedded", a folder with the files of MNIST, an .npz or an .h5 file; of an alignment
                        "embedded" or a folder of images
    seed, fresh         of the clutter around digits, or of the pairs; fresh: others in every epoch
    images              only the first so many of each split, all if left out; of fresh clutter the first of every
                        epoch, whose digits come in another order each time
    size, pairs         of an alignment: (H, W), and how many pairs an epoch has
    deformation         of an alignment: how far the images of a pair are from each other
    """

    source: str = "embedded"
    seed: int = 0
    fresh: bool = True
    images: int | None = None
    size: tuple[int, ...] = (64, 64)
    pairs: int = 2000
    deformation: Deformation = field(default_factory=Deformation)

    def __post_init__(self) -> None:
        ok = len(self.size) == 2 and all(1 <= side <= LARGEST for side in self.size)
        _require(ok, f"data.size is {list(self.size)}, expected height and width, at most {LARGEST}")
        _require(1 <= self.pairs <= MOST, f"data.pairs is {self.pairs}, expected 1 to {MOST}")
        _require(self.seed >= 0, f"data.seed is {self.seed}, expected at least 0")
        _require(self.images is None or self.images >= 1, f"data.images is {self.images}, expected at least 1")


@dataclass(frozen=True)
class PretrainingConfig:
    """The first stage of HSTN, section 4.1 (6): an Affine-STN whose localisation network HSTN begins with.

    epochs              of the Affine-STN, as training.epochs if left out; 0 leaves the stage out
    localisation_from   a checkpoint to take the localisation network from, instead of training one
    """

    epochs: int | None = None
    localisation_from: str | None = None

    def __post_init__(self) -> None:
        ok = self.epochs is None or self.epochs >= 0
        _require(ok, f"pretraining.epochs is {self.epochs}, expected at least 0")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes, and the number of threads, which does not."""

    threads: int | None = None  # all cores if left out
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)

    def __post_init__(self) -> None:
        _require(self.threads is None or self.threads >= 1, f"threads is {self.threads}, expected at least 1")

    def override(self, values: Mapping[str, Any]) -> RunConfig:
        """A copy with some values changed, by dotted name ("training.lr"); None leaves the key as it is.

        A mapping ("model.options") is merged into the one that is there.
        """
        table = to_dict(self)
        for name, value in values.items():
            if value is None:
                continue
            *sections, key = name.split(".")
            place = table
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = {**place.get(key, {}), **value} if isinstance(value, Mapping) else value
        return from_dict(RunConfig, table)


def read(path: str | os.PathLike[str]) -> RunConfig:
    """The configuration of a run in a TOML file. Raises as `read_as`."""
    return read_as(RunConfig, path)


def read_as(cls: type[Config], path: str | os.PathLike[str]) -> Config:
    """The configuration in a TOML file.

    Raises FileError if it cannot be read; ConfigError if it is no TOML, or has an unknown key or a
    value of the wrong kind: the message names the file, the key, and what was expected.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
        return from_dict(cls, tomllib.loads(text))
    except OSError as error:
        raise FileError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the file is not UTF-8 text (at byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: the file is not valid TOML: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def write(config: Any, path: str | os.PathLike[str]) -> None:
    """Write the configuration as TOML, whole or not at all. Raises FileError if that is impossible."""
    import tomli_w

    from hstn_ref.files import write_bytes

    write_bytes(path, tomli_w.dumps(to_dict(config)).encode())


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as nested dicts of TOML and JSON values; what is None is left out."""
    table = {}
    for name, value in ((f.name, getattr(config, f.name)) for f in dataclasses.fields(config)):
        if dataclasses.is_dataclass(value):
            table[name] = to_dict(value)
        elif isinstance(value, Mapping):
            table[name] = {key: _plain(item) for key, item in value.items()}
        elif value is not None:
            table[name] = _plain(value)
    return table


def from_dict(cls: type[Config], table: Mapping[str, Any], where: str = "") -> Config:
    """The inverse of `to_dict`. Raises ConfigError for an unknown key or a value of the wrong kind."""
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in table.items():
        if key not in hints:
            raise ConfigError(f"unknown key {where + key!r}{suggestion(key, hints, prefix=where)}")
        values[key] = _converted(hints[key], value, where + key)
    return cls(**values)


def suggestion(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """The end of a sentence about an unknown word: the names nearest to it, or all that are known."""
    known = list(known)
    near = difflib.get_close_matches(word, known, 3)
    names = ", ".join(prefix + name for name in near or known)
    return f"; did you mean {names}?" if near else f"; known are {names}"


_KINDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}


def _converted(hint: Any, value: Any, name: str) -> Any:
    """The value as the type `hint`, or ConfigError."""
    if isinstance(hint, types.UnionType):  # always "type | None", and TOML has no None
        hint = hint.__args__[0]
    if hint in _KINDS:
        if hint is float and type(value) is int:
            return float(value)
        if type(value) is not hint:
            raise ConfigError(f"{name} is {value!r}, expected {_KINDS[hint]}")
        return value
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{name} is {value!r}, expected a list")
        return tuple(_converted(typing.get_args(hint)[0], item, name) for item in value)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} is {value!r}, expected a table")
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, f"{name}.")  # type: ignore[arg-type]
    item = typing.get_args(hint)[1]
    return {key: v if item is Any else _converted(item, v, f"{name}.{key}") for key, v in value.items()}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ConfigError(otherwise)
