"""Belief propagation for sift_flow: the labels of two coupled planes, compiled.

A motion (u, v) has a plane of nodes for u and one for v. A node of plane k has L = 2 R + 1 labels: label l of pixel p
is the component offset[k, p] + l - R. The energy, to be made small over all labels:

    E = sum_p  D[p, l_v, l_u]  +  eta (|u_p| + |v_p|)
      + sum_{neighbours pq}  min(alpha |u_p - u_q|, d) + min(alpha |v_p - v_q|, d)                        (1)

D couples the planes at a pixel, the last sum couples the pixels of a plane. So a node has five neighbours, four in
the plane and its twin in the other one, and five messages come in, a number a label. With h the range term eta |.|
and all messages but the receiver's own,

    to a neighbour q    m[l_q] = min_l  h[l] + min(alpha |component of l_q at q - that of l at p|, d)      (2)
    to the twin         m[l_v] = min_{l_u}  h[l_u] + D[l_v, l_u]                                          (3)
    belief              b[l] = the range term + all five messages; the label is where it is least        (4)

(2) takes O(L) steps: two passes, h[l] = min(h[l], h[l - 1] + alpha) upwards and the same downwards, are the minimum
over all l without d; extended with slope alpha beyond the window and cut off at min(h) + d it is (2). Messages are
known up to a constant; their least entry is made 0.

The order: iteration n works on plane n % 2, in the order of reading (messages to the right and down) when n % 4 < 2,
backwards (left and up) otherwise. Twins speak to each other while n % 8 < 4. On a single row (2) and (3) are exact if
D is a sum of a function of l_u and one of l_v; in general this is a heuristic, and a good one.

Source: Liu, Yuen and Torralba (2011), section 2.3; Felzenszwalb and Huttenlocher (2006) for the passes of (2).
"""

import numpy as np
from numba import njit

LEFT, RIGHT, UP, DOWN, TWIN = range(5)  # where a message comes from


@njit(cache=True)
def data_cost(s1, s2, offset, R):
    """|s1(p) - s2(p + w)|_1 for all labels, (H, W, L, L) float32 by [l_v, l_u], and infinity where p + w is outside."""
    H, W, _ = s1.shape
    L = 2 * R + 1
    D = np.full((H, W, L, L), np.float32(np.inf))
    for i in range(H):
        for j in range(W):
            for lv in range(L):
                y = i + offset[1, i, j] + lv - R
                for lu in range(L):
                    x = j + offset[0, i, j] + lu - R
                    if 0 <= y < H and 0 <= x < W:
                        D[i, j, lv, lu] = _distance(s1[i, j], s2[y, x])
    return D


@njit(cache=True)
def _distance(a, b):
    total = np.int32(0)
    for k in range(a.size):
        total += abs(np.int32(a[k]) - np.int32(b[k]))
    return total


@njit(cache=True)
def propagate(messages, D, offset, eta, alpha, d, iterations):
    """(2), (3): so many iterations on messages (2, H, W, 5, L), by plane, receiver and origin, in place."""
    H, W, L, _ = D.shape
    h = np.empty(L, D.dtype)
    for n in range(iterations):
        k, forward = n % 2, n % 4 < 2
        for at in range(H * W):
            i, j = (at // W, at % W) if forward else (H - 1 - at // W, W - 1 - at % W)
            if n % 8 < 4:
                _incoming(h, messages[1 - k, i, j], offset[1 - k, i, j], eta, TWIN)
                _to_twin(messages[k, i, j, TWIN], h, D[i, j], k)
            step = 1 if forward else -1
            if 0 <= j + step < W:
                _incoming(h, messages[k, i, j], offset[k, i, j], eta, RIGHT if forward else LEFT)
                shift = offset[k, i, j + step] - offset[k, i, j]
                _to_neighbour(messages[k, i, j + step, LEFT if forward else RIGHT], h, shift, alpha, d)
            if 0 <= i + step < H:
                _incoming(h, messages[k, i, j], offset[k, i, j], eta, DOWN if forward else UP)
                shift = offset[k, i + step, j] - offset[k, i, j]
                _to_neighbour(messages[k, i + step, j, UP if forward else DOWN], h, shift, alpha, d)


@njit(cache=True)
def labels(messages, offset, eta):
    """(4): the motion (2, H, W) int64 of the least beliefs."""
    _, H, W, _, L = messages.shape
    R = L // 2
    h = np.empty(L, messages.dtype)
    motion = np.empty((2, H, W), np.int64)
    for k in range(2):
        for i in range(H):
            for j in range(W):
                _incoming(h, messages[k, i, j], offset[k, i, j], eta, -1)
                motion[k, i, j] = offset[k, i, j] + np.argmin(h) - R  # (4)
    return motion


@njit(cache=True)
def _incoming(h, messages, offset, eta, receiver):
    """h = the range term and all messages but the receiver's."""
    R = h.size // 2
    for l in range(h.size):
        total = h.dtype.type(eta * abs(offset + l - R))
        for origin in range(5):
            if origin != receiver:
                total += messages[origin, l]
        h[l] = total


@njit(cache=True)
def _to_neighbour(message, h, shift, alpha, d):
    """(2), where the receiver's label l has the component of the sender's label l + shift; overwrites h."""
    L = h.size
    alpha = h.dtype.type(alpha)
    ceiling = h[0]
    for l in range(1, L):
        ceiling = min(ceiling, h[l])
    ceiling += h.dtype.type(d)
    for l in range(1, L):
        h[l] = min(h[l], h[l - 1] + alpha)
    for l in range(L - 2, -1, -1):
        h[l] = min(h[l], h[l + 1] + alpha)
    least = ceiling
    for l in range(L):
        nearest = min(max(l + shift, 0), L - 1)
        message[l] = min(h[nearest] + alpha * abs(l + shift - nearest), ceiling)  # (2)
        least = min(least, message[l])
    for l in range(L):
        message[l] -= least


@njit(cache=True)
def _to_twin(message, h, D, k):
    """(3), to the node of plane k, 0 for u and 1 for v, from its twin."""
    L = h.size
    least = D.dtype.type(np.inf)
    for l in range(L):
        best = D.dtype.type(np.inf)
        for t in range(L):
            best = min(best, h[t] + (D[l, t] if k == 1 else D[t, l]))
        message[l] = best  # (3)
        least = min(least, best)
    for l in range(L):
        message[l] -= least
