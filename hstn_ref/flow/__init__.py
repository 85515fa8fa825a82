"""The classical flows of the paper's Table 2, from scratch: motion(source, target) without training.

    from hstn_ref.flow import brox

    motion = brox(source, target)  # (2, H, W), pixels, x first: target(p) ~ source(p + motion(p))

Read in this order: variational, brox; matching, ldof; dense_sift, belief, sift_flow. The mathematics stands in NumPy;
what visits every pixel in turn is compiled (sweeps.py, belief.py) and computes with one thread, the same bits every
time.
"""

from .brox import brox
from .ldof import ldof
from .sift_flow import sift_flow

__all__ = ["brox", "ldof", "sift_flow"]
