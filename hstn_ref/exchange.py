"""Weights to and from PyTorch, as a dictionary or a safetensors file: no pickle, so a file holds nothing but numbers.

Names and layouts are those that a user of PyTorch would get (hstn_ref/peers/pytorch.py): convolutions (outputs,
inputs, kh, kw), transposed ones (inputs, outputs, kh, kw), dense layers (outputs, inputs). Shapes do not tell all: a
deconvolution cropped at the other side has the same shapes and is another network, see the option `crop` of HSTN.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from hstn_ref.errors import DataError, FileError
from hstn_ref.files import write_bytes
from hstn_ref.models import Network


def to_state_dict(model: Network) -> dict[str, np.ndarray]:
    """Copies of the weights by name: `{k: torch.from_numpy(v) for ...}` is what `load_state_dict` takes."""
    return {name: array.copy() for name, array in model.state().items()}


def from_state_dict(model: Network, state: Mapping[str, Any]) -> None:
    """Take over the weights of a `state_dict()`, arrays or tensors without a gradient, in the model's precision.

    Raises ValueError naming what is missing, unexpected or of another shape, TypeError for numbers that are not
    floating; the model is unchanged then.
    """
    arrays = {name: np.asarray(value) for name, value in state.items()}
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise TypeError(f"{type(model).__name__}: {name} has dtype {array.dtype}, expected floating-point numbers")
    model.load_state(arrays)


def save_safetensors(model: Network, path: str | os.PathLike[str]) -> None:
    """Write the weights, and the model's name and options as metadata, whole or not at all.

    Raises FileError, naming the reason, if that is impossible.
    """
    from safetensors.numpy import save

    write_bytes(path, save(to_state_dict(model), metadata=_metadata(model)))


def load_safetensors(model: Network, path: str | os.PathLike[str]) -> None:
    """Take over the weights of a safetensors file, ours or one written by PyTorch.

    Raises FileError if it cannot be read; DataError if it is damaged, if its metadata name another model or other
    options, or if the weights do not fit. The model is unchanged then.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise FileError(f"cannot read the weights {path}: {error.strerror or error}") from error
    except (SafetensorError, TypeError) as error:  # TypeError: bfloat16, which NumPy does not have
        raise DataError(f"{path}: the file is damaged or no safetensors file, or of another dtype ({error})") from error
    own = _metadata(model)
    for key in own.keys() & metadata.keys():
        if metadata[key] != own[key]:
            raise DataError(f"{path}: the file has {key} {metadata[key]}, expected {own[key]}")
    try:
        from_state_dict(model, state)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error


def _metadata(model: Network) -> dict[str, str]:
    return {"model": model.name, "options": json.dumps(model.options, sort_keys=True)}
