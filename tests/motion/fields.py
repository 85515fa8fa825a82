"""Motions for tests."""

import numpy as np
from hypothesis import strategies as st

sizes = st.tuples(st.integers(2, 9), st.integers(2, 9))
seeds = st.integers(0, 2**32 - 1)


def waves(shape, seed=0, slope=0.5, N=2):
    """Random smooth motions (N, 2, H, W) that change by at most `slope` from pixel to pixel, along x and along y."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    motion = np.zeros((N, 2, *shape))
    for n, k in np.ndindex(N, 2):
        frequency = rng.uniform(0.1, 0.6, 2)
        phase = rng.uniform(0, 2 * np.pi, 2)
        a = slope / frequency.max() / 2
        motion[n, k] = a * np.sin(frequency[0] * x + phase[0]) + a * np.sin(frequency[1] * y + phase[1])
    return motion


def thetas(seed=0, N=2, size=0.2):
    """Random parameters (N, 6) near the identity."""
    return np.array([1.0, 0, 0, 0, 1, 0]) + size * np.random.default_rng(seed).uniform(-1, 1, (N, 6))


def inside(motion, margin=0.0):
    """Where p + motion(p) lies in the image, at least `margin` pixels from its border: (N, H, W)."""
    _, _, H, W = motion.shape
    x, y = motion[:, 0] + np.arange(W), motion[:, 1] + np.arange(H)[:, None]
    return (x >= margin) & (x <= W - 1 - margin) & (y >= margin) & (y <= H - 1 - margin)
