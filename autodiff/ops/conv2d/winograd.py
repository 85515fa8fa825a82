"""Winograd's minimal filtering: sums of products with fewer products.

A column of m results of a kernel with r rows takes m r products per channel and column of the kernel. Toom and Cook
(for signals: Winograd, "Arithmetic Complexity of Computations", 1980, chapter III) make do with n = m + r - 1:

    y = A [ (G w) . (B x) ]            x (n,), w (r,) -> y (m,),    y[i] = sum_u w[u] x[i + u]                    (1)

where . multiplies element by element. To see why, read (1) from the other side. The product of two polynomials of
degrees m - 1 and r - 1 has n coefficients, so it is known from its values at n points, and each value takes one
product: evaluate both factors (Vandermonde matrices A^T and V), multiply, interpolate (the inverse of a Vandermonde
matrix). That gives the coefficients s = C [(A^T y) . (V w)]; its transpose as a map of y is (1), with B = C^T and
G = V, where the denominators of C have been moved to G. One point may be infinity: the leading coefficient.

Read as maps of x and of w, the adjoints of (1) take the same three matrices:

    gx = B^T [ (G w) . (A^T gy) ]      gw = G^T [ (A^T gy) . (B x) ]                                              (2)

A two-dimensional convolution sums over channels and columns as well, and everything but the products is linear, so the
transforms are done once for each pixel of x and y and not once for each pair of channels. Here n = 8: kernels of 3 rows
(m = 6) take 8 products instead of 18, kernels of 5 rows (m = 4) 8 instead of 20.

Sums and differences of pixels of unlike size lose digits. The points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity were the
best of a dozen sets tried: the rounding error is 2 to 3 times that of adding up (1) as it stands, about 1e-6 of the
result in float32. tests/ops/test_conv2d_winograd.py measures it.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np

POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))  # and infinity
N = len(POINTS) + 1


def saves(kernel_rows: int, result_rows: int) -> bool:
    """Whether (1) takes at most four fifths of the products, for the kernels that the cpu voice has it for."""
    if kernel_rows not in (3, 5):
        return False
    tiles = -(-result_rows // (N - kernel_rows + 1))
    return 5 * N * tiles <= 4 * kernel_rows * result_rows


def matrices(r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A (m, n), G (n, r) and B (n, n) of equation (1) for kernels of r rows, m = n - r + 1."""
    return results(r), filters(r), pixels()


@lru_cache
def results(r: int) -> np.ndarray:
    """A: column t holds the powers of point t, and for infinity the last unit vector."""
    m = N - r + 1
    rows = [[a**i for a in POINTS] + [Fraction(i == m - 1)] for i in range(m)]
    return np.array(rows, float)


@lru_cache
def filters(r: int) -> np.ndarray:
    """G: the filter as a polynomial, evaluated at the points and divided by prod_{s != t} (a_t - a_s)."""
    rows = [[a**u / _product(a - b for b in POINTS if b != a) for u in range(r)] for a in POINTS]
    return np.array([*rows, [Fraction(u == r - 1) for u in range(r)]], float)


@lru_cache
def pixels() -> np.ndarray:
    """B: row t holds the coefficients of prod_{s != t} (z - a_s), and for infinity those of prod_s (z - a_s)."""
    rows = [[*_polynomial([b for b in POINTS if b != a]), Fraction(0)] for a in POINTS]
    return np.array([*rows, _polynomial(POINTS)], float)


def _polynomial(roots) -> list[Fraction]:
    """The coefficients of prod (z - root), the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *coefficients], [*(root * c for c in coefficients), Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients


def _product(factors) -> Fraction:
    product = Fraction(1)
    for factor in factors:
        product *= factor
    return product
