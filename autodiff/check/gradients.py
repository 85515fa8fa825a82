"""What the tape says: the side of a check that is judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor, grad
from .results import CheckFailure, Result
from .slopes import Arrays, Fun, evaluate


def inputs_of(arrays: Iterable[Any]) -> tuple[np.ndarray, ...]:
    """Copies, as arrays, of what a check was given, numbers and lists too.

    Raises TypeError for those that have no gradient, ValueError for NaN and infinity.
    """
    inputs = tuple(np.array(a, np.result_type(np.asarray(a).dtype)) for a in arrays)  # in the byte order of the machine
    for i, a in enumerate(inputs):
        if a.dtype not in (np.float32, np.float64):
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


def cotangent(check: str, fun: Fun, arrays: Arrays, rng: np.random.Generator) -> np.ndarray:
    """A random u of the shape of fun's result."""
    return rng.standard_normal(result_of(check, fun, [Tensor(a) for a in arrays]).shape)


def result_of(check: str, fun: Fun, xs: Sequence[Tensor]) -> Tensor:
    """fun(*xs). Raises TypeError if that is no Tensor, CheckFailure if it has changed the data of an input."""
    before = [x.data.copy() for x in xs]
    y: Any = fun(*xs)
    if not isinstance(y, Tensor):
        raise TypeError(f"check: the function returned a {type(y).__name__}, expected a Tensor")
    for i, (x, data) in enumerate(zip(xs, before, strict=True)):
        if not np.array_equal(x.data, data):
            cause = "the function changes its input"
            raise CheckFailure(f"{check}: input {i}: {cause}", Result(check, i, np.inf, 0.0, cause=cause))
    return y


def exact(fun: Fun, arrays: Arrays) -> list[np.ndarray]:
    """The arrays in float64, if fun takes them: an oracle must not suffer from the rounding that it is to judge."""
    wide = [np.asarray(a, np.float64) for a in arrays]
    try:
        y, _ = evaluate(fun, wide)
    except TypeError:  # fun holds float32 arrays of its own
        return [np.asarray(a) for a in arrays]
    return wide if y.dtype == np.float64 else [np.asarray(a) for a in arrays]
