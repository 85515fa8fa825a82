"""What brox and ldof do at every pixel, compiled: the warp, equations (5) to (8) of variational.py, and the median.

Loops over a row stand in functions of their own that write one row and read few others: the compiler then makes vector
instructions of them.
"""

import numpy as np
from numba import njit


@njit(cache=True)
def warp(image, motion):
    """image (C, H, W) read at p + motion(p), its edge repeated, by Keys's cubic convolution with a = -1/2 (1981).

    Bilinear reading would blur most half way between pixels, and the motion would avoid it: some hundredths of a pixel.
    """
    C, H, W = image.shape
    warped = np.empty_like(image)
    for i in range(H):
        for j in range(W):
            x = min(max(j + motion[0, i, j], 0), W - 1)
            y = min(max(i + motion[1, i, j], 0), H - 1)
            m, l = int(x), int(y)
            u, v = _cubic(x - m), _cubic(y - l)
            for c in range(C):
                total = 0.0
                for b in range(4):
                    row = image[c, min(max(l + b - 1, 0), H - 1)]
                    for a in range(4):
                        total += v[b] * u[a] * row[min(max(m + a - 1, 0), W - 1)]
                warped[c, i, j] = total
    return warped


@njit(cache=True)
def _cubic(t):
    """The weights of the pixels at -1, 0, 1 and 2 for reading at 0 <= t < 1."""
    return (
        0.5 * t * ((2 - t) * t - 1),
        0.5 * (t * t * (3 * t - 5) + 2),
        0.5 * t * ((4 - 3 * t) * t + 1),
        0.5 * t * t * (t - 1),
    )


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
def data_term(rows, mask, w, w0, gamma, joint, eps):
    """(6), (7): A11, A12, A22, c1, c2 as (5, H, W)."""
    C, K, _, H, W = rows.shape
    system = np.zeros((5, H, W), w.dtype)
    p = np.empty((2, W), w.dtype)  # of the brightness and of the gradient
    dw = np.empty((2, W), w.dtype)
    for i in range(H):
        a11, a12, a22, c1, c2 = system[0, i], system[1, i], system[2, i], system[3, i], system[4, i]
        p[:] = 0
        dw[:] = w[:, i] - w0[:, i]
        for c in range(C):
            for k in range(K):
                a, b, z = rows[c, k, 0, i], rows[c, k, 1, i], rows[c, k, 2, i]
                _add_square(p[min(k, 1)], a, b, z, dw[0], dw[1])
        if joint:
            _weigh_jointly(p[0], p[1], mask[i], gamma, eps)
        else:
            _weigh(p[0], mask[i], 1.0, eps)
            _weigh(p[1], mask[i], gamma, eps)  # (6)
        for c in range(C):
            for k in range(K):
                a, b, z, f = rows[c, k, 0, i], rows[c, k, 1, i], rows[c, k, 2, i], p[min(k, 1)]
                _add_product(a11, f, a, a)
                _add_product(a12, f, a, b)
                _add_product(a22, f, b, b)
                _subtract_product(c1, f, a, z)
                _subtract_product(c2, f, b, z)
        _add_image(c1, a11, w0[0, i], a12, w0[1, i])
        _add_image(c2, a12, w0[0, i], a22, w0[1, i])  # (7)
    return system


@njit(cache=True)
def _add_square(s, a, b, z, du, dv):
    for j in range(s.size):
        r = z[j] + a[j] * du[j] + b[j] * dv[j]  # (1)
        s[j] += r * r


@njit(cache=True)
def _weigh(p, mask, factor, eps):
    """p = factor mask / sqrt(p + eps^2)"""
    square, factor = p.dtype.type(eps * eps), p.dtype.type(factor)
    for j in range(p.size):
        p[j] = factor * mask[j] / np.sqrt(p[j] + square)


@njit(cache=True)
def _weigh_jointly(p, q, mask, gamma, eps):
    square, gamma = p.dtype.type(eps * eps), p.dtype.type(gamma)
    for j in range(p.size):
        p[j] = mask[j] / np.sqrt(p[j] + gamma * q[j] + square)
        q[j] = gamma * p[j]


