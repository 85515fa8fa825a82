"""What training remembers of its epochs, and the file it is kept in: one JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hstn_ref.errors import DataError, FileError
from hstn_ref.files import write_bytes


@dataclass(frozen=True)
class Epoch:
    """One line. A loss is what training minimises; times are of the machine."""

    epoch: int  # from 1
    train_loss: float  # of the training steps, with dropout
    train_accuracy: float
    valid_loss: float
    valid_cross_entropy: float
    valid_accuracy: float
    lr: float
    images_per_second: float  # of the training steps
    seconds: float  # of the epoch, with validation


@dataclass
class Sums:
    """Over the training steps of an epoch so far."""

    loss: float = 0.0
    correct: int = 0
    images: int = 0
    seconds: float = 0.0


def best(history: Sequence[Epoch]) -> Epoch:
    """The epoch with the highest validation accuracy, the first of equals."""
    return max(history, key=lambda epoch: epoch.valid_accuracy)


def write_history(path: str | os.PathLike[str], history: Sequence[Epoch]) -> None:
    """Write the whole file, or nothing. Raises FileError if that is impossible."""
    lines = (json.dumps(asdict(epoch)) + "\n" for epoch in history)
    write_bytes(path, "".join(lines).encode())


def read_history(path: str | os.PathLike[str]) -> list[Epoch]:
    """Read a history. Raises FileError if the file cannot be read, DataError if it is none."""
    try:
        lines = Path(path).read_bytes().splitlines()
        return [Epoch(**json.loads(line)) for line in lines]
    except OSError as error:
        raise FileError(f"cannot read the history {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: the file is not a history of training: {error}") from error
