"""The penalties on a motion: the mathematics. cpu.py is a faster translation of its functions.

    w[n,k,i,j]  a motion in pixels: component k (0 along x, 1 along y), row i < H, column j < W
    f[u,v]      a stencil of U x V numbers
    d           a finite difference of w
    g, gw       gradients of a loss with respect to d and w

    d[n,k,i,j]  = sum_{u,v}  f[u,v] w[n, k, i + u, j + v]     for i <= H - U, j <= W - V               (1)
    gw[n,k,i,j] = sum_{u,v}  f[u,v] g[n, k, i - u, j - v]     over the points that exist               (2)

(1) is the difference wherever its stencil fits: nothing is invented outside the field. It is linear in w, and
(2) is its adjoint, <d, g> = <w, gw>: each is the vjp of the other. The stencils, for pixels one unit apart:

    DX, DY     w_x = w[i,j+1] - w[i,j],   w_y = w[i+1,j] - w[i,j]                                      (3)
    DXX, DYY   w_xx = w[i,j-1] - 2 w[i,j] + w[i,j+1],   w_yy likewise,   at interior points            (4)
    DXY        sqrt(2) w_xy = sqrt(2) / 4 (w[i+1,j+1] - w[i+1,j-1] - w[i-1,j+1] + w[i-1,j-1])
    LAPLACIAN  w_xx + w_yy, the five-point star                                                        (5)

Equation (7) of the HSTN paper adds alpha |Laplacian w| + beta |grad w| to the loss. The bending energy looks
at one difference, the Laplacian, or at the three of the Hessian, (4); the smoothness looks at two, w_x and
w_y. With these differences as d_1, d_2, ... the bars are one of

    l1         sum_r  < sum_k |d_r| >                                                                  (6)
    squared    sum_r  < sum_k d_r^2 >                                                                  (7)
    l2         < sqrt(sum_{r,k} d_r^2 + EPS^2) - EPS >                                                 (8)

where <.> is the mean over the images and over the points at which the difference exists. w_x exists at H
(W-1) points, w_y at (H-1) W: in (6) and (7) each is averaged over its own, while (8) needs both at a point
and takes the (H-1) (W-1) which they share. The paper writes no square, so (6) is the literal reading. EPS is
0.001 pixels and rounds off the kink of (8) at 0.

What is zero for which w? Second differences vanish for affine w, so the bending energy does. But the
Laplacian vanishes for every harmonic w, such as x^2 - y^2: the paper's "zero for any linear transformation"
is true, its converse is not. The Hessian (w_xx, sqrt(2) w_xy, w_yy) vanishes for affine w only (from 5 x 5
pixels on). Squared and integrated, the two agree up to terms on the border, which is what lets a Laplacian
stand for a bending energy. |grad w| is zero for translations only.
"""

import numpy as np

EPS = 1e-3  # pixels

DX = ((-1, 1),)
DY = ((-1,), (1,))
LAPLACIAN = ((0, 1, 0), (1, -4, 1), (0, 1, 0))
DXX = ((0, 0, 0), (1, -2, 1), (0, 0, 0))
DYY = ((0, 1, 0), (0, -2, 0), (0, 1, 0))
DXY = ((8**-0.5, 0, -(8**-0.5)), (0, 0, 0), (-(8**-0.5), 0, 8**-0.5))  # sqrt 2 / 4 = 8^(-1/2)


def correlate(w, stencil):
    f = np.array(stencil, w.dtype)
    N, K, H, W = w.shape
    I, J = H - f.shape[0] + 1, W - f.shape[1] + 1
    d = np.zeros((N, K, I, J), w.dtype)
    for u, v in np.argwhere(f):
        d += f[u, v] * w[:, :, u : u + I, v : v + J]  # (1)
    return d


def correlate_adjoint(g, stencil):
    f = np.array(stencil, g.dtype)
    N, K, I, J = g.shape
    gw = np.zeros((N, K, I + f.shape[0] - 1, J + f.shape[1] - 1), g.dtype)
    for u, v in np.argwhere(f):
        gw[:, :, u : u + I, v : v + J] += f[u, v] * g  # (2)
    return gw
