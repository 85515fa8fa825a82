"""Finite differences in Numba: equations (1), (2) and names from reference.py, plane by plane.

Motion fields have two channels, so there is too little work for threads.
"""

import numpy as np
from numba import njit


def correlate(w, stencil):
    return _correlate(np.ascontiguousarray(w), np.array(stencil, w.dtype))


def correlate_adjoint(g, stencil):
    return _correlate_adjoint(np.ascontiguousarray(g), np.array(stencil, g.dtype))


@njit(cache=True)
def _correlate(w, f):
    (N, K, H, W), (U, V) = w.shape, f.shape
    d = np.zeros((N, K, H - U + 1, W - V + 1), w.dtype)
    for nk in range(N * K):
        n, k = nk // K, nk % K
        for i in range(H - U + 1):
            for u in range(U):
                for v in range(V):
                    if f[u, v] != 0:
                        _add(f[u, v], w[n, k, i + u, v : v + W - V + 1], d[n, k, i])  # (1)
    return d


@njit(cache=True)
def _correlate_adjoint(g, f):
    (N, K, I, J), (U, V) = g.shape, f.shape
    gw = np.zeros((N, K, I + U - 1, J + V - 1), g.dtype)
    for nk in range(N * K):
        n, k = nk // K, nk % K
        for i in range(I):
            for u in range(U):
                for v in range(V):
                    if f[u, v] != 0:
                        _add(f[u, v], g[n, k, i], gw[n, k, i + u, v : v + J])  # (2)
    return gw


@njit(cache=True)
def _add(factor, x, y):
    for j in range(y.size):
        y[j] += factor * x[j]
