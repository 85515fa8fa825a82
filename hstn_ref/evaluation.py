"""How a network does on a data set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from autodiff import no_grad
from hstn_ref import metrics
from hstn_ref.metrics import Metrics

if TYPE_CHECKING:
    from hstn_ref.data import Dataset
    from hstn_ref.models import Network


def evaluate(
    model: Network,
    dataset: Dataset,
    batch_size: int = 64,
    *,
    on_batch: Callable[[int], None] | None = None,
) -> Metrics:
    """The metrics of a network on all images of a data set, dropout off.

    `on_batch(n)` is called after every batch of n images. The network is left in the mode it was in.
    """
    logits, labels, loss = [], [], 0.0
    was_training, start = model.training, time.perf_counter()
    model.eval()
    try:
        with no_grad():
            for first in range(0, len(dataset), batch_size):
                images, classes = dataset.batch(np.arange(first, min(first + batch_size, len(dataset))))
                outputs, mean_loss = model.outputs_and_loss(images, classes)
                logits.append(outputs.result.data)
                labels.append(classes)
                loss += mean_loss.item() * len(classes)
                if on_batch is not None:
                    on_batch(len(classes))
    finally:
        model.train(was_training)
    z, t = np.concatenate(logits), np.concatenate(labels)
    return Metrics(
        accuracy=metrics.accuracy(z, t),
        cross_entropy=metrics.cross_entropy(z, t),
        loss=loss / len(t),
        confusion=metrics.confusion_matrix(z, t),
        images_per_second=len(t) / (time.perf_counter() - start),
    )
