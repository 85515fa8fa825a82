"""The training loop.

A step is a function of the weights, Adam's state, the dropout generators, and the batch; the batches of
epoch e follow from (seed, e) alone. `resuming` puts all of that into a checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import Tensor, enable_grad
from autodiff.optim import Adam, CosineAnnealing, ReduceOnPlateau
from autodiff.tensor import first_non_finite
from hstn_ref import checkpoint, resuming
from hstn_ref.config import TrainingConfig, suggestion
from hstn_ref.data import DataSplits
from hstn_ref.errors import ConfigError, DataError, FileError, UserError
from hstn_ref.evaluation import evaluate, mode
from hstn_ref.history import Sums, best, write_history
from hstn_ref.progress import Progress
from hstn_ref.restarts import Restarts
from hstn_ref.stopping import Interrupted, StopRequest
from hstn_ref.tasks import TASKS

if TYPE_CHECKING:
    from hstn_ref.models import Network

CHECKPOINT, BEST, HISTORY = "checkpoint.h5", "best.h5", "history.jsonl"


class Diverged(UserError, ArithmeticError):
    """Training met a number that is not finite."""


class Trainer:
    """The state of a training between two steps, and how it goes on."""

    def __init__(self, model: Network, data: DataSplits, config: TrainingConfig, folder: Path | None):
        for name, split in data.items():
            if len(split) == 0:
                raise DataError(f"data: the {name} split has no images, expected at least one")
        self.model, self.data, self.config, self.folder = model, data, config, folder
        self.task = TASKS[model.task]
        self.parameters = dict(model.named_parameters())
        factors = multipliers(list(self.parameters), config.lr_multipliers)
        self.optimiser = Adam(self.parameters.values(), lr=config.lr, multipliers=factors)
        self.plateau = ReduceOnPlateau(self.optimiser, patience=config.patience, min_delta=self.task.min_delta)
        self.generators = resuming.generators(model)
        self.history: list[Any] = []  # of self.task.epoch
        self.step, self.sums = 0, Sums()
        self.steps = math.ceil(len(data.train) / config.batch_size)  # in an epoch; the last may be smaller
        self.restarts = Restarts(model, self.optimiser, config, self.steps)
        self.annealing = CosineAnnealing(self.optimiser, config.epochs * self.steps - self.restarts.steps)
        self.saved_at = time.monotonic()

    @property
    def epoch(self) -> int:
        """The number of finished epochs, which is the number, from 0, of the one that is under way."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        return self.epoch >= self.config.epochs or self.plateau.reductions >= self.config.reductions

    # The loop

    def run(self, stop: StopRequest, progress: Progress) -> None:
        """Train to the end; afterwards every part of the network is in the mode it was in."""
        with mode(self.model, training=True):
            self._run(stop, progress)

    def _run(self, stop: StopRequest, progress: Progress) -> None:
        while not self.finished:
            progress.begin(self.epoch + 1, self.config.epochs, len(self.data.train), self.sums.images)
            order = np.random.default_rng([self.config.seed, self.epoch]).permutation(len(self.data.train))
            while self.step < self.steps:
                count = self._step(order)
                sums, lr = self.sums, self.optimiser.lr
                score = f"{self.task.epoch.quantity} {sums.score / sums.images:.4f}"
                progress.advance(count, sums.loss / sums.images, score, lr)
                self._leave_if_asked(stop)
                if self.folder and time.monotonic() - self.saved_at >= 60 * self.config.checkpoint_minutes:
                    self.save()
            self._end_epoch(stop, progress)
            progress.end(self.history[-1])
            self._leave_if_asked(stop)

    def _step(self, order: np.ndarray) -> int:
        """One batch; returns its number of images."""
        start, B = time.perf_counter(), self.config.batch_size
        t = self.epoch * self.steps + self.step
        self.restarts.begin(t)
        batch = self.data.train.batch(order[self.step * B : (self.step + 1) * B], self.epoch)
        self.optimiser.zero_grad()
        with enable_grad(), np.errstate(all="ignore"):  # what overflows is said below, in one sentence
            outputs, loss = self.model.outputs_and_loss(*batch[:2])
        if not math.isfinite(loss.item()):
            for what, array in zip(self.task.inputs, batch, strict=False):
                if not np.isfinite(array).all():
                    raise DataError(f"epoch {self.epoch + 1}, step {self.step + 1}: {what} have NaN or infinity")
            raise Diverged(self._divergence(loss))
        loss.backward()
        if self.config.schedule == "cosine" and t >= self.restarts.steps:
            self.annealing.step(t - self.restarts.steps)
        self.optimiser.step()
        self.step += 1
        self.sums.loss += loss.item() * len(batch[0])
        self.sums.score += self.task.score(outputs, batch)
        self.sums.images += len(batch[0])
        self.sums.seconds += time.perf_counter() - start
        return len(batch[0])

    def _end_epoch(self, stop: StopRequest, progress: Progress) -> None:
        """Validate, adapt the learning rate, save. Stopped in between, it is saved as after its last step."""
        progress.validate()
        start, sums = time.perf_counter(), self.sums
        valid = evaluate(
            self.model,
            self.data.valid,
            self.config.batch_size,
            on_batch=lambda _: self._leave_if_asked(stop),
        )
        if not math.isfinite(valid.loss):
            raise Diverged(f"epoch {self.epoch + 1}: the validation loss is {valid.loss}{self._advice()}")
        self.history.append(
            self.task.line(
                sums,
                valid,
                epoch=self.epoch + 1,
                lr=self.optimiser.lr,
                images_per_second=sums.images / sums.seconds,
                seconds=sums.seconds + time.perf_counter() - start,
            )
        )
        if self.config.schedule == "plateau" and self.epoch > self.restarts.epochs:
            self.plateau.step(valid.loss)
        self.step, self.sums = 0, Sums()
        if self.folder:
            if best(self.history) is self.history[-1]:
                self.model.save(self.folder / BEST)  # before the checkpoint that knows of it
            self.save()

    def _leave_if_asked(self, stop: StopRequest) -> None:
        if stop.signal_number is None:
            return
        if self.folder is None:
            raise Interrupted("training was stopped; without a folder nothing is saved", stop.signal_number)
        self.save()
        raise Interrupted(f"training was stopped and is saved in {self.folder}", stop.signal_number)

    def _divergence(self, loss: Tensor) -> str:
        """Where the first number that is not finite came from."""
        found = first_non_finite(loss)
        culprit = loss if found is None else found
        names = [name for name, parameter in self.parameters.items() if parameter is culprit]
        source = f"parameter {names[0]}" if names else f"a result of {culprit.op}"
        where = f"epoch {self.epoch + 1}, step {self.step + 1}: the loss is {loss.item()}"
        return f"{where}; the first tensor that is not finite is {source}{self._advice()}"

    def _advice(self) -> str:
        if self.folder is not None and (self.folder / CHECKPOINT).exists():
            return f"; {self.folder / CHECKPOINT} is from before"
        return "; a lower learning rate may help"

    # The state

    def prepare(self, resume: bool) -> None:
        """Go on from the folder's checkpoint, if asked to and there is one; find out if it can be written."""
        if self.folder is None:
            if resume:
                raise ConfigError("resume: there is no folder to go on from")
            return
        path = self.folder / CHECKPOINT
        if not resume and any((self.folder / name).exists() for name in (CHECKPOINT, BEST)):
            raise FileError(f"{self.folder} holds a run already; resume it, or choose another folder")
        if path.exists():
            resuming.restore(self, checkpoint.read(path), path)
            if self.epoch > self.config.epochs:
                raise ConfigError(f"training.epochs is {self.config.epochs}, {path} has {self.epoch} already")
        write_history(self.folder / HISTORY, self.history)

    def save(self) -> None:
        """Write the checkpoint, then the history, each whole or not at all."""
        assert self.folder is not None
        for name, parameter in self.parameters.items():
            if not np.isfinite(parameter.data).all():
                where = f"epoch {self.epoch + 1}, after step {self.step}"
                raise Diverged(f"{where}: parameter {name} is not finite{self._advice()}")
        checkpoint.write(resuming.capture(self), self.folder / CHECKPOINT)
        write_history(self.folder / HISTORY, self.history)
        self.saved_at = time.monotonic()


def under(prefix: str, name: str) -> bool:
    """Whether a dotted name begins with the words of a prefix."""
    return f"{name}.".startswith(f"{prefix}.")


def multipliers(names: list[str], factors: Mapping[str, float]) -> list[float]:
    """Each parameter's factor: that of the longest prefix, in whole words, of its dotted name, or 1.

    Raises ConfigError for a prefix that no parameter has.
    """
    for prefix in factors:
        if not any(under(prefix, name) for name in names):
            known = sorted({name.partition(".")[0] for name in names})
            near = suggestion(prefix, known)
            raise ConfigError(f"training.lr_multipliers: no parameter is under {prefix!r}{near}")
    longest = {name: max((p for p in factors if under(p, name)), key=len, default="") for name in names}
    return [factors.get(longest[name], 1.0) for name in names]
