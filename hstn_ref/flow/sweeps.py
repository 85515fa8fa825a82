"""What brox and ldof do at every pixel, compiled: equations (5) to (8) of variational.py and the median."""

import numpy as np
from numba import njit


@njit(cache=True)
def diffusivity(w, alpha, eps):
    """(5): gx (H, W + 1), the edges left and right of every pixel, and gy (H + 1, W), those above and below."""
    _, H, W = w.shape
    gx, gy = np.zeros((H, W + 1), w.dtype), np.zeros((H + 1, W), w.dtype)
    quarter, square, alpha = w.dtype.type(0.25), w.dtype.type(eps * eps), w.dtype.type(alpha)
    for i in range(H):
        up, down = max(i - 1, 0), min(i + 1, H - 1)
        for j in range(1, W):
            s = square
            for k in range(2):
                across = w[k, i, j] - w[k, i, j - 1]
                along = quarter * (w[k, down, j] - w[k, up, j] + w[k, down, j - 1] - w[k, up, j - 1])
                s += across * across + along * along
            gx[i, j] = alpha / np.sqrt(s)
    for i in range(1, H):
        for j in range(W):
            left, right = max(j - 1, 0), min(j + 1, W - 1)
            s = square
            for k in range(2):
                across = w[k, i, j] - w[k, i - 1, j]
                along = quarter * (w[k, i, right] - w[k, i, left] + w[k, i - 1, right] - w[k, i - 1, left])
                s += across * across + along * along
            gy[i, j] = alpha / np.sqrt(s)
    return gx, gy


@njit(cache=True)
def data_term(rows, mask, w, start, gamma, joint, eps):
    """(6), (7): a11, a12, a22, c1, c2 as (5, H, W)."""
    C, K, _, H, W = rows.shape
    system = np.zeros((5, H, W), w.dtype)
    square, gamma, one = w.dtype.type(eps * eps), w.dtype.type(gamma), w.dtype.type(1)
    for i in range(H):
        for j in range(W):
            du, dv = w[0, i, j] - start[0, i, j], w[1, i, j] - start[1, i, j]
            brightness, gradient = w.dtype.type(0), w.dtype.type(0)
            for c in range(C):
                for k in range(K):
                    r = rows[c, k, 2, i, j] + rows[c, k, 0, i, j] * du + rows[c, k, 1, i, j] * dv
                    if k == 0:
                        brightness += r * r
                    else:
                        gradient += r * r
            if joint:
                p = one / np.sqrt(brightness + gamma * gradient + square)
                q = gamma * p
            else:
                p = one / np.sqrt(brightness + square)
                q = gamma / np.sqrt(gradient + square)
            p, q = p * mask[i, j], q * mask[i, j]  # (6)
            a11 = a12 = a22 = b1 = b2 = w.dtype.type(0)
            for c in range(C):
                for k in range(K):
                    a, b, z = rows[c, k, 0, i, j], rows[c, k, 1, i, j], rows[c, k, 2, i, j]
                    f = p if k == 0 else q
                    a11 += f * a * a
                    a12 += f * a * b
                    a22 += f * b * b
                    b1 -= f * a * z
                    b2 -= f * b * z
            system[0, i, j], system[1, i, j], system[2, i, j] = a11, a12, a22
            system[3, i, j] = b1 + a11 * start[0, i, j] + a12 * start[1, i, j]
            system[4, i, j] = b2 + a12 * start[0, i, j] + a22 * start[1, i, j]
    return system


@njit(cache=True)
def relax(w, system, gx, gy, sweeps, omega):
    """(8): sweeps of successive over-relaxation on w (2, H, W), in place, red pixels first, then black ones."""
    _, H, W = w.shape
    inverse = np.empty((2, H, W), w.dtype)
    tiny, omega, rest = w.dtype.type(1e-12), w.dtype.type(omega), w.dtype.type(1 - omega)
    for i in range(H):
        for j in range(W):
            g = gx[i, j] + gx[i, j + 1] + gy[i, j] + gy[i + 1, j]
            inverse[0, i, j] = omega / (system[0, i, j] + g + tiny)
            inverse[1, i, j] = omega / (system[2, i, j] + g + tiny)
    for sweep in range(2 * sweeps):
        for i in range(H):
            up, down = max(i - 1, 0), min(i + 1, H - 1)
            for j in range((i + sweep) % 2, W, 2):
                left, right = max(j - 1, 0), min(j + 1, W - 1)
                gw, ge, gn, gs = gx[i, j], gx[i, j + 1], gy[i, j], gy[i + 1, j]
                c = gw * w[0, i, left] + ge * w[0, i, right] + gn * w[0, up, j] + gs * w[0, down, j]
                c += system[3, i, j] - system[1, i, j] * w[1, i, j]
                w[0, i, j] = rest * w[0, i, j] + inverse[0, i, j] * c
                c = gw * w[1, i, left] + ge * w[1, i, right] + gn * w[1, up, j] + gs * w[1, down, j]
                c += system[4, i, j] - system[1, i, j] * w[0, i, j]
                w[1, i, j] = rest * w[1, i, j] + inverse[1, i, j] * c  # (8)


@njit(cache=True)
def median5(w):
    """The median of the 5x5 pixels around every pixel of every plane of w (K, H, W); the border is repeated.

    Neither the least nor the greatest of any 14 of 25 numbers is the median: drop both, take another one, and go on until
    three are left. A row at a time, so that the comparisons become vector instructions.
    """
    K, H, W = w.shape
    y = np.empty_like(w)
    window = np.empty((25, W), w.dtype)
    for k in range(K):
        for i in range(H):
            for a in range(5):
                row = w[k, min(max(i + a - 2, 0), H - 1)]
                for b in range(5):
                    for j in range(W):
                        window[5 * a + b, j] = row[min(max(j + b - 2, 0), W - 1)]
            for least in range(12):
                for m in range(least + 1, 14):
                    _sort(window[least], window[m])
                for m in range(least + 1, 13):
                    _sort(window[m], window[13])
                if least < 11:
                    window[13] = window[14 + least]
            for j in range(W):
                y[k, i, j] = window[12, j]
    return y


@njit(cache=True)
def _sort(x, y):
    """The lesser of each two numbers into x, the greater into y."""
    for j in range(x.size):
        a, b = x[j], y[j]
        x[j] = min(a, b)
        y[j] = max(a, b)
