"""2-D convolution: the mathematics. cpu.py is a faster translation of this page.

    x[n,c,a,b] images       w[k,c,u,v] filters, called weight in code       y[n,k,i,j] result
    bias[k]                 gy, gx, gw gradients of a loss to y, x, w
    (s, r) stride, down and to the right         (p, q) zero padding at the top and at the left
    n < N, c < C, k < K, a < H, b < W, u < U, v < V, i < I, j < J

    y[n,k,i,j]  = bias[k] + sum_{c,u,v}  w[k,c,u,v]  x[n, c, s i + u - p, r j + v - q]                          (1)

where x is zero outside the image. (The field calls this sum a convolution; it is a cross-correlation.) Without the
bias y is linear in x and linear in w, so its vjps are the adjoints of these two linear maps, defined by
<y(x, w), gy> = <x, gx> = <w, gw> for all x, w, gy. Collecting terms,

    gx[n,c,a,b] = sum_{k,u,v}  w[k,c,u,v]  gy[n,k,i,j]      over i, j with s i + u - p = a, r j + v - q = b      (2)
    gw[k,c,u,v] = sum_{n,i,j}  gy[n,k,i,j] x[n, c, s i + u - p, r j + v - q]                                    (3)
    gbias[k]    = sum_{n,i,j}  gy[n,k,i,j]                                                                      (4)

The sizes of the result, with P = p + padding at the bottom and Q = q + padding at the right, are

    I = (H + P - U) // s + 1,       J = (W + Q - V) // r + 1                                                    (5)

so different H can give the same I: equation (2) must be told the shape of x. Read as a forward map it is the
transposed convolution (../conv_transpose2d.py). <y(x, w), gy> is trilinear in x, w and gy, and (1) to (3) are its
gradients to gy, x and w: so the vjps of each are the other two, to every order.

A layer usually goes on with relu, so (1) and (2) take `rectify`: negative results become 0 before they are stored.

Every function runs over the taps (u, v) and treats one tap of all images at once: the pixels that it meets,
s i + u by r j + v for all (i, j), are one strided slice of the padded images.
"""

import numpy as np

Pair = tuple[int, int]
Shape = tuple[int, int, int, int]
Padding = tuple[Pair, Pair]  # ((top, bottom), (left, right))


def forward(x, weight, bias, stride: Pair, padding: Padding, rectify=False):
    y = np.zeros_like(x, order="C", shape=out_shape(x.shape, weight.shape, stride, padding))
    x = _pad(x, padding)
    for u, v in np.ndindex(weight.shape[2:]):
        y += np.einsum("kc,ncij->nkij", weight[:, :, u, v], x[_met_by(u, v, stride, y)])  # (1)
    return _finished(y, bias, rectify)


def gradient_x(gy, weight, x_shape: Shape, stride: Pair, padding: Padding, bias=None, rectify=False):
    N, C, H, W = x_shape
    (top, bottom), (left, right) = padding
    gx = np.zeros_like(gy, order="C", shape=(N, C, top + H + bottom, left + W + right))
    for u, v in np.ndindex(weight.shape[2:]):
        gx[_met_by(u, v, stride, gy)] += np.einsum("kc,nkij->ncij", weight[:, :, u, v], gy)  # (2)
    return _finished(gx[:, :, top : top + H, left : left + W], bias, rectify)


def gradient_weight(gy, x, weight_shape: Shape, stride: Pair, padding: Padding):
    x = _pad(x, padding)
    gw = np.zeros_like(gy, order="C", shape=weight_shape)
    for u, v in np.ndindex(weight_shape[2:]):
        gw[:, :, u, v] = np.einsum("nkij,ncij->kc", gy, x[_met_by(u, v, stride, gy)])  # (3)
    return gw


def gradient_bias(gy):
    return gy.sum(axis=(0, 2, 3))  # (4)


def out_shape(x_shape: Shape, weight_shape: Shape, stride: Pair, padding: Padding) -> Shape:
    """The shape of y: equation (5)."""
    sizes = zip(x_shape[2:], weight_shape[2:], stride, padding, strict=True)
    I, J = ((size + sum(pad) - kernel) // step + 1 for size, kernel, step, pad in sizes)  # (5)
    return x_shape[0], weight_shape[0], I, J


def _finished(y, bias, rectify):
    y = y.copy() if bias is None else y + bias[:, None, None]
    return np.maximum(y, 0) if rectify else y


def _met_by(u, v, stride, y):
    """The pixels of padded images that tap (u, v) meets, one for each pixel of y."""
    (s, r), (I, J) = stride, y.shape[2:]
    return ..., slice(u, u + s * I, s), slice(v, v + r * J, r)


def _pad(x, padding):
    return np.pad(x, ((0, 0), (0, 0), *padding))
