"""Motion fields as colours: the code of the Middlebury optical-flow benchmark (Baker et al. 2011).

The hue tells the direction and the saturation the length: white is no motion, the full colour a motion of
`radius` pixels; what is longer is darkened. With x to the right and y downwards, motion to the right is red,
down yellow, left cyan, up violet.
"""

from __future__ import annotations

import numpy as np

_SEGMENTS = (  # from a colour to the next in so many steps; as many as the eye tells apart
    ((1, 0, 0), 15),  # red
    ((1, 1, 0), 6),  # yellow
    ((0, 1, 0), 4),  # green
    ((0, 1, 1), 11),  # cyan
    ((0, 0, 1), 13),  # blue
    ((1, 0, 1), 6),  # magenta, back to red
)


def hues() -> np.ndarray:
    """The 55 full colours of the wheel, clockwise from the one of motion to the right: (55, 3) in [0, 1]."""
    corners = [np.array(colour, float) for colour, _ in _SEGMENTS]
    colours = []
    for i, (_, count) in enumerate(_SEGMENTS):
        start, end = corners[i], corners[(i + 1) % len(corners)]
        colours += [start + (end - start) * step / count for step in range(count)]
    return np.array(colours)


def motion_colours(motion: np.ndarray, radius: float) -> np.ndarray:
    """The colours (H, W, 3) in [0, 1] of a motion field (2, H, W) in pixels.

    Raises ValueError for another shape, and unless radius > 0.
    """
    if motion.ndim != 3 or motion.shape[0] != 2 or not radius > 0:
        raise ValueError(f"motion_colours: motion {motion.shape}, radius {radius}; expected (2, H, W), > 0")
    u, v = motion.astype(np.float64) / radius
    length = np.hypot(u, v)[..., None]
    table = hues()
    place = (np.arctan2(v, u) / (2 * np.pi) % 1) * len(table)  # along the wheel
    k = np.floor(place).astype(int)
    f = (place - k)[..., None]
    full = (1 - f) * table[k % len(table)] + f * table[(k + 1) % len(table)]
    return np.where(length <= 1, 1 - length * (1 - full), 0.75 * full)


def wheel(size: int) -> np.ndarray:
    """The legend (size, size, 4): the colour of the motion from the centre to each pixel, clear outside."""
    x = np.linspace(-1, 1, size)
    motion = np.stack(np.meshgrid(x, x))
    inside = np.hypot(*motion) <= 1
    return np.dstack([motion_colours(motion, 1.0), inside])
