"""Training a network, and how well it does.

fit(model, data, epochs=20, folder="runs/cnn")      runs/cnn/checkpoint.h5, best.h5, history.jsonl
evaluate(model, data.test).accuracy
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hstn_ref.config import TrainingConfig
from hstn_ref.data import DataSplits
from hstn_ref.evaluation import evaluate
from hstn_ref.files import locked
from hstn_ref.history import Epoch, best
from hstn_ref.progress import Progress
from hstn_ref.stopping import Interrupted, stop_requests
from hstn_ref.trainer import BEST, CHECKPOINT, HISTORY, Diverged, Trainer

if TYPE_CHECKING:
    from hstn_ref.models import Network

__all__ = ["BEST", "CHECKPOINT", "HISTORY", "Diverged", "Epoch", "Interrupted", "Result", "evaluate", "fit"]

PAPER = TrainingConfig()


@dataclass(frozen=True)
class Result:
    """What `fit` did: a line an epoch, `history.Epoch` or, of an alignment network, `history.AlignmentEpoch`.

    `best` is the first epoch with the highest validation accuracy, or the lowest image_epe.
    """

    history: list[Any]
    best: Any


def fit(
    model: Network,
    data: DataSplits,
    *,
    epochs: int = PAPER.epochs,
    batch_size: int = PAPER.batch_size,
    lr: float = PAPER.lr,
    lr_multipliers: Mapping[str, float] = PAPER.lr_multipliers,
    schedule: str = PAPER.schedule,
    restarts: int = PAPER.restarts,
    restart_epochs: int = PAPER.restart_epochs,
    restart_lr: float = PAPER.restart_lr,
    patience: int = PAPER.patience,
    reductions: int = PAPER.reductions,
    seed: int = PAPER.seed,
    checkpoint_minutes: float = PAPER.checkpoint_minutes,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Result:
    """Train a network as section 4.1 of the paper does; it ends with the weights of the last epoch.

    Adam minimises `model.loss` over random batches of images and labels, or of pairs (`hstn_ref.data.open_pairs`).
    The learning rate is divided by 10 when the validation loss has not fallen for `patience` epochs; training ends
    when that has happened `reductions` times, or after `epochs`. The arguments up to `checkpoint_minutes` are
    described in `config.TrainingConfig`.

    With a `folder`, it holds after every epoch the state of training (checkpoint.h5), the network of the
    best epoch (best.h5), and the history (history.jsonl). `resume` goes on from
    checkpoint.h5 if there is one, to the same bits as without the break; only `checkpoint_minutes` and, where they
    do not decide the learning rate, `epochs` may differ from before. `quiet` shows no progress.

    Ctrl-C (SIGINT) or SIGTERM ends the step, saves, and raises Interrupted. Raises FileError if the folder cannot be
    written, holds a run already, or is in use by another process; DataError if its checkpoint does not fit, a split is
    empty or an image has NaN; ConfigError (a ValueError) for arguments out of range; Diverged when the loss is not
    finite any more.
    """
    config = TrainingConfig(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        lr_multipliers=lr_multipliers,
        schedule=schedule,
        restarts=restarts,
        restart_epochs=restart_epochs,
        restart_lr=restart_lr,
        patience=patience,
        reductions=reductions,
        seed=seed,
        checkpoint_minutes=checkpoint_minutes,
    )
    trainer = Trainer(model, data, config, None if folder is None else Path(folder))
    with nullcontext() if folder is None else locked(folder):
        trainer.prepare(resume)
        with stop_requests() as stop, Progress(quiet=quiet) as progress:
            trainer.run(stop, progress)
    return Result(trainer.history, best(trainer.history))
