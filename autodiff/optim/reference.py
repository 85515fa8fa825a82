"""A step of Adam on one parameter: the mathematics. cpu.py computes the same in one pass over the memory.

    m <- b1 m + (1 - b1) g                                                                                          (1)
    v <- b2 v + (1 - b2) g^2                                                                                        (2)
    x <- x - rate m / (root sqrt(v) + eps)                                                                          (3)

The bias corrections of Kingma and Ba's algorithm 1 are in rate and root: rate = lr / (1 - b1^t) and
root = 1 / sqrt(1 - b2^t), or, in the form with eps before the correction, rate = lr sqrt(1 - b2^t) / (1 - b1^t)
and root = 1.
"""

import numpy as np


def adam(x, m, v, g, b1, b2, rate, root, eps):
    """The new x, m and v; the arrays that are given stay as they are."""
    m = b1 * m + (1 - b1) * g  # (1)
    v = b2 * v + (1 - b2) * (g * g)  # (2)
    return x - rate * m / (np.sqrt(v) * root + eps), m, v  # (3)
