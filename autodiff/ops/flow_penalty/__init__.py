"""bending_energy and smoothness: equation (7) of the HSTN paper. The mathematics is in reference.py."""

from __future__ import annotations

from functools import reduce
from operator import add

from ... import backend
from ...tensor import Array, Tensor, as_tensor, check_dtypes, record
from ..arithmetic import abs, sqrt
from .reference import DX, DXX, DXY, DY, DYY, EPS, LAPLACIAN

Stencil = tuple[tuple[float, ...], ...]

FORMS = {"laplacian": (LAPLACIAN,), "hessian": (DXX, DXY, DYY)}


def bending_energy(w: Tensor | Array, *, norm: str = "l1", form: str = "laplacian", reduction: str = "mean") -> Tensor:
    """|Laplacian of w|, the first term of equation (7) of the paper: how far from affine a motion is.

    w (N, K, H, W), a motion in pixels (K = 2) or any field -> a scalar. Only interior points count.

    form       "laplacian", the five-point star: zero for affine motions, also for x^2 - y^2
               "hessian", (w_xx, sqrt(2) w_xy, w_yy): zero for affine motions only
    norm       "l1", the sum of absolute values; where one is 0, as at w = 0, so is its gradient
               "l2", the root of the sum of squares over components and differences, rounded off at 0:
               sqrt(sum + EPS^2) - EPS with EPS = 0.001 pixels
               "squared", the sum of squares
    reduction  "mean" over points and images of the sum over components and differences, or "sum" over all

    Raises ValueError for an unknown option or a field smaller than 3 x 3, TypeError for a non-floating dtype.
    """
    if form not in FORMS:
        raise ValueError(f"bending_energy: unknown form {form!r}, expected one of {', '.join(FORMS)}")
    w = _checked("bending_energy", w, 3)
    return _norm("bending_energy", [_correlate(w, stencil) for stencil in FORMS[form]], norm, reduction)


def smoothness(w: Tensor | Array, *, norm: str = "l1", reduction: str = "mean") -> Tensor:
    """|grad w|, the second term of equation (7) of the paper: how far from a translation it is.

    w (N, K, H, W), a motion in pixels (K = 2) or any field -> a scalar.

    Forward differences along x do not exist in the last column, those along y not in the last row: each is
    averaged over its own points ("l1", "squared"), or both over the points they share ("l2"). `norm` and
    `reduction` are those of `bending_energy`.

    Raises ValueError for an unknown option or a field smaller than 2 x 2, TypeError for a non-floating dtype.
    """
    w = _checked("smoothness", w, 2)
    dx, dy = _correlate(w, DX), _correlate(w, DY)
    if norm == "l2":
        dx, dy = dx[:, :, :-1], dy[:, :, :, :-1]
    return _norm("smoothness", [dx, dy], norm, reduction)


def _checked(op: str, w: Tensor | Array, least: int) -> Tensor:
    """w as a Tensor, if the differences of `op` exist somewhere."""
    w = as_tensor(w)
    check_dtypes(op, w)
    if w.ndim != 4 or w.size == 0 or min(w.shape[2:]) < least:
        raise ValueError(f"{op}: got a field {w.shape}, expected (N, K, H, W) of at least {least} x {least} pixels")
    return w


def _norm(op: str, differences: list[Tensor], norm: str, reduction: str) -> Tensor:
    """Equation (6), (7) or (8)."""
    if norm == "l1":
        terms = [abs(d) for d in differences]
    elif norm == "squared":
        terms = [d * d for d in differences]
    elif norm == "l2":
        squares = reduce(add, [(d * d).sum(axis=1) for d in differences])
        terms = [sqrt(squares + EPS**2) - EPS]
    else:
        raise ValueError(f"{op}: unknown norm {norm!r}, expected l1, l2 or squared")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"{op}: unknown reduction {reduction!r}, expected mean or sum")
    return reduce(add, [t.sum() * (1 / _points(t) if reduction == "mean" else 1) for t in terms])


def _points(t: Tensor) -> int:
    """The number of images times points of a term (N, K, I, J) or, with its components summed, (N, I, J)."""
    return t.shape[0] * t.shape[-2] * t.shape[-1]


def _correlate(w: Tensor, stencil: Stencil) -> Tensor:
    """Equation (1): a finite difference."""
    kernels = backend.choose(__name__, w.data)
    return record(kernels.correlate(w.data, stencil), (w, lambda g: _correlate_adjoint(g, stencil)))


def _correlate_adjoint(g: Tensor, stencil: Stencil) -> Tensor:
    """Equation (2), the adjoint of `_correlate`."""
    kernels = backend.choose(__name__, g.data)
    return record(kernels.correlate_adjoint(g.data, stencil), (g, lambda gw: _correlate(gw, stencil)))
