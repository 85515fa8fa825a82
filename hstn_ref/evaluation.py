"""How a network does on a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import no_grad
from hstn_ref.tasks import TASKS, Judged

if TYPE_CHECKING:
    from hstn_ref.data import Dataset
    from hstn_ref.models import Network


@contextmanager
def mode(model: Network, *, training: bool) -> Iterator[None]:
    """Switch dropout on or off in a block; afterwards every module is as it was."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was in before:
            module.training = was


def evaluate(
    model: Network,
    dataset: Dataset,
    batch_size: int = 64,
    *,
    on_batch: Callable[[int], None] | None = None,
) -> Any:
    """The metrics of a network on all images of a data set, dropout off.

    `metrics.Metrics` of a classifier, `alignment_metrics.Metrics` of an alignment network. Their images per second are
    those of the network and its loss alone: making the images and judging the outputs are not timed.

    `on_batch(n)` is called after every batch of n images. Every part of the network is left in the mode it was in.
    Raises ValueError for a data set without images and a batch size below 1.
    """
    if len(dataset) == 0 or batch_size < 1:
        raise ValueError(f"evaluate: {len(dataset)} images in batches of {batch_size}, expected at least 1 of each")
    task, loss = TASKS[model.task], 0.0
    judged: list[Judged] = []
    seconds = 0.0
    with mode(model, training=False), no_grad():
        for first in range(0, len(dataset), batch_size):
            batch = dataset.batch(np.arange(first, min(first + batch_size, len(dataset))))
            start = time.perf_counter()
            outputs, mean_loss = model.outputs_and_loss(*batch[:2])
            loss += mean_loss.item() * len(batch[0])
            seconds += time.perf_counter() - start
            judged.append(task.judge(outputs, batch))
            if on_batch is not None:
                on_batch(len(batch[0]))
    together = tuple(np.concatenate(parts) for parts in zip(*judged, strict=True))
    speed = len(dataset) / seconds
    return task.metrics(together, loss=loss / len(dataset), images_per_second=speed)
