"""A step of Adam, for each parameter: the mathematics. cpu.py computes the same in one pass over the memory.

    m <- b1 m + (1 - b1) g                                                                                          (1)
    v <- b2 v + (1 - b2) g^2                                                                                        (2)
    x <- x - rate m / (root sqrt(v) + eps)                                                                          (3)

The bias corrections of Kingma and Ba's algorithm 1 are in rate and root: rate = lr / (1 - b1^t) and
root = 1 / sqrt(1 - b2^t), or, in the form with eps before the correction, rate = lr sqrt(1 - b2^t) / (1 - b1^t)
and root = 1.
"""

import numpy as np


def adam(xs, ms, vs, gs, b1, b2, rates, root, eps):
    """The new x, m and v of all parameters; the arrays that are given stay as they are."""
    ms = [b1 * m + (1 - b1) * g for m, g in zip(ms, gs, strict=True)]  # (1)
    vs = [b2 * v + (1 - b2) * (g * g) for v, g in zip(vs, gs, strict=True)]  # (2)
    steps = [rate * m / (np.sqrt(v) * root + eps) for rate, m, v in zip(rates, ms, vs, strict=True)]
    return [x - step for x, step in zip(xs, steps, strict=True)], ms, vs  # (3)
