"""Dropout."""

from __future__ import annotations

import numpy as np

from ..tensor import Tensor, as_tensor, check_dtypes


def dropout(x, rate: float, rng: np.random.Generator) -> Tensor:
    """Inverted dropout: each number is set to 0 with probability `rate`, the others are divided by 1 - rate.

    x has any shape. The expectation is unchanged, so at test time the op is left out (Srivastava et al. 2014). Raises
    ValueError unless 0 <= rate < 1, TypeError for a non-floating dtype and for what is no generator.
    """
    x = as_tensor(x)
    check_dtypes("dropout", x)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate {rate}, expected 0 <= rate < 1")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"dropout: rng is {rng!r}, expected a numpy.random.Generator")
    kept = rng.random(x.shape, dtype=np.float32) >= rate  # the same mask in both precisions
    return x * (kept * x.dtype.type(1 / (1 - rate)))
