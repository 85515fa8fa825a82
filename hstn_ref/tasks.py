"""What differs between the two tasks of section 4 in training and evaluation.

A task says how a batch is judged: (images, labels) by a classifier, (source, target, motion) by an alignment network,
which is trained with the first two alone; the true motion only measures it.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from hstn_ref import alignment_metrics, metrics
from hstn_ref.history import AlignmentEpoch, Epoch, Sums
from hstn_ref.metrics import Metrics
from hstn_ref.models.hstn import GREY_LEVELS
from hstn_ref.motion import folding_fraction

Batch = tuple[np.ndarray, ...]
Judged = tuple[np.ndarray, ...]  # arrays with an entry an image


class Task(Protocol):
    """What `Trainer` and `evaluate` ask for. `outputs` is what a network's `outputs_and_loss` gives."""

    epoch: type[Any]  # of its history
    inputs: tuple[str, ...]  # what the images of a batch are called
    min_delta: float  # by how much a loss of validation must fall to count as lower

    def score(self, outputs: Any, batch: Batch) -> float:
        """What is summed up over the images of a training step."""
        ...

    def judge(self, outputs: Any, batch: Batch) -> Judged:
        """What the metrics of the whole data set are made of."""
        ...

    def metrics(self, judged: Judged, *, loss: float, images_per_second: float) -> Any: ...

    def line(self, sums: Sums, valid: Any, **common: Any) -> Any:
        """The line of the history for an epoch with these sums and validation metrics."""
        ...


class Classification:
    """Section 4.1: right answers and the cross entropy."""

    epoch = Epoch
    inputs: tuple[str, ...] = ("the images",)
    min_delta = 1e-4

    def score(self, outputs: Any, batch: Batch) -> float:
        return int(np.sum(metrics.predictions(outputs.result.data) == batch[1]))

    def judge(self, outputs: Any, batch: Batch) -> Judged:
        return outputs.result.data, np.array(batch[1])  # a data set may use its array again

    def metrics(self, judged: Judged, *, loss: float, images_per_second: float) -> Metrics:
        logits, labels = judged
        return Metrics(
            accuracy=metrics.accuracy(logits, labels),
            cross_entropy=metrics.cross_entropy(logits, labels),
            loss=loss,
            confusion=metrics.confusion_matrix(logits, labels),
            images_per_second=images_per_second,
        )

    def line(self, sums: Sums, valid: Metrics, **common: Any) -> Epoch:
        return Epoch(
            train_loss=sums.loss / sums.images,
            train_accuracy=sums.score / sums.images,
            valid_loss=valid.loss,
            valid_cross_entropy=valid.cross_entropy,
            valid_accuracy=valid.accuracy,
            **common,
        )


class Alignment:
    """Section 4.2: the difference of the images and, beyond the paper, that of the motions."""

    epoch = AlignmentEpoch
    inputs: tuple[str, ...] = ("the sources", "the targets")
    min_delta = 1e-4 * GREY_LEVELS**-2  # the same in squared grey levels, as the weights of (7)

    def score(self, outputs: Any, batch: Batch) -> float:
        return float(alignment_metrics.image_epe(outputs.result.data, batch[1]).sum())

    def judge(self, outputs: Any, batch: Batch) -> Judged:
        _, target, truth = batch
        motion = outputs.stages["motion"].data
        return (
            alignment_metrics.image_epe(outputs.result.data, target),
            alignment_metrics.flow_epe(motion, truth),
            folding_fraction(motion),
        )

    def metrics(self, judged: Judged, *, loss: float, images_per_second: float) -> alignment_metrics.Metrics:
        image_epe, flow_epe, folding = judged
        return alignment_metrics.Metrics(
            image_epe=float(image_epe.mean()),
            flow_epe=float(flow_epe.mean()),
            flow_epe_median=float(np.median(flow_epe)),
            share_below_1=alignment_metrics.share_below(flow_epe),
            folding=float(folding.mean()),
            loss=loss,
            images_per_second=images_per_second,
        )

    def line(self, sums: Sums, valid: alignment_metrics.Metrics, **common: Any) -> AlignmentEpoch:
        return AlignmentEpoch(
            train_loss=sums.loss / sums.images,
            train_image_epe=sums.score / sums.images,
            valid_loss=valid.loss,
            valid_image_epe=valid.image_epe,
            valid_flow_epe=valid.flow_epe,
            **common,
        )


TASKS: dict[str, Task] = {"classify": Classification(), "align": Alignment()}
