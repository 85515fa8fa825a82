"""relu: the rectifier. The mathematics is in reference.py."""

from __future__ import annotations

import numpy as np

from ... import backend, kinks
from ...tensor import Tensor, as_tensor, check_dtypes, record


def relu(x) -> Tensor:
    """max(x, 0), element by element; the subgradient at x = 0 is 0. A NaN stays a NaN and gets no gradient.

    Raises TypeError unless x is float32 or float64.
    """
    x = as_tensor(x)
    check_dtypes("relu", x)
    kinks.note("relu at 0", lambda: np.sign(x.data.real))
    kernels = backend.choose(__name__, x.data)
    return record(kernels.forward(x.data), (x, lambda gy: _gradient(gy, x)))


def rectified(y: Tensor) -> Tensor:
    """relu(x), where a kernel that computed x has rectified it already: the numbers of y are those of relu(x).

    x > 0 exactly where relu(x) > 0, so equation (2) may read the result; the numbers of x are kept nowhere.
    """
    kinks.note("relu at 0", lambda: y.data.real > 0)
    return record(y.data, (y, lambda gy: _gradient(gy, y)))


def _gradient(gy: Tensor, x: Tensor) -> Tensor:
    """Equation (2): linear in gy and its own adjoint, constant in x between the kinks."""
    kernels = backend.choose(__name__, x.data)
    return record(kernels.gradient(gy.data, x.data), (gy, lambda g: _gradient(g, x)))
