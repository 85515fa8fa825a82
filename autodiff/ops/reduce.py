"""Sums, means and their adjoint, broadcasting.

    sum_to(x, shape)        adds up the axes along which `shape` would be broadcast to x's shape
    broadcast_to(x, shape)  repeats x along them

are each other's adjoint: <broadcast_to(x), y> = <x, sum_to(y)>. Every reduction here is one of these two and a reshape.
"""

from __future__ import annotations

import math
from operator import index

import numpy as np

from ..tensor import Tensor, as_tensor, record

Axis = int | tuple[int, ...] | None


def sum(x, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`, an axis or several (all if None), which `keepdims` keeps with size 1.

    Raises as NumPy's for an axis that x does not have.
    """
    x = as_tensor(x)
    kept = _kept_shape(x.shape, axis)
    return record(
        np.asarray(x.data.sum(axis=axis, keepdims=keepdims)),
        (x, lambda gy: broadcast_to(gy.reshape(kept), x.shape)),
    )


def mean(x, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis` (all axes if None). Raises ValueError if there is nothing to average."""
    x = as_tensor(x)
    count = math.prod(n for n, kept in zip(x.shape, _kept_shape(x.shape, axis), strict=True) if n != kept)
    if count == 0:
        raise ValueError(f"mean: shape {x.shape} has no elements along axis {axis}")
    return sum(x, axis, keepdims) * (1.0 / count)


def broadcast_to(x, shape: tuple[int, ...]) -> Tensor:
    """x repeated along new and size-1 axes to `shape`; a read-only view. Raises ValueError if it does not broadcast."""
    x = as_tensor(x)
    return record(np.broadcast_to(x.data, shape), (x, lambda gy: sum_to(gy, x.shape)))


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x summed down to `shape`, the adjoint of `broadcast_to(., x.shape)`."""
    if x.shape == shape:
        return x
    new = x.ndim - len(shape)
    repeated = tuple(i + new for i, n in enumerate(shape) if n == 1 and x.shape[i + new] != 1)
    return sum(x, (*range(new), *repeated)).reshape(shape)


def _kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape with the axes of a reduction kept at size 1."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (index(axis),)
    reduced = {a % len(shape) for a in axes} if shape else set()
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))


Tensor.sum = sum
Tensor.mean = mean
