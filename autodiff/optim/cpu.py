"""A step of Adam in Numba: equations (1)-(3) of reference.py, every number loaded once."""

import numpy as np
from numba import njit


def adam(x, m, v, g, b1, b2, rate, root, eps):
    x, m, v, g = (np.require(a, requirements=["C", "A", "W"]) for a in (x, m, v, g))
    new = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    numbers = (x.dtype.type(a) for a in (b1, 1 - b1, b2, 1 - b2, rate, root, eps))
    _adam(*(a.reshape(-1) for a in (*new, x, m, v, g)), *numbers)
    return new


@njit(cache=True)
def _adam(new_x, new_m, new_v, x, m, v, g, b1, c1, b2, c2, rate, root, eps):
    for i in range(x.size):
        new_m[i] = b1 * m[i] + c1 * g[i]  # (1)
        new_v[i] = b2 * v[i] + c2 * (g[i] * g[i])  # (2)
        new_x[i] = x[i] - rate * new_m[i] / (np.sqrt(new_v[i]) * root + eps)  # (3)