@njit(cache=True)
def _add_product(y, f, a, b):
    for j in range(y.size):
        y[j] += f[j] * a[j] * b[j]


@njit(cache=True)
def _subtract_product(y, f, a, b):
    for j in range(y.size):
        y[j] -= f[j] * a[j] * b[j]


@njit(cache=True)
def _add_image(y, a, u, b, v):
    for j in range(y.size):
        y[j] += a[j] * u[j] + b[j] * v[j]


@njit(cache=True)
def relax(w, system, gx, gy, sweeps, omega):
    """(8): sweeps of over-relaxation on w (2, H, W), in place: red pixels, i + j even, first, then black ones."""
    _, H, W = w.shape
    f = np.empty((2, H, W), w.dtype)
    tiny, omega, rest = w.dtype.type(1e-12), w.dtype.type(omega), w.dtype.type(1 - omega)
    for i in range(H):
        for j in range(W):
            g = gx[i, j] + gx[i, j + 1] + gy[i, j] + gy[i + 1, j]
            f[0, i, j] = omega / (system[0, i, j] + g + tiny)
            f[1, i, j] = omega / (system[2, i, j] + g + tiny)
    for sweep in range(2 * sweeps):
        for i in range(H):
            up, down = max(i - 1, 0), min(i + 1, H - 1)
            for j in range((i + sweep) % 2, W, 2):
                left, right = max(j - 1, 0), min(j + 1, W - 1)
                west, east, north, south = gx[i, j], gx[i, j + 1], gy[i, j], gy[i + 1, j]
                a12 = system[1, i, j]
                c = west * w[0, i, left] + east * w[0, i, right] + north * w[0, up, j] + south * w[0, down, j]
                c += system[3, i, j] - a12 * w[1, i, j]
                w[0, i, j] = rest * w[0, i, j] + f[0, i, j] * c
                c = west * w[1, i, left] + east * w[1, i, right] + north * w[1, up, j] + south * w[1, down, j]
                c += system[4, i, j] - a12 * w[0, i, j]
                w[1, i, j] = rest * w[1, i, j] + f[1, i, j] * c  # (8)


@njit(cache=True)
def median5(w):
    """The median of the 5x5 pixels around every pixel of every plane of w (K, H, W); the border is repeated.

    Neither the greatest nor the least of any 14 of 25 numbers is their median: drop both, take another one, and go on
    with 13, with 12, until of three one is left. For a row of all planes at a time.
    """
    K, H, W = w.shape
    y = np.empty_like(w)
    row = np.empty(W + 4, w.dtype)
    window = np.empty((25, K * W), w.dtype)
    carried = np.empty((2, K * W), w.dtype)
    for i in range(H):
        for k in range(K):
            for a in range(5):
                row[2:-2] = w[k, min(max(i + a - 2, 0), H - 1)]
                row[:2], row[-2:] = row[2], row[-3]
                for b in range(5):
                    window[5 * a + b, k * W : (k + 1) * W] = row[b : b + W]
        for n in range(14, 2, -1):
            _drop(window, n, True, carried)
            _drop(window, n - 1, False, carried)
            if n > 3:
                window[n - 2] = window[28 - n]
        for k in range(K):
            y[k, i] = window[0, k * W : (k + 1) * W]
    return y


@njit(cache=True)
def _drop(window, n, greatest, carried):
    """Of the first n rows, keep in the first n - 1 all numbers of a column but the greatest, or but the least."""
    carried[0] = window[0]
    for m in range(1, n):
        before, after = carried[(m - 1) % 2], carried[m % 2]
        if greatest:
            _split(window[m - 1], after, before, window[m])
        else:
            _split(after, window[m - 1], before, window[m])


@njit(cache=True)
def _split(lesser, greater, x, y):
    for j in range(x.size):
        lesser[j] = min(x[j], y[j])
        greater[j] = max(x[j], y[j])
