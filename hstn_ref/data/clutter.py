"""Cluttered digits: a whole digit at a random place among scraps of other digits.

The algorithm is that of google-deepmind/mnist-cluttered (`mnist_cluttered.lua`), which most likely made the
60x60 set of the paper, with D = 6 distractors of s = 8 pixels. For every canvas of H x W pixels, with h x w
the size of a digit:

1. The canvas is 0.
2. D times: a digit of the split, any of them, with replacement; in it a patch of s x s pixels whose corner is
   uniform in {0..h-s} x {0..w-s}; this is added to the canvas at a corner uniform in {0..H-s} x {0..W-s}.
3. What exceeds white becomes white.
4. The digit itself, the next of a random permutation of the split, is added at a corner uniform in
   {0..H-h} x {0..W-w}, and clipped as in 3. It is neither scaled nor turned.
5. The label is that of the digit.

Grey levels are the integers 0..255, so that sums are exact; a pixel is level / 255 in float32. (Clipping once
after step 4 gives the same levels as clipping in steps 3 and 4, because nothing added is negative.)

Canvas i of epoch e depends on (seed, stream, e, i) alone: neither on the batch it is asked for with nor on
what was drawn before, and every machine draws the same bits. With M = 2 + 5 D, its random words are i M to
i M + M-1 of the SplitMix64 sequence (Steele, Lea and Flood, OOPSLA 2014), which can be entered anywhere
because its n-th word, from 1, is a mixture of start + n GOLDEN. The start is hashed by NumPy's SeedSequence,
whose output is fixed for good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hstn_ref.errors import DataError

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio, odd
LARGEST, MOST = 4096, 10_000  # pixels along a side of the canvas; distractors


@dataclass(frozen=True)
class Clutter:
    """Size of the canvas (H, W), number of distractors, and side of a distractor's patch; in pixels."""

    canvas: tuple[int, int] = (60, 60)
    distractors: int = 6
    patch: int = 8

    def __post_init__(self) -> None:
        numbers = (*self.canvas, self.distractors, self.patch)
        whole = all(isinstance(number, (int, np.integer)) for number in numbers) and len(self.canvas) == 2
        if not (whole and min(*self.canvas, self.patch) >= 1 and max(self.canvas) <= LARGEST):
            raise DataError(f"clutter: {self} is no canvas (height, width), at most {LARGEST}, with square patches")
        if not 0 <= self.distractors <= MOST:
            raise DataError(f"clutter: {self.distractors} distractors, expected 0 to {MOST}")

    def check_digit(self, size: tuple[int, int]) -> None:
        """Raise DataError unless a digit of `size` fits the canvas and a patch fits both."""
        if size[0] > self.canvas[0] or size[1] > self.canvas[1]:
            raise DataError(f"clutter: a digit of {size} pixels does not fit a canvas of {self.canvas}")
        if self.distractors and self.patch > min(size):
            raise DataError(f"clutter: a patch of {self.patch} pixels does not fit a digit of {size}")


@dataclass(frozen=True)
class Draws:
    """What chance decides about a batch of B canvases. All arrays are int64."""

    digit: np.ndarray  # (B,) which digit stands on the canvas
    corner: np.ndarray  # (B, 2) its upper left corner (y, x) on the canvas
    patches: np.ndarray  # (B, D, 5) each one's digit, corner (y, x) on the canvas, and corner (y, x) in the digit


def starts(seed: int, stream: int, epoch: int) -> np.ndarray:
    """Where two SplitMix64 sequences start: that of the permutation and that of the canvases. (2,) uint64"""
    return np.random.SeedSequence(seed, spawn_key=(stream, epoch)).generate_state(2, np.uint64)


def random_words(start: np.uint64, numbers: np.ndarray) -> np.ndarray:
    """The words of those numbers (uint64, from 0) in the SplitMix64 sequence that begins at `start`."""
    z = start + (numbers + np.uint64(1)) * np.uint64(GOLDEN)  # modulo 2^64, as all of this
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def permutation(start: np.uint64, count: int) -> np.ndarray:
    """A random order of 0..count-1."""
    return np.argsort(random_words(start, np.arange(count, dtype=np.uint64)), kind="stable")


def draw(start: np.uint64, order: np.ndarray, indices: np.ndarray, size: tuple[int, int], clutter: Clutter) -> Draws:
    """Decide about the canvases `indices`, whose digits, of `size` pixels, come in the given order."""
    (H, W), (h, w), D, s = clutter.canvas, size, clutter.distractors, clutter.patch
    outcomes = [H - h + 1, W - w + 1] + D * [len(order), H - s + 1, W - s + 1, h - s + 1, w - s + 1]
    M = len(outcomes)
    numbers = indices.astype(np.uint64)[:, None] * np.uint64(M) + np.arange(M, dtype=np.uint64)  # (B, M)
    # The high 32 bits, scaled to 0..outcome-1. Probabilities are even to outcome / 2^32, about 1e-5.
    high = random_words(start, numbers) >> np.uint64(32)
    drawn = (high * np.array(outcomes, np.uint64) >> np.uint64(32)).astype(np.int64)
    return Draws(order[indices], drawn[:, :2], drawn[:, 2:].reshape(len(indices), D, 5))


def canvases(digits: np.ndarray, draws: Draws, clutter: Clutter) -> np.ndarray:
    """Paint what was drawn: digits (n, h, w) uint8 -> canvases (B, H, W) uint8."""
    from hstn_ref.data.painting import paint  # Numba is imported when it is first needed

    digits = np.ascontiguousarray(digits).view()
    digits.flags.writeable = False  # one specialisation of the kernel serves embedded (read-only) and other digits
    painted = np.zeros((len(draws.digit), *clutter.canvas), np.uint8)  # step 1
    paint(digits, draws.digit, draws.corner, draws.patches, clutter.patch, painted)
    return painted
