"""Modules: functions with named parameters.

    class Net(Module):
        def __init__(self, rng):
            self.features = Sequential(Conv2d(1, 32, 3, rng=rng), ReLU(), MaxPool2d(2), Flatten())
            self.head = Dense(800, 10, rng=rng)

        def forward(self, images):
            return self.head(self.features(images))

A parameter's name is the path of attributes that leads to it: "features.0.weight", "head.bias".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import ops
from .tensor import Tensor

Initialiser = Callable[[tuple[int, ...], int, np.random.Generator, Any], np.ndarray]


class Parameter(Tensor):
    """A variable that a Module owns and an optimiser changes."""

    __slots__ = ()

    def __init__(self, data: Any):
        super().__init__(data, requires_grad=True)


class Module:
    """The base class: finds parameters and submodules among the attributes, in the order in which they were set."""

    training = True

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)

    def children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names; a list or dictionary of modules counts as its members."""
        yield from ((name, value) for name, value in _named(vars(self)) if isinstance(value, Module))

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        yield self
        for _, child in self.children():
            yield from child.modules()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, with its dotted name (a shared one under its first)."""
        seen: set[Parameter] = set()
        for name, parameter in self._all_parameters():
            if parameter not in seen:
                seen.add(parameter)
                yield name, parameter

    def _all_parameters(self) -> Iterator[tuple[str, Parameter]]:
        yield from ((name, value) for name, value in _named(vars(self)) if isinstance(value, Parameter))
        for prefix, child in self.children():
            for name, parameter in child._all_parameters():
                yield f"{prefix}.{name}", parameter

    def parameters(self) -> list[Parameter]:
        """All parameters of this module and those below, each once, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def train(self, training: bool = True) -> Module:
        """Switch this module and all below to training (dropout on); returns self."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self) -> Module:
        """Switch to evaluation (dropout off); returns self."""
        return self.train(False)

    def state(self) -> dict[str, np.ndarray]:
        """The parameters' arrays by name."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over a copy of the arrays of `state`, in this module's dtype.

        Raises ValueError naming what is missing, unexpected or of another shape; nothing is changed then.
        """
        parameters = dict(self.named_parameters())
        owner = type(self).__name__
        if missing := parameters.keys() - state.keys():
            raise ValueError(f"{owner}: the state lacks {', '.join(sorted(missing))}")
        if unexpected := state.keys() - parameters.keys():
            raise ValueError(f"{owner}: the state has unexpected {', '.join(sorted(unexpected))}")
        for name, parameter in parameters.items():
            if state[name].shape != parameter.shape:
                raise ValueError(f"{owner}: {name} has shape {state[name].shape}, expected {parameter.shape}")
        for name, parameter in parameters.items():
            parameter.data = np.array(state[name], parameter.dtype, order="C")


def _named(members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every member with its name, those of lists and dictionaries after it, as name.member."""
    for name, value in members.items():
        yield name, value
        if isinstance(value, (list, tuple, dict)):
            inner = value if isinstance(value, dict) else dict(enumerate(value))
            yield from _named({f"{name}.{key}": member for key, member in inner.items()})


class Sequential(Module):
    """Modules one after the other. Raises TypeError for a layer that is none.

    What a ReLU does is done by the convolution or the pooling before it, if there is one, in the same pass over the
    memory: the same numbers, to the bit.
    """

    def __init__(self, *layers: Module):
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, expected a Module")
        self.layers = list(layers)

    def children(self) -> Iterator[tuple[str, Module]]:
        """The layers by their numbers, and what a subclass has besides."""
        yield from ((str(i), layer) for i, layer in enumerate(self.layers))
        yield from ((name, child) for name, child in super().children() if name.partition(".")[0] != "layers")

    def forward(self, x: Tensor) -> Tensor:
        rectified = False  # whether the layer before has done what this one, a ReLU, does
        for layer, following in zip(self.layers, [*self.layers[1:], None], strict=True):
            if rectified:
                rectified = False
                continue
            rectified = type(following) is ReLU and type(layer) in (Conv2d, ConvTranspose2d, MaxPool2d)
            x = layer(x, rectify=True) if rectified else layer(x)
        return x


def he_uniform(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator, dtype: Any) -> np.ndarray:
    """U(-a, a) with variance 2 / fan_in, which keeps the scale of activations through ReLU layers (He et al. 2015)."""
    a = math.sqrt(6.0 / fan_in)
    return rng.uniform(-a, a, shape).astype(dtype)


def zeros(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator, dtype: Any) -> np.ndarray:
    """All zero: the last layer of a transformer, so that it begins as the identity."""
    return np.zeros(shape, dtype)


class Conv2d(Module):
    """`ops.conv2d` with its weight (outputs, inputs, size, size) and bias: (N, inputs, H, W) -> (N, outputs, I, J)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        rng: np.random.Generator,
        stride: int = 1,
        padding: Any = 0,
        dtype: Any = np.float32,
        initial: Initialiser = he_uniform,
    ):
        self.weight = Parameter(initial((outputs, inputs, size, size), inputs * size * size, rng, dtype))
        self.bias = Parameter(np.zeros(outputs, dtype))
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor, rectify: bool = False) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding, rectify=rectify)


class ConvTranspose2d(Module):
    """`ops.conv_transpose2d` with its weight (inputs, outputs, size, size) and bias: as Conv2d, sizes times stride.

    An output pixel meets one in stride^2 of the taps; the fan-in of the initialiser counts those.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        rng: np.random.Generator,
        stride: int = 1,
        dtype: Any = np.float32,
        initial: Initialiser = he_uniform,
    ):
        fan_in = max(1, inputs * size * size // stride**2)
        self.weight = Parameter(initial((inputs, outputs, size, size), fan_in, rng, dtype))
        self.bias = Parameter(np.zeros(outputs, dtype))
        self.stride = stride

    def forward(self, x: Tensor, padding: Any = 0, rectify: bool = False) -> Tensor:
        return ops.conv_transpose2d(x, self.weight, self.bias, stride=self.stride, padding=padding, rectify=rectify)


class Dense(Module):
    """`ops.dense` with its weight (outputs, inputs) and bias: (N, inputs) -> (N, outputs)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: np.random.Generator,
        dtype: Any = np.float32,
        initial: Initialiser = he_uniform,
    ):
        self.weight = Parameter(initial((outputs, inputs), inputs, rng, dtype))
        self.bias = Parameter(np.zeros(outputs, dtype))

    def forward(self, x: Tensor) -> Tensor:
        return ops.dense(x, self.weight, self.bias)


class MaxPool2d(Module):
    """`ops.max_pool2d`, (N, C, H, W) -> (N, C, H // size, W // size); the stride is the size."""

    def __init__(self, size: int):
        self.size = size

    def forward(self, x: Tensor, rectify: bool = False) -> Tensor:
        return ops.max_pool2d(x, self.size, rectify=rectify)


class ReLU(Module):
    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class Flatten(Module):
    """(N, C, H, W) -> (N, C H W)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)


class Dropout(Module):
    """`ops.dropout` while training, the identity otherwise; draws from the generator it is given."""

    def __init__(self, rate: float, rng: np.random.Generator):
        self.rate, self.rng = rate, rng

    def forward(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.rate, self.rng) if self.training else x
