"""Ops that move numbers without changing them; each adjoint moves them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor, as_tensor, check_dtypes, record


def reshape(x, *shape) -> Tensor:
    """x with another shape, one size may be -1; the same numbers in row-major order. Raises ValueError as NumPy's."""
    x = as_tensor(x)
    new = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return record(x.data.reshape(new), (x, lambda gy: reshape(gy, x.shape)))


def transpose(x, *axes) -> Tensor:
    """x with its axes permuted, reversed if none are given. Raises ValueError for what is no permutation."""
    x = as_tensor(x)
    order = tuple(axes[0]) if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    order = order or tuple(range(x.ndim))[::-1]
    back = tuple(np.argsort(np.mod(order, x.ndim)).tolist())  # an axis may be negative
    return record(x.data.transpose(order), (x, lambda gy: transpose(gy, back)))


def take(x, index) -> Tensor:
    """x[index] for any index that NumPy takes; an element met twice gets both gradients. Raises as NumPy's."""
    x = as_tensor(x)
    index = _plain(index)
    return record(np.asarray(x.data[index]), (x, lambda gy: _put(gy, index, x.shape)))


def _put(x: Tensor, index: Any, shape: tuple[int, ...]) -> Tensor:
    """Zeros of `shape` with x added at `index`: the adjoint of `take`."""
    y = np.zeros_like(x.data, shape=shape)
    if _is_basic(index):
        y[index] = x.data
    else:
        np.add.at(y, index, x.data)
    return record(y, (x, lambda gy: take(gy, index)))


def concatenate(xs: Sequence, axis: int = 0) -> Tensor:
    """The tensors xs one after the other along `axis`.

    Raises ValueError naming the shapes if another axis differs.
    """
    parts = [as_tensor(x) for x in xs]
    if not parts:
        raise ValueError("concatenate: got no tensors, expected at least one")
    check_dtypes("concatenate", *parts)
    if not -parts[0].ndim <= axis < parts[0].ndim:
        raise ValueError(f"concatenate: axis {axis} of a tensor of shape {parts[0].shape}")
    try:
        y = np.concatenate([x.data for x in parts], axis)
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in parts)
        raise ValueError(f"concatenate: shapes {shapes} differ outside axis {axis}") from None
    axis %= y.ndim
    stops = np.cumsum([x.shape[axis] for x in parts]).tolist()
    edges = []
    for x, start, stop in zip(parts, [0, *stops], stops, strict=False):
        index = (slice(None),) * axis + (slice(start, stop),)
        edges.append((x, lambda gy, index=index: take(gy, index)))
    return record(y, *edges)


def _plain(index: Any) -> Any:
    """An index with arrays in place of Tensors."""
    if isinstance(index, tuple):
        return tuple(_plain(i) for i in index)
    return index.data if isinstance(index, Tensor) else index


def _is_basic(index: Any) -> bool:
    """Whether an index meets every element at most once by construction (slices, integers, None, ...)."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, (int, np.integer, slice)) for i in parts)


_METHODS = {"reshape": reshape, "transpose": transpose, "T": property(transpose), "__getitem__": take}
for _name, _op in _METHODS.items():
    setattr(Tensor, _name, _op)
