"""Activations."""

from __future__ import annotations

import numpy as np

from ..tensor import Tensor, as_tensor, check_dtypes, record


def softmax(x) -> Tensor:
    """p_k = exp(x_k) / sum_l exp(x_l) along the last axis, (..., K) -> (..., K), computed without overflow.

    gx = p (gp - <gp, p>). Raises TypeError for a non-floating dtype.
    """
    x = as_tensor(x)
    check_dtypes("softmax", x)
    e = np.exp(x.data - x.data.max(axis=-1, keepdims=True))

    def vjp(gp):
        p = softmax(x)
        return p * (gp - (gp * p).sum(axis=-1, keepdims=True))

    return record(e / e.sum(axis=-1, keepdims=True), (x, vjp))
