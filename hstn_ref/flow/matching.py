"""Matches of histograms of gradients between two images, for ldof.

1. **Histograms.** At every pixel the gradient (-1, 0, 1)/2 votes with its length for one of 15 directions. Votes are
   summed over three channels (a grey image counts three times), smoothed around the circle by a Gaussian of sigma 0.8
   bins, and averaged over 7x7 pixels.                                                                    (1)
2. **Descriptor** d(p): the histograms at p + {-4, 0, 4}^2, 135 numbers. Distance D = |d1 - d2|^2.        (2)
3. **Points** p of the target: every fourth pixel both ways, where the cornerness, |grad| times the smaller eigenvalue
   of the structure tensor (sigma 4), is at least an eighth of its mean.                                  (3)
4. **Candidates** q of the source: at most `radius` pixels from p along both axes, with an energy |d|^2 between half
   and twice that of p, and a squared colour difference of at most 300, summed over three channels.       (4)
5. **Match**: the candidate of least D. It is kept if the best match of q among the pixels of the target lies within
   one pixel of p. With D1 the least and D2 the next one, rho = (D2 - D1) / D1, at most MOST.             (5)

The authors' program has a radius of 80 pixels, RADIUS is 40. In the 60 pairs of docs/classical-flow.md one match in
eighteen is false with both, but with 80 by 23 pixels and with 40 by 15 on average; the mean error of ldof is 1.95 and
0.84 pixels, the median is the same, and 80 takes a quarter longer.

Source: Brox and Malik (2011), section 3.2, "dense" matching of histograms of oriented gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from scipy.ndimage import correlate1d, gaussian_filter, gaussian_filter1d, uniform_filter

BINS = 15
STEP = 4  # pixels, from cell to cell of a descriptor and from point to point
RADIUS = 40  # pixels
COLOUR = 300.0
MOST = 5.0  # rho is unbounded where D1 is almost 0


def find_matches(
    source: np.ndarray, target: np.ndarray, tick: Callable[[], None] = lambda: None, *, radius: int = RADIUS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (M, 2) of the target, their motions (M, 2) into the source, x first, and how sure they are, rho (M,).

    Images are (C, H, W), 0..255. `tick` is called after each of four parts that take about as long.
    """
    source, target = (np.concatenate([image] * (3 // len(image))) for image in (source, target))
    d1 = descriptors(target)
    tick()
    d2 = descriptors(source)
    tick()
    points = interesting(target)
    forward, rho = _best(d1, d2, target, source, points, radius, COLOUR)
    tick()
    backward, _ = _best(d2, d1, source, target, forward, radius, COLOUR)
    tick()
    kept = (forward[:, 0] >= 0) & (abs(backward - points).max(axis=1) <= 1)
    motions = (forward - points)[kept].astype(np.float64)
    return points[kept].astype(np.float64), motions, np.minimum(rho[kept], MOST).astype(np.float64)  # (5)


def descriptors(image: np.ndarray) -> np.ndarray:
    """(1), (2): image (C, H, W) -> (H, W, 135) float32."""
    x, y = (correlate1d(image, np.array([-0.5, 0, 0.5]), axis, mode="nearest") for axis in (2, 1))
    turn = np.floor(np.arctan2(y, x) % (2 * np.pi) * (BINS / (2 * np.pi))).astype(int) % BINS
    length = np.hypot(x, y)
    votes = np.stack([np.sum(length * (turn == b), axis=0) for b in range(BINS)], axis=-1)  # (H, W, 15)
    votes = gaussian_filter1d(votes, 0.8, axis=-1, mode="wrap")
    histograms = uniform_filter(votes, (7, 7, 1), mode="nearest")  # (1)
    H, W, _ = histograms.shape
    rows, columns = (np.clip(np.arange(n)[:, None] + (-STEP, 0, STEP), 0, n - 1) for n in (H, W))
    grid = histograms[rows[:, None, :, None], columns[None, :, None, :]]  # (H, W, 3, 3, 15)
    return np.ascontiguousarray(grid.reshape(H, W, -1), np.float32)  # (2)


def interesting(image: np.ndarray) -> np.ndarray:
    """(3): points (M, 2) of image (C, H, W), x first."""
    x, y = (correlate1d(image, np.array([-0.5, 0, 0.5]), axis, mode="nearest") for axis in (2, 1))
    xx, xy, yy = (gaussian_filter(np.sum(product, axis=0), 4) for product in (x * x, x * y, y * y))
    smaller = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
    cornerness = np.sqrt(np.sum(x * x + y * y, axis=0)) * smaller
    grid = np.zeros(cornerness.shape, bool)
    grid[STEP:-STEP:STEP, STEP:-STEP:STEP] = True
    return np.argwhere(grid & (cornerness >= cornerness.mean() / 8))[:, ::-1]  # (3)


@njit(cache=True)
def _best(d1, d2, image1, image2, points, radius, colour):
    """(4), (5): the best candidate (M, 2) in image 2 for points of image 1, or (-1, -1), and (D2 - D1) / D1."""
    H, W, _ = d1.shape
    C = image1.shape[0]
    found = np.full((len(points), 2), -1)
    rho = np.zeros(len(points), d1.dtype)
    energy = np.empty((H, W), d1.dtype)
    for i in range(H):
        for j in range(W):
            energy[i, j] = np.sum(d2[i, j] * d2[i, j])
    for m in range(len(points)):
        x, y = points[m]
        if x < 0:
            continue
        descriptor = d1[y, x]
        own = np.sum(descriptor * descriptor)
        first = second = np.float32(np.inf)
        for i in range(max(y - radius, 0), min(y + radius + 1, H)):
            for j in range(max(x - radius, 0), min(x + radius + 1, W)):
                if not (own <= 2 * energy[i, j] and energy[i, j] <= 2 * own):
                    continue
                difference = np.float32(0)
                for c in range(C):
                    difference += (image1[c, y, x] - image2[c, i, j]) ** 2
                if difference > colour:
                    continue  # (4)
                distance = _distance(descriptor, d2[i, j])
                if distance < first:
                    first, second = distance, first
                    found[m] = j, i
                elif distance < second:
                    second = distance
        if second < np.inf:
            rho[m] = (second - first) / max(first, np.float32(1e-6))
    return found, rho


@njit(cache=True, fastmath={"reassoc"})
def _distance(a, b):
    total = a.dtype.type(0)
    for k in range(a.size):
        total += (a[k] - b[k]) ** 2
    return total
