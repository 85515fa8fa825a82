"""The penalties on a motion field: the mathematics. cpu.py is a faster translation of `correlate` and its adjoint.

    w[n,k,i,j]   a motion in pixels, component k (0 along x, 1 along y), row i < H, column j < W
    f[u,v]       a stencil of U x V numbers       g   gradient of a loss with respect to d

    d[n,k,i,j] = sum_{u,v}  f[u,v]  w[n, k, i+u, j+v]      i < H - U + 1,  j < W - V + 1                            (1)
    gw[n,k,a,b] = sum_{u,v}  f[u,v]  g[n, k, a-u, b-v]     over the points that exist                               (2)

(1) takes a finite difference wherever its stencil fits: no value is invented outside the field. It is linear in w and (2) is
its adjoint, <d, g> = <w, gw>; each is the gradient of the other. The stencils are, for pixels one unit apart,

    DX   w_x  = w[i,j+1] - w[i,j]                     DY   w_y  = w[i+1,j] - w[i,j]                                 (3)
    LAPLACIAN  w_xx + w_yy, the five-point star                                                                     (4)
    DXX  w_xx = w[i,j-1] - 2 w[i,j] + w[i,j+1]        DYY  w_yy likewise, at interior points i, j                   (5)
    DXY  w_xy = (w[i-1,j-1] - w[i-1,j+1] - w[i+1,j-1] + w[i+1,j+1]) / 4, times sqrt 2

Equation (7) of the HSTN paper adds alpha |Lap w| + beta |grad w| to the loss. Let d_1, ..., d_M be the differences which the
penalty looks at, each of every component of w. |.| may be

    l1        sum_m  < sum_k |d_m| >                                                                                (6)
    squared   sum_m  < sum_k d_m^2 >                                                                                (7)
    l2        < sqrt(eps^2 + sum_{m,k} d_m^2) - eps >                                                               (8)

where <.> is the mean over the images and over the points where the difference exists. w_x exists at H (W-1) points and w_y at
(H-1) W, so in (6) and (7) each is averaged over its own; (8) needs both at a point and takes the common (H-1) (W-1). The paper
writes no square, so l1 is the literal reading. eps = EPS, a thousandth of a pixel, rounds off the kink of (8) at 0.

What is zero for which w? Every second difference of an affine w is, so (4) and (5) are. But |Lap w| is zero for every
harmonic w, x^2 - y^2 say: the paper's "zero for any linear transformation" is true, its converse is not. The Hessian
(w_xx, sqrt 2 w_xy, w_yy) has no such gap. Squared and integrated, Laplacian and Hessian agree up to terms of the border; that
is why one may stand for the other as a bending energy. |grad w| is zero for translations only.
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
