"""Images to align whose motion is known in closed form."""

import numpy as np


def waves(x, y, channel=0):
    """A smooth pattern without repetition, 0..255, at any positions: sums of sines of incommensurable lengths."""
    pattern = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))
    rng = np.random.default_rng(5 + channel)
    for _ in range(12):
        length, angle, phase = rng.uniform(6, 40), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        pattern += length * np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / length + phase)
    return 127.5 + pattern


def shifted(shape, shift, channels=1):
    """source, target (C, H, W) float32 with target(p) = source(p + shift), shift = (along x, along y)."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    source = np.stack([waves(x, y, c) for c in range(channels)])
    target = np.stack([waves(x + shift[0], y + shift[1], c) for c in range(channels)])
    return source.astype(np.float32), target.astype(np.float32)


def inside(motion, margin):
    """Without `margin` pixels at every side."""
    return motion[..., margin:-margin, margin:-margin]
