"""How a network does on a data set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import no_grad
from hstn_ref.tasks import TASKS, Judged

if TYPE_CHECKING:
    from hstn_ref.data import Dataset
    from hstn_ref.models import Network


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

    `on_batch(n)` is called after every batch of n images. The network is left in the mode it was in.
    """
    task, loss = TASKS[model.task], 0.0
    judged: list[Judged] = []
    was_training, seconds = model.training, 0.0
    model.eval()
    try:
        with no_grad():
            for first in range(0, len(dataset), batch_size):
                batch = dataset.batch(np.arange(first, min(first + batch_size, len(dataset))))
                start = time.perf_counter()
                outputs, mean_loss = model.outputs_and_loss(*batch[:2])
                loss += mean_loss.item() * len(batch[0])
                seconds += time.perf_counter() - start
                judged.append(task.judge(outputs, batch))
                if on_batch is not None:
                    on_batch(len(batch[0]))
    finally:
        model.train(was_training)
    together = tuple(np.concatenate(parts) for parts in zip(*judged, strict=True))
    speed = len(dataset) / seconds
    return task.metrics(together, loss=loss / len(dataset), images_per_second=speed)
