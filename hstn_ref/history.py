"""What training remembers of its epochs, and the file it is kept in: one JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from hstn_ref.errors import DataError, FileError
from hstn_ref.files import write_bytes


@dataclass(frozen=True)
class Epoch:
    """One line, of a classifier. A loss is what training minimises; times are of the machine."""

    quantity: ClassVar[str] = "accuracy"  # what is shown of both splits beside the loss

    epoch: int  # from 1
    train_loss: float  # of the training steps, with dropout
    train_accuracy: float
    valid_loss: float
    valid_cross_entropy: float
    valid_accuracy: float
    lr: float
    images_per_second: float  # of the training steps
    seconds: float  # of the epoch, with validation

    @property
    def merit(self) -> float:
        """The larger the better."""
        return self.valid_accuracy


@dataclass(frozen=True)
class AlignmentEpoch:
    """One line, of an alignment network; errors as in alignment_metrics.py, in the central part."""

    quantity: ClassVar[str] = "image_epe"

    epoch: int
    train_loss: float
    train_image_epe: float  # grey levels, 0..255
    valid_loss: float
    valid_image_epe: float
    valid_flow_epe: float  # pixels
    lr: float
    images_per_second: float
    seconds: float

    @property
    def merit(self) -> float:
        """By the images alone: choosing a network by the true motion would be supervision."""
        return -self.valid_image_epe


AnyEpoch = TypeVar("AnyEpoch", Epoch, AlignmentEpoch)


@dataclass
class Sums:
    """Over the training steps of an epoch so far."""

    loss: float = 0.0
    score: float = 0.0  # of all images: right answers, or grey levels of image_epe
    images: int = 0
    seconds: float = 0.0


def best(history: Sequence[AnyEpoch]) -> AnyEpoch:
    """The epoch with the highest validation accuracy or the lowest error, the first of equals."""
    return max(history, key=lambda epoch: epoch.merit)


def write_history(path: str | os.PathLike[str], history: Sequence[Epoch] | Sequence[AlignmentEpoch]) -> None:
    """Write the whole file, or nothing. Raises FileError if that is impossible."""
    lines = (json.dumps(asdict(epoch)) + "\n" for epoch in history)
    write_bytes(path, "".join(lines).encode())


def read_history(path: str | os.PathLike[str], kind: type[AnyEpoch] = Epoch) -> list[AnyEpoch]:  # type: ignore[assignment]
    """Read a history of epochs of this kind. Raises FileError if the file cannot be read, DataError if it is none."""
    try:
        lines = Path(path).read_bytes().splitlines()
        return [kind(**json.loads(line)) for line in lines]
    except OSError as error:
        raise FileError(f"cannot read the history {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: the file is not a history of training: {error}") from error
