"""What training shows: a bar for the epoch that is under way, a line for each that is finished.

Where standard error is no terminal (a log file, a batch job), only the lines.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from hstn_ref.history import AlignmentEpoch, Epoch


def announce(text: str, *, quiet: bool = False) -> None:
    """A line of its own, on standard error."""
    Console(stderr=True, quiet=quiet, highlight=False).print(text, style="bold", soft_wrap=True, markup=False)


_listeners: list[Any] = []  # the one that announces compilations


def announce_compilation(*, quiet: bool = False) -> None:
    """Say so when kernels have to be compiled, once: the first step would seem to hang. The latest call counts."""
    from numba.core import event

    class Compiling(event.Listener):
        told = False

        def on_start(self, event: event.Event) -> None:
            if not self.told:
                announce("compiling kernels for this machine, for about half a minute; they are kept", quiet=quiet)
            self.told = True

        def on_end(self, event: event.Event) -> None:
            pass

    for listener in _listeners:
        event.unregister("numba:compile", listener)
    _listeners[:] = [Compiling()]
    event.register("numba:compile", _listeners[0])


class Progress:
    """A context manager that `Trainer.run` reports to; with `quiet` it shows nothing."""

    def __init__(self, *, quiet: bool = False):
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.console,
            refresh_per_second=4,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", numbers="", rate="")

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(self, *exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.bar.stop()

    def begin(self, epoch: int, epochs: int, images: int, done: int) -> None:
        """An epoch of so many images begins, or goes on after `done` of them."""
        self.epochs = epochs
        title = f"epoch {epoch}/{epochs}"
        self.bar.reset(self.task, description=title, total=images, completed=done, numbers="", rate="")

    def advance(self, images: int, loss: float, score: str, lr: float) -> None:
        """A step with so many images; loss and score of the epoch so far."""
        speed = self.bar.tasks[0].speed
        self.bar.update(
            self.task,
            advance=images,
            numbers=f"loss {loss:.4f}  {score}  lr {lr:g}",
            rate=f"{speed:.0f} images/s" if speed else "",
        )

    def validate(self) -> None:
        """The steps of the epoch are done."""
        self.bar.update(self.task, rate="validating")

    def end(self, epoch: Epoch | AlignmentEpoch) -> None:
        """The epoch is finished."""
        name = epoch.quantity
        train, valid = (getattr(epoch, f"{split}_{name}") for split in ("train", "valid"))
        self.console.print(
            f"epoch {epoch.epoch}/{self.epochs}  "
            f"train: loss {epoch.train_loss:.4f}  {name} {train:.4f}  "
            f"valid: loss {epoch.valid_loss:.4f}  {name} {valid:.4f}  "
            f"lr {epoch.lr:g}  {epoch.images_per_second:.0f} images/s",
            soft_wrap=True,
        )
