"""Measure the rungs of docs/speed.md: one convolution layer, from plain loops to Winograd's filtering.

    .venv/bin/python scripts/ladder.py            32 to 32 channels, 3x3, 60x60, 64 images, one core

Prints a Markdown table; every rung is compared with the reference first. The best of several runs counts, beside the
peak of multiply-adds measured in between.
"""

import time

import numba
import numpy as np
from numba import njit

from autodiff.memory import keep_freed_memory
from autodiff.ops.conv2d import cpu, reference
from hstn_ref.bench.peak import peak

OPTIONS = (1, 1), ((1, 1), (1, 1))
FLOP = 2 * 64 * 32 * 32 * 9 * 60 * 60


@njit
def plain_loops(x, weight):
    N, C, H, W = x.shape
    K = weight.shape[0]
    y = np.zeros((N, K, H, W), x.dtype)
    for n in range(N):
        for k in range(K):
            for i in range(H):
                for j in range(W):
                    for c in range(C):
                        for u in range(max(0, 1 - i), min(3, H + 1 - i)):
                            for v in range(max(0, 1 - j), min(3, W + 1 - j)):
                                y[n, k, i, j] += weight[k, c, u, v] * x[n, c, i + u - 1, j + v - 1]
    return y


@njit
def rows_at_a_time(x, weight):
    N, C, H, W = x.shape
    K = weight.shape[0]
    y = np.zeros((N, K, H, W), x.dtype)
    padded = np.zeros((C, H + 2, W + 2), x.dtype)
    for n in range(N):
        padded[:, 1:-1, 1:-1] = x[n]
        for i in range(H):
            for k in range(K):
                row = y[n, k, i]
                for c in range(C):
                    for u in range(3):
                        for v in range(3):
                            add(row, weight[k, c, u, v], padded[c, i + u, v : v + W])
    return y


@njit
def add(y, factor, x):
    for j in range(y.size):
        y[j] += factor * x[j]


def matrix_product(x, weight):
    """Every pixel's neighbourhood written out as a row, then one matrix product (im2col)."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), -1, x.shape[2] * x.shape[3])
    return (weight.reshape(len(weight), -1) @ columns).reshape(len(x), len(weight), *x.shape[2:])


def tile(x, weight):
    few, cpu.FEW = cpu.FEW, 1000  # no transforms
    try:
        cpu._forward_recipe.cache_clear()
        return cpu.forward(x, weight, None, *OPTIONS)
    finally:
        cpu.FEW = few
        cpu._forward_recipe.cache_clear()


RUNGS = {
    "NumPy, the reference voice: `einsum` tap by tap": lambda x, w: reference.forward(x, w, None, *OPTIONS),
    "plain loops in Numba": plain_loops,
    "loops in an order that the compiler turns into vectors": rows_at_a_time,
    "every neighbourhood as a column, one matrix product (OpenBLAS)": matrix_product,
    "the tile, sums in registers, planes in the cache": tile,
    "fewer products (Winograd along the rows)": lambda x, w: cpu.forward(x, w, None, *OPTIONS),
}


def main() -> None:
    from threadpoolctl import threadpool_limits

    keep_freed_memory()
    numba.set_num_threads(1)
    threadpool_limits(1)
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((64, 32, 60, 60), np.float32), rng.standard_normal((32, 32, 3, 3), np.float32)
    right = reference.forward(x[:2], weight, None, *OPTIONS)
    print("| rung | GFLOP/s |\n|---|---|")
    for name, convolve in RUNGS.items():
        error = abs(convolve(x[:2], weight) - right).max() / abs(right).max()
        if not error < 1e-5:
            raise SystemExit(f"{name} differs from the reference by {error:.1e}: nothing to time")
        seconds = []
        while sum(seconds) < 3 or len(seconds) < 2:
            start = time.perf_counter()
            convolve(x, weight)
            seconds.append(time.perf_counter() - start)
        print(f"| {name} | {FLOP / min(seconds) / 1e9:.1f} |", flush=True)
    print(f"| *peak of multiply-adds, measured* | {peak(1):.0f} |")


if __name__ == "__main__":
    main()
