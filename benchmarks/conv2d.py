"""The Numba voice of conv2d: validate it against the reference, then time the layers of the paper's networks.

    python benchmarks/conv2d.py [part of a layer's name] [--threads 2] [--batch 64]

Speeds are in GFLOP/s of useful multiplications and additions, beside the peak: the same tile on data that never
leaves the first-level cache, measured between the runs, because a shared machine drifts. The best of many runs.
"""

from __future__ import annotations

import argparse
import math
import time

import numba
import numpy as np

from autodiff.memory import keep_freed_memory
from autodiff.ops.conv2d import cpu, reference
from autodiff.simd import BITS, BYTES, FILTERS, VECTORS, correlate_tile

# C, size, K, kernel, stride, padding. Of a deconvolution the gradient to x is the forward map.
LAYERS = {
    "16 -> 16, 3x3, 60x60": (16, 60, 16, 3, 1, 1),
    "32 -> 32, 3x3, 60x60": (32, 60, 32, 3, 1, 1),
    "64 -> 32, 3x3, 60x60": (64, 60, 32, 3, 1, 1),
    "32 -> 2, 3x3, 60x60": (32, 60, 2, 3, 1, 1),
    "16 -> 16, 3x3, 30x30": (16, 30, 16, 3, 1, 1),
    "32 -> 32, 3x3, 30x30": (32, 30, 32, 3, 1, 1),
    "64 -> 32, 3x3, 30x30": (64, 30, 32, 3, 1, 1),
    "64 -> 64, 1x1, 15x15": (64, 15, 64, 1, 1, 0),
    "1 -> 20, 5x5 valid, 60x60": (1, 60, 20, 5, 1, 0),
    "20 -> 20, 5x5 valid, 28x28": (20, 28, 20, 5, 1, 0),
    "20 -> 20, 5x5 valid, 12x12": (20, 12, 20, 5, 1, 0),
    "32 -> 32, 3x3 valid, 29x29": (32, 29, 32, 3, 1, 0),
    "32 -> 32, 3x3 valid, 13x13": (32, 13, 32, 3, 1, 0),
    "deconvolution 128 -> 64, 3x3, 15x15 -> 30x30": (64, 30, 128, 3, 2, (0, 1)),
}
TAPS, TILES = 144, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="", help="part of a layer's name")
    parser.add_argument("--threads", type=int, default=numba.get_num_threads())
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    keep_freed_memory()
    numba.set_num_threads(options.threads)
    peak()
    print(f"{options.threads} threads, batch {options.batch}, float32; GFLOP/s and share of the peak")
    print(f"{'layer':<46}{'forward':>14}{'gradient_x':>14}{'gradient_weight':>17}{'peak':>7}")
    for name, layer in LAYERS.items():
        if options.only in name:
            validate(*layer)
            speeds, best_peak = measure(options.batch, *layer)
            shares = [f"{speed:5.0f} {speed / best_peak:4.0%}" for speed in speeds]
            print(f"{name:<46}{shares[0]:>14}{shares[1]:>14}{shares[2]:>17}{best_peak:>7.0f}", flush=True)


def problem(N, C, size, K, kernel, step, pad):
    """The arguments of forward, gradient_x and gradient_weight on random numbers, and the FLOP of each."""
    rng = np.random.default_rng(0)
    pads = (pad, pad) if isinstance(pad, int) else pad
    options = (step, step), (pads, pads)
    x, weight = (rng.standard_normal(s, np.float32) for s in ((N, C, size, size), (K, C, kernel, kernel)))
    gy = rng.standard_normal(reference.out_shape(x.shape, weight.shape, *options), np.float32)
    arguments = {
        "forward": (x, weight, weight[:, 0, 0, 0], *options),
        "gradient_x": (gy, weight, x.shape, *options),
        "gradient_weight": (gy, x, weight.shape, *options),
    }
    return arguments, 2 * gy.size * C * kernel * kernel


def validate(*layer) -> None:
    arguments, _ = problem(3, *layer)
    for name, args in arguments.items():
        expected = getattr(reference, name)(*args)
        error = abs(getattr(cpu, name)(*args) - expected).max() / abs(expected).max()
        if not error < 1e-4:
            raise SystemExit(f"{name} of {layer} differs from the reference by {error:.1e}: nothing to time")


def measure(N, *layer):
    """GFLOP/s of forward, gradient_x and gradient_weight, and of the peak in the same seconds."""
    arguments, flop = problem(N, *layer)
    runs = min(40, max(5, math.ceil(2e10 / flop)))
    seconds, peaks = dict.fromkeys(arguments, math.inf), []
    for _ in range(runs):
        peaks.append(peak())
        for name, args in arguments.items():
            start = time.process_time()
            getattr(cpu, name)(*args)
            seconds[name] = min(seconds[name], time.process_time() - start)
    return [flop / t / 1e9 for t in seconds.values()], max(peaks)


def peak() -> float:
    """GFLOP/s of the register tile on data in the first-level cache."""
    lanes, threads = BYTES // 4, numba.get_num_threads()
    x, weight = np.ones(2048, np.float32), np.ones(TAPS * FILTERS, np.float32)
    starts, taps = np.arange(VECTORS) * lanes, np.arange(TAPS)
    start = time.process_time()
    tiles(np.zeros((threads, FILTERS * 256), np.float32), x, starts, taps, weight)
    return 2 * threads * TILES * TAPS * FILTERS * VECTORS * lanes / (time.process_time() - start) / 1e9


@numba.njit(parallel=True, cache=True)
def tiles(y, x, starts, taps, weight):
    for thread in numba.prange(y.shape[0]):
        row = y[thread]
        for _ in range(TILES):
            correlate_tile(row, 0, 256, x, starts, 0, taps, 0, TAPS, weight, 0, BITS, FILTERS, VECTORS)


if __name__ == "__main__":
    main()
