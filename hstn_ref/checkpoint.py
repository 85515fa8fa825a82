"""Networks on the disk, alone or in the middle of their training: one HDF5 format for both.

    /                   attributes: format, version, package_version, model, options (JSON), dtype
                        origin (JSON), of the networks of the package
    /weights            one data set a parameter, by its dotted name
    /training/state     only in a checkpoint of training; UTF-8 bytes of a JSON text
    /training/m         Adam's first moments, by parameter name
    /training/v         Adam's second moments

Every data set is one compressed chunk with a checksum (shuffled bytes save 13 % of float32 weights), and the
layout of HDF5 1.10 has checksums on the rest, so that damage is noticed. A file is made in memory and moved
to its place when it is complete: a kill or a full disk at any moment leaves the previous one.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

import hstn_ref
from hstn_ref.errors import DataError, FileError
from hstn_ref.files import write_bytes

if TYPE_CHECKING:
    from hstn_ref.models import Network

FORMAT = "hstn-ref checkpoint"
VERSION = 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"  # of every HDF5 file

Arrays = dict[str, np.ndarray]


@dataclass
class TrainingState:
    """What training needs to continue, beside the weights."""

    m: Arrays  # Adam's moments by parameter name
    v: Arrays
    state: dict[str, Any]  # JSON values: see resuming.py


@dataclass
class Checkpoint:
    """The content of a file."""

    model: str
    options: dict[str, Any]
    dtype: str
    weights: Arrays
    training: TrainingState | None = None
    package_version: str = hstn_ref.__version__
    origin: dict[str, Any] | None = None  # command, seed and result of the training, of the networks of the package

    @classmethod
    def of(cls, model: Network, training: TrainingState | None = None) -> Checkpoint:
        """The checkpoint of a network."""
        return cls(model.name, model.options, str(np.dtype(model.dtype)), model.state(), training)


def save_model(model: Network, path: str | os.PathLike[str]) -> None:
    """Write the network, without training state. Raises FileError, naming the reason, if it cannot."""
    write(Checkpoint.of(model), path)


def load_model(path: str | os.PathLike[str]) -> Network:
    """Build the network of a model file or a training checkpoint, in evaluation mode (dropout off).

    Raises as `read`; DataError if the file has no such model, or weights that do not fit it or are not finite.
    """
    from hstn_ref.models import build

    checkpoint = read(path)
    try:
        model = build(checkpoint.model, dtype=checkpoint.dtype, **checkpoint.options)
        model.load_state(checkpoint.weights)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error
    for name, weight in checkpoint.weights.items():
        if not np.isfinite(weight).all():
            raise DataError(f"{path}: {name} has NaN or infinity, expected finite weights")
    model.eval()
    return model


def load_weights(model: Network, checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """Give `model` the weights of a checkpoint read from `path`.

    Raises DataError if it was made by another model, with other options, or the weights do not fit.
    """
    own = Checkpoint.of(model)
    for what in ("model", "dtype", "options"):
        found, wanted = getattr(checkpoint, what), json.loads(json.dumps(getattr(own, what)))
        if found != wanted:
            raise DataError(f"{path}: the checkpoint has {what} {found!r}, expected {wanted!r}")
    try:
        model.load_state(checkpoint.weights)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def write(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint, whole or not at all. Raises FileError, naming the reason, if that is impossible."""
    write_bytes(path, _encode(checkpoint))


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint.

    Raises FileError if it cannot be read; DataError if it is damaged, no checkpoint, or of a newer format.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    if not content.startswith(SIGNATURE):
        raise DataError(f"{path}: the file is not a checkpoint (it is not HDF5)")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _check_format(file, path)
            return _decode(file)
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: the checkpoint is damaged or cut short ({_reason(error)})") from error


def _encode(checkpoint: Checkpoint) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("v110", "v110")) as file:
        for name, text in (
            ("format", FORMAT),
            ("package_version", checkpoint.package_version),
            ("model", checkpoint.model),
            ("options", json.dumps(checkpoint.options)),
            ("dtype", checkpoint.dtype),
            *([("origin", json.dumps(checkpoint.origin))] if checkpoint.origin is not None else []),
        ):
            file.attrs[name] = np.bytes_(text)  # fixed length: only these are covered by a checksum
        file.attrs["version"] = VERSION
        _put(file.create_group("weights"), checkpoint.weights)
        if checkpoint.training is not None:
            state = np.frombuffer(json.dumps(checkpoint.training.state).encode(), np.uint8)
            training = file.create_group("training")
            _put(training, {"state": state})
            _put(training.create_group("m"), checkpoint.training.m)
            _put(training.create_group("v"), checkpoint.training.v)
    return buffer.getvalue()


def _put(group: h5py.Group, arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        # a scalar or an empty array has no chunk, hence no filters
        filters = {"chunks": array.shape, "shuffle": True, "compression": "gzip"}
        group.create_dataset(name, data=array, **(filters if array.ndim and array.size else {}))


def _check_format(file: h5py.File, path: str | os.PathLike[str]) -> None:
    if "version" not in file.attrs or "format" not in file.attrs or _text(file, "format") != FORMAT:
        raise DataError(f"{path}: the file is not a checkpoint (its attribute 'format' is not {FORMAT!r})")
    version = int(file.attrs["version"])
    if version > VERSION:
        raise DataError(
            f"{path}: the checkpoint has format version {version}, made by hstn-ref "
            f"{_text(file, 'package_version')}; hstn-ref {hstn_ref.__version__} reads up to {VERSION}"
        )


def _decode(file: h5py.File) -> Checkpoint:
    training = None
    if "training" in file:
        group = file["training"]
        state = json.loads(group["state"][()].tobytes())
        training = TrainingState(_get(group["m"]), _get(group["v"]), state)
    return Checkpoint(
        model=_text(file, "model"),
        options=json.loads(_text(file, "options")),
        dtype=_text(file, "dtype"),
        weights=_get(file["weights"]),
        training=training,
        package_version=_text(file, "package_version"),
        origin=json.loads(_text(file, "origin")) if "origin" in file.attrs else None,
    )


def _get(group: h5py.Group) -> Arrays:
    if not isinstance(group, h5py.Group):
        raise TypeError(f"{group.name} is no group of arrays")
    for name, array in group.items():
        if not isinstance(array, h5py.Dataset) or array.dtype.kind != "f":
            raise TypeError(f"{group.name}/{name} is no array of floating-point numbers")
    return {name: array[()] for name, array in group.items()}


def _text(file: h5py.File, name: str) -> str:
    value = file.attrs[name]
    if not isinstance(value, (bytes, str)):
        raise TypeError(f"the attribute {name!r} is {value!r}, expected a text")
    return value if isinstance(value, str) else value.decode()


def _reason(error: Exception) -> str:
    """The message of an error of HDF5, without the quotes of a KeyError."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error) or type(error).__name__
