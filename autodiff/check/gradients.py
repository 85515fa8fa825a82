"""What the tape says: the side of a check that is judged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..tensor import Tensor, grad
from .results import CheckFailure, Result
from .slopes import Arrays, Fun, evaluate


def inputs_of(arrays: Iterable[Any]) -> tuple[np.ndarray, ...]:
    """Copies, as arrays, of what a check was given, numbers and lists too.

    Raises TypeError for those that have no gradient, ValueError for NaN and infinity.
    """
    inputs = tuple(np.array(a) for a in arrays)
    for i, a in enumerate(inputs):
        if np.result_type(a.dtype) not in (np.float32, np.float64):  # of either byte order
            raise TypeError(f"check: input {i} has dtype {a.dtype}, expected float32 or float64")
        if not np.isfinite(a).all():
            raise ValueError(f"check: input {i} has NaN or infinity, expected finite numbers")
    return inputs


def gradients_of(fun: Fun, arrays: Arrays, u: np.ndarray) -> list[np.ndarray]:
    """J^T u for every input."""
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    y = fun(*xs)
    try:
        gradients = grad(y, xs, gy=np.asarray(u, y.dtype))
    except ValueError as error:
        cause = f"{error}: is a sum over broadcast axes missing, or a cast?"
        raise CheckFailure(f"vjp: {cause}", Result("vjp", 0, np.inf, 0.0, cause=cause)) from error
    return [np.asarray(g.data) for g in gradients]


def jacobian_of(fun: Fun, arrays: Arrays, i: int) -> np.ndarray:
    """The Jacobian to input i, (size of the result, size of the input), by a backward sweep a row."""
    xs = [Tensor(a, requires_grad=i == j) for j, a in enumerate(arrays)]
    y = fun(*xs)
    rows = np.empty((y.size, arrays[i].size))
    for k in range(y.size):
        unit = np.zeros(y.size, y.dtype)
        unit[k] = 1
        rows[k] = grad(y, xs[i], gy=unit.reshape(y.shape)).data.ravel()
    return rows


def cotangent(fun: Fun, arrays: Arrays, rng: np.random.Generator) -> np.ndarray:
    """A random u of the shape of fun's result."""
    before = [a.copy() for a in arrays]
    y: Any = fun(*map(Tensor, arrays))
    if not isinstance(y, Tensor):
        raise TypeError(f"check: the function returned a {type(y).__name__}, expected a Tensor")
    for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
        if not np.array_equal(a, b):
            cause = "the function changes its input"
            raise CheckFailure(f"check: input {i}: {cause}", Result("vjp", i, np.inf, 0.0, cause=cause))
    return rng.standard_normal(y.shape)


def exact(fun: Fun, arrays: Arrays) -> list[np.ndarray]:
    """The arrays in float64, if fun takes them: an oracle must not suffer from the rounding that it is to judge."""
    wide = [np.asarray(a, np.float64) for a in arrays]
    try:
        y, _ = evaluate(fun, wide)
    except TypeError:  # fun holds float32 arrays of its own
        return [np.asarray(a) for a in arrays]
    return wide if y.dtype == np.float64 else [np.asarray(a) for a in arrays]
