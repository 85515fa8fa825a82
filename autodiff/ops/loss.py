"""The classification loss."""

from __future__ import annotations

import numpy as np

from ..tensor import Tensor, as_tensor, check_dtypes, record
from .activation import softmax


def softmax_cross_entropy(logits, labels) -> Tensor:
    """The mean over the batch of -log softmax(logits)[label], a scalar.

        L = 1/N sum_n ( log sum_k exp(z_nk) - z_n[label_n] )                              (1)
        gz_nk = gL / N (softmax(z)_nk - [k = label_n])                                    (2)

    logits (N, K), labels (N,) integers in 0..K-1. (1) is computed from z - max z, so it neither overflows nor loses
    digits. It is the "cross entropy" of the paper's Table 1. Raises ValueError for an empty batch, shapes that do not
    fit and labels out of range, TypeError for labels that are not integers.
    """
    z = as_tensor(logits)
    labels = labels.data if isinstance(labels, Tensor) else np.asarray(labels)
    check_dtypes("softmax_cross_entropy", z)
    _check_labels(z.shape, labels)
    N, K = z.shape
    shifted = z.data - z.data.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(N), labels]  # (1)

    def vjp(gL):
        label = np.eye(K, dtype=z.dtype)[labels]
        return (softmax(z) - label) * (gL * (1.0 / N))  # (2)

    return record(np.asarray(losses.mean(dtype=z.dtype)), (z, vjp))


def _check_labels(shape: tuple[int, ...], labels: np.ndarray) -> None:
    if len(shape) != 2 or labels.shape != shape[:1]:
        raise ValueError(f"softmax_cross_entropy: logits {shape} and labels {labels.shape}, expected (N, K) and (N,)")
    if shape[0] == 0:
        raise ValueError(f"softmax_cross_entropy: empty batch, logits have shape {shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"softmax_cross_entropy: labels have dtype {labels.dtype}, expected integers")
    outside = np.flatnonzero((labels < 0) | (labels >= shape[1]))
    if outside.size:
        n = int(outside[0])
        raise ValueError(f"softmax_cross_entropy: label {labels[n]} at position {n}, expected 0 to {shape[1] - 1}")
