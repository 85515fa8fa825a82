"""Bilinear sampling: the mathematics. cpu.py is a faster translation of this page.

    image[n,c,l,m]    pixels, row l < H, column m < W
    motion[n,:,i,j]   in pixels: component 0 along x (columns), 1 along y (rows); i < I, j < J
    sampled[n,c,i,j]  the image read at p + motion(p), p = (j, i): backward mapping
    a, b              orders of differentiation along x and along y, 0 or 1
    g                 gradient of a loss with respect to `sampled`

    sampled[n,c,i,j] = sum_{l,m}  B_b(y - l) B_a(x - m) image~[n,c,l,m]                                (1)

    (x, y) = (j, i) + motion[n,:,i,j]
    B_0(t) = max(0, 1 - |t|),   B_1(t) = 1 for -1 <= t < 0,  -1 for 0 <= t < 1,  0 elsewhere           (2)

B_0 is the hat function and B_1 its derivative from the right; at order 0, (1) is equation (5) of Jaderberg et
al. 2015. A position meets two columns and two rows: with q = floor(x) and t = x - q, columns q and q + 1,
weighed 1 - t and t at order 0, -1 and 1 at order 1. image~ is the image continued to all integers l and m;
along x

    zeros      image~[q] = 0 outside 0 <= q < W
    edge       image~[q] = image[min(max(q, 0), W - 1)]                                                (3)
    reflect    image~[q] = image[|q|] for |q| < W, then periodic: ..., W - 2, W - 1, W - 2, ..., P = 2 (W - 1)

and likewise along y. Two columns that are the same pixel (outside an "edge", or W = 1) are one, with the sum
of the weights; a tap of weight zero adds nothing, even to an infinite pixel. So an integer position returns
its pixel, and a position outside an "edge" the pixel of the edge, bit for bit.

Derivatives. (1) is linear between integer positions, and has kinks there, where B_1 takes the derivative from
the right for every border. At a = 1 this is

    zeros      image[q+1] - image[q], pixels outside being 0: -image[W-1] at x = W - 1, image[0] at x = -1
    edge       image[q+1] - image[q] where 0 <= x < W - 1, otherwise 0
    reflect    the same inside; where x is mirrored to r = P - x, in (0, W - 1], the chain rule's factor is -1
               and the pair is the one that x is about to enter: -(image[ceil(r)] - image[ceil(r) - 1])

The second derivative along one axis is zero between the kinks, and taken as zero on them. The mixed one is
not: it is a = b = 1.

(1) is linear in the image. Its adjoint, <sample(image), g> = <image, splat(g)>, adds g to the pixels that (1)
reads, with the same weights. Let F(q) be the pixel that (3) reads at q, if any:

    splat(g)[n,c,l,m] = sum_{i,j}  g[n,c,i,j]  sum_{k: F(k)=l} B_b(y - k)  sum_{q: F(q)=m} B_a(x - q)  (4)

Both maps are differentiated by the motion by raising a or b by one. With s_ab = sample(image, motion, a, b),

    gradient of <s_ab, g> to motion[n,:,i,j] = sum_c g[n,c,i,j] (s_{a+1,b}[n,c,i,j], s_{a,b+1}[n,c,i,j])  (5)

which is also the gradient of <image, splat(g)>, the same number.

A position that is NaN samples NaN and splats NaN into pixel (0, 0). An infinite one reads 0 ("zeros"), a
pixel of the edge ("edge") or NaN ("reflect": infinity has no mirror image). No position reads outside the
image.

Equation (6) of the HSTN paper prints the weight |(1,1) - |p^ - p - w||^2 = (1 - |x - m|)^2 + (1 - |y - l|)^2,
a sum of squares where (1) has the product (1 - |x - m|) (1 - |y - l|) of the same two components. The four
printed weights add up to 2 ((1-t)^2 + t^2 + (1-s)^2 + s^2), s = y - floor(y), which is between 2 and 4: no
motion at all would return 2 TL + TR + BL. The product must be meant; the tests keep the printed form as a
counter-example.
"""

from itertools import product

import numpy as np


def sample(image, motion, a, b, border):
    N, C, H, W = image.shape
    pixels = image.reshape(N, C, H * W)
    sampled = np.zeros((N, C, *motion.shape[2:]), image.dtype)
    for index, weight in _taps(motion, (H, W), a, b, border):
        read = np.take_along_axis(pixels, index.reshape(N, 1, -1), axis=2).reshape(sampled.shape)
        sampled += _times(weight, read)  # (1)
    return sampled


def splat(g, motion, size, a, b, border):
    N, C = g.shape[:2]
    image = np.zeros((N, C, size[0] * size[1]), g.dtype)
    n, c = np.ogrid[:N, :C]
    for index, weight in _taps(motion, size, a, b, border):
        np.add.at(image, (n[..., None, None], c[..., None, None], index), _times(weight, g))  # (4)
    return image.reshape(N, C, *size)


def _taps(motion, size, a, b, border):
    """The four (index in the plane of H W pixels, weight) that each output pixel meets: (N, 1, I, J) each."""
    (H, W), (I, J) = size, motion.shape[2:]
    x = np.arange(J, dtype=motion.dtype) + motion[:, 0:1]  # (N, 1, I, J)
    y = np.arange(I, dtype=motion.dtype)[:, None] + motion[:, 1:2]
    for (l, v), (m, u) in product(_taps_1d(y, H, b, border), _taps_1d(x, W, a, border)):
        yield l * W + m, v * u


def _taps_1d(x, size, order, border):
    """The two (index, weight) that positions x meet along an axis of `size` pixels."""
    if border == "reflect":
        period = max(2 * (size - 1), 1)
        with np.errstate(invalid="ignore"):  # infinity has no mirror image
            x = x - period * np.floor(x.real / period)
    else:
        x = np.clip(x, -2, size)  # all positions beyond have the same taps
    q = np.floor(x.real)  # x is complex in a complex-step derivative only
    t = x - q
    weights = (1 - t, t) if order == 0 else (0 * t - 1, 0 * t + 1)  # (2); 0 t keeps a NaN
    taps = (q, weights[0]), (q + 1, weights[1])
    (k, v), (m, u) = [_continued(q, weight, size, border) for q, weight in taps]
    return (k, np.where(k == m, v + u, v)), (m, np.where(k == m, 0, u))


def _continued(q, weight, size, border):
    """Equation (3): the pixel that stands for the integer q of the axis, and its weight."""
    if border == "zeros":
        weight = np.where((q < 0) | (q >= size), 0, weight)
    if border == "reflect":
        q = np.minimum(abs(q), abs(2 * (size - 1) - q))
    return np.nan_to_num(np.clip(q, 0, size - 1)).astype(int), weight


def _times(weight, pixels):
    """weight * pixels, zero where the weight is zero, whatever the pixel."""
    return np.multiply(weight, pixels, out=np.zeros_like(pixels), where=weight != 0)
