"""The cases in this package, on the Numba voice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff import Tensor, no_grad, use
from autodiff.memory import keep_freed_memory
from autodiff.ops import conv2d, conv_transpose2d
from autodiff.optim import Adam
from hstn_ref import models
from hstn_ref.bench.cases import NETWORKS, Case


def start() -> None:
    """What a training does first."""
    keep_freed_memory()


def set_threads(count: int) -> None:
    import numba

    numba.set_num_threads(count)


def data(case: Case, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, size, size) and labels (N,), the same for every framework."""
    rng = np.random.default_rng(0)
    images = rng.random((case.batch, 1, case.size, case.size), np.float32).astype(dtype)
    return images, rng.integers(0, 10, case.batch)


def network(case: Case, dtype: str = "float32") -> Any:
    """The network, moved a little from its start: there, all samples lie on pixels, where the sampler has its kinks."""
    name, options = NETWORKS[case.name]
    model = models.build(name, **options, image_size=(case.size, case.size), dtype=dtype)
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data = parameter.data + rng.normal(0, 0.01, parameter.shape).astype(parameter.dtype)
    return model


def layer_arrays(case: Case, dtype: str = "float32") -> tuple[np.ndarray, ...]:
    """Images, filters, bias, and a gradient to the result."""
    layer, rng = case.layer, np.random.default_rng(0)
    filters = (layer.C, layer.K) if layer.padding == "double" else (layer.K, layer.C)
    shapes = (
        (case.batch, layer.C, layer.size, layer.size),
        (*filters, layer.kernel, layer.kernel),
        (layer.K,),
        (case.batch, layer.K, layer.result_size, layer.result_size),
    )
    return tuple(rng.standard_normal(shape, np.float32).astype(dtype) for shape in shapes)


def prepare(case: Case, mode: str) -> Callable[[], None]:
    """A function that computes the case once."""
    if case.kind in ("step", "inference"):
        images, labels = data(case)
        model = network(case)
        if case.kind == "inference":
            model.eval()

            def infer() -> None:
                with no_grad():
                    model(images)

            return infer
        optimiser = Adam(model.train().parameters())

        def step() -> None:
            optimiser.zero_grad()
            model.loss(images, labels).backward()
            optimiser.step()

        return step
    *arrays, gy = layer_arrays(case)
    variables = _variables(case, *arrays)
    if case.kind == "forward":

        def forward() -> None:
            with no_grad():
                _apply(case, *variables)

        return forward

    def both() -> None:
        for variable in variables:
            variable.grad = None
        _apply(case, *variables).backward(gy)

    return both


def values(case: Case, dtype: str) -> list[np.ndarray]:
    """What the case computes, without dropout: loss or results, and the gradients to all variables."""
    if case.kind in ("step", "inference"):
        model = network(case, dtype).eval()
        if case.kind == "inference":
            return [model(data(case, dtype)[0]).data]
        loss = model.loss(*data(case, dtype))
        loss.backward()
        return [loss.data, *(p.grad.data for p in model.parameters())]
    x, weight, bias, gy = layer_arrays(case, dtype)
    variables = _variables(case, x, weight, bias)
    y = _apply(case, *variables)
    y.backward(gy)
    return [y.data, *(v.grad.data for v in variables if v.grad is not None)]


def reference_values(case: Case, dtype: str) -> list[np.ndarray]:
    """The same by the reference voice."""
    with use("reference"):
        return values(case, dtype)


def _variables(case: Case, *arrays: np.ndarray) -> list[Tensor]:
    return [Tensor(a, requires_grad=i > 0 or case.layer.gradient_x) for i, a in enumerate(arrays)]


def _apply(case: Case, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if case.layer.padding == "double":
        return conv_transpose2d(x, weight, bias, stride=2, padding=((0, 1), (0, 1)))
    return conv2d(x, weight, bias, padding="same" if case.layer.padding == "same" else 0)
