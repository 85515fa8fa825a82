"""Max-pooling: the mathematics. cpu.py is a faster translation of this page.

    x[n,c,h,w]  images, y[n,c,i,j] maxima of windows of size (U, V), at strides (s, t),
                of the images with padding ((top, bottom), (left, right))
    positions[n,c,i,j]  the h W + w of the pixel that y[n,c,i,j] was taken from

    y[n,c,i,j] = max_{u<U, v<V}  x[n, c, s i + u - top, t j + v - left]     over the pixels that exist  (1)
    I = floor((H + top + bottom - U) / s) + 1,  J likewise: a remainder that fills no window is left out  (2)

Padding never wins, not even over -inf. Every window must hold a pixel, so padding is smaller than the window.
Of equal pixels the first of the window in row-major order wins; a NaN wins over numbers, the first NaN over
later ones.

A layer often goes on with relu, so (1) takes `rectify`: negative maxima become 0 before they are stored.

Between ties the positions do not change with x. Max-pooling is then a gather, linear in x, and its adjoint
adds each gradient to where its maximum came from; windows may overlap, so a pixel may get several:

    gather(x)[n,c,i,j]  = x[n, c, h, w]  where h W + w = positions[n,c,i,j]                            (3)
    scatter(g)[n,c,h,w] = sum of g[n,c,i,j]  over the (i, j) with positions[n,c,i,j] = h W + w         (4)

<gather(x), g> = <x, scatter(g)>: each is the vjp of the other, to every order.
"""

import numpy as np


def argmax(x, size, stride, padding, rectify=False):
    """positions and y of equation (1), or relu(y)."""
    I, J = out_shape(x.shape[2:], size, stride, padding)
    plane = np.arange(x.shape[2] * x.shape[3], dtype=np.int32).reshape(x.shape[2:])
    x_padded = np.pad(x, ((0, 0), (0, 0), *padding))
    plane_padded = np.pad(plane, padding, constant_values=-1)
    y = np.full((*x.shape[:2], I, J), -np.inf, x.dtype)
    positions = np.full(y.shape, -1, np.int32)
    for u, v in np.ndindex(*size):
        met = np.s_[..., u : u + stride[0] * I : stride[0], v : v + stride[1] * J : stride[1]]
        pixel, position = x_padded[met], plane_padded[met]
        larger = (pixel > y) | (np.isnan(pixel) & ~np.isnan(y)) | (positions < 0)
        wins = larger & (position >= 0)
        y = np.where(wins, pixel, y)  # (1)
        positions = np.where(wins, position, positions)
    return positions, np.maximum(y, 0) if rectify else y


def gather(x, positions):
    N, C, I, J = positions.shape
    return np.take_along_axis(x.reshape(N, C, -1), positions.reshape(N, C, -1), axis=2).reshape(N, C, I, J)  # (3)


def scatter(g, positions, plane_shape):
    N, C = g.shape[:2]
    x = np.zeros((N, C, plane_shape[0] * plane_shape[1]), g.dtype)
    n, c = np.ogrid[:N, :C]
    np.add.at(x, (n[..., None, None], c[..., None, None], positions), g)  # (4)
    return x.reshape(N, C, *plane_shape)


def out_shape(plane_shape, size, stride, padding):
    """(I, J) of equation (2)."""
    (H, W), (top_bottom, left_right) = plane_shape, padding
    return (H + sum(top_bottom) - size[0]) // stride[0] + 1, (W + sum(left_right) - size[1]) // stride[1] + 1
