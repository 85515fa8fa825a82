"""What a classifier is judged by, in NumPy; sums are in float64 whatever the dtype of the logits.

    z (N, K) logits, t (N,) labels

    accuracy        1/N sum_n [argmax_k z_nk = t_n]                                        (1)
    cross entropy   1/N sum_n ( log sum_k exp(z_nk) - z_n,t_n )                            (2)
    confusion       C_ij = number of n with t_n = i and argmax_k z_nk = j                  (3)

Accuracy and cross entropy are the columns of the paper's Table 1. A tie goes to the smaller class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metrics:
    """How a network does on a set of images."""

    accuracy: float
    cross_entropy: float
    loss: float  # what training minimises: the cross entropy, for HSTN plus the penalty (7)
    confusion: np.ndarray  # (K, K) int64, rows are labels, columns predictions
    images_per_second: float


def predictions(logits: np.ndarray) -> np.ndarray:
    """The most probable class of each row: logits (N, K) -> (N,) int64."""
    return np.argmax(logits, axis=1)


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose largest logit is the label's: equation (1).

    Raises ValueError for shapes that do not fit and labels out of range.
    """
    _check("accuracy", logits, labels)
    return float(np.mean(predictions(logits) == labels))  # (1)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean of -log softmax(logits)[label] in nats: equation (2), without overflow.

    Raises ValueError for shapes that do not fit and labels out of range.
    """
    _check("cross_entropy", logits, labels)
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]))  # (2)


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How often each label (row) met each prediction (column): equation (3), (K, K) int64.

    Raises ValueError for shapes that do not fit and labels out of range.
    """
    _check("confusion_matrix", logits, labels)
    K = logits.shape[1]
    return np.bincount(labels.astype(np.int64) * K + predictions(logits), minlength=K * K).reshape(K, K)  # (3)


def _check(name: str, logits: np.ndarray, labels: np.ndarray) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or logits.size == 0:
        raise ValueError(f"{name}: logits {logits.shape} and labels {labels.shape}, expected (N > 0, K), (N,)")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"{name}: labels span {labels.min()}..{labels.max()}, logits {logits.shape} have classes "
            f"0..{logits.shape[1] - 1}"
        )
