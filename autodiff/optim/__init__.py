"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..tensor import Tensor


class Adam:
    """Adam (Kingma and Ba 2014, algorithm 1).

        m <- b1 m + (1 - b1) g          m' = m / (1 - b1^t)                                (1)
        v <- b2 v + (1 - b2) g^2        v' = v / (1 - b2^t)                                (2)
        x <- x - lr m' / (sqrt(v') + eps)                                                  (3)

    `eps_hat=True` takes the efficient form at the end of the paper's section 2, used by TensorFlow, Keras and
    Lasagne, where eps is added before the bias correction, so that it weighs more in the first steps:

        x <- x - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)                        (4)

    (1) to (4) are computed for all parameters together, by the voice that computes the ops.
    `multipliers` gives each parameter its own multiple of lr. A parameter without a gradient is left as it is;
    the step count t is one for all. Raises TypeError for what are no Tensors; ValueError for none, for one that
    requires no gradient or is given twice, and for numbers outside of their range.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        eps_hat: bool = False,
        multipliers: Sequence[float] | None = None,
    ):
        one = isinstance(parameters, Tensor)  # as a list, it would be its slices
        self.parameters = [] if one else list(parameters)
        if one or not all(isinstance(x, Tensor) for x in self.parameters):
            raise TypeError("Adam: expected a list of Tensors, as Module.parameters() gives")
        if not self.parameters:
            raise ValueError("Adam: got no parameters")
        if fixed := [i for i, x in enumerate(self.parameters) if not x.requires_grad]:
            raise ValueError(f"Adam: parameters {fixed} do not require a gradient")
        if len({id(x) for x in self.parameters}) < len(self.parameters):
            raise ValueError("Adam: a parameter is given twice, it would be moved twice")
        if not (0 <= lr < math.inf and 0 <= eps < math.inf and all(0 <= b < 1 for b in betas)):
            raise ValueError(f"Adam: lr {lr}, betas {betas}, eps {eps}, expected lr >= 0, 0 <= beta < 1, eps >= 0")
        self.multipliers = [1.0] * len(self.parameters) if multipliers is None else [float(a) for a in multipliers]
        if len(self.multipliers) != len(self.parameters):
            raise ValueError(f"Adam: {len(self.multipliers)} multipliers for {len(self.parameters)} parameters")
        self.lr, self.eps, self.eps_hat = lr, float(eps), eps_hat  # an np.float64 would promote float32
        self.betas = float(betas[0]), float(betas[1])
        self.t = 0
        self.m, self.v = self._zeros(), self._zeros()

    def step(self) -> None:
        """One update of every parameter that has a gradient. Raises ValueError if one has another shape."""
        t = self.t + 1
        c1, c2 = (1 - b**t for b in self.betas)
        factor, root = (math.sqrt(c2) / c1, 1.0) if self.eps_hat else (1 / c1, 1 / math.sqrt(c2))
        moved = [i for i, x in enumerate(self.parameters) if x.grad is not None]
        xs, grads = [self.parameters[i].data for i in moved], [self.parameters[i].grad for i in moved]
        gs: list[Any] = [g.data if isinstance(g, Tensor) else g for g in grads]
        for i, x, g in zip(moved, xs, gs, strict=True):
            if x.shape != self.m[i].shape:
                raise ValueError(f"Adam: parameter {i} had shape {self.m[i].shape}, has {x.shape} now; make a new Adam")
            if x.shape != g.shape:
                raise ValueError(f"Adam: a gradient {g.shape} of a parameter {x.shape}")
        self.t = t
        if not moved:
            return
        gs = [g.astype(x.dtype, copy=False) for x, g in zip(xs, gs, strict=True)]
        ms, vs = [self.m[i] for i in moved], [self.v[i] for i in moved]
        rates = [float(self.lr) * self.multipliers[i] * factor for i in moved]
        kernels = backend.choose(__name__, xs[0])
        new = kernels.adam(xs, ms, vs, gs, *self.betas, rates, root, self.eps)
        for i, x, m, v in zip(moved, *new, strict=True):
            self.parameters[i].data, self.m[i], self.v[i] = x, m, v

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for x in self.parameters:
            x.grad = None

    def reset(self) -> None:
        """Forget both moments and the step count, as if no step had been done."""
        self.t = 0
        self.m, self.v = self._zeros(), self._zeros()

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs to continue: step count, learning rate, both moments."""
        return {"t": self.t, "lr": self.lr, "m": list(self.m), "v": list(self.v)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`. Raises ValueError if it belongs to other parameters."""
        for name in ("m", "v"):
            shapes = [a.shape for a in state[name]], [x.shape for x in self.parameters]
            if shapes[0] != shapes[1]:
                raise ValueError(f"Adam: the state's {name} has shapes {shapes[0]}, expected {shapes[1]}")
        self.t, self.lr = int(state["t"]), float(state["lr"])
        self.m, self.v = (
            [np.array(a, x.dtype) for a, x in zip(state[name], self.parameters, strict=True)] for name in ("m", "v")
        )

    def _zeros(self) -> list[Any]:
        return [np.zeros_like(x.data) for x in self.parameters]


class CosineAnnealing:
    """Lower the learning rate along half a cosine, from what it is to zero, over T steps.

        lr_t = lr/2 (1 + cos(pi t / T))             t = 0, 1, ..., T - 1

    Loshchilov and Hutter 2016 (SGDR), equation (5), one period.
    """

    def __init__(self, optimiser: Adam, steps: int):
        if steps < 1:
            raise ValueError(f"CosineAnnealing: {steps} steps, expected at least 1")
        self.optimiser, self.steps, self.lr = optimiser, steps, optimiser.lr

    def step(self, t: int) -> None:
        """To be called before step t of the optimiser, counted from 0."""
        self.optimiser.lr = self.lr / 2 * (1 + math.cos(math.pi * t / self.steps))


class ReduceOnPlateau:
    """Multiply the learning rate by `factor` when a loss has not fallen by `min_delta` for `patience` steps.

    The defaults are those of Keras's ReduceLROnPlateau, which the paper's "reduced by factor of 10 when valid loss
    stops decreasing" describes (section 4.1). `reductions` counts how often that has happened.
    """

    def __init__(self, optimiser: Adam, factor: float = 0.1, patience: int = 10, min_delta: float = 1e-4):
        if not 0 < factor < 1 or patience < 1:
            raise ValueError(
                f"ReduceOnPlateau: factor {factor}, patience {patience}, expected 0 < factor < 1 and patience >= 1"
            )
        self.optimiser, self.factor, self.patience, self.min_delta = optimiser, factor, patience, min_delta
        self.best, self.waited, self.reductions = math.inf, 0, 0

    def step(self, loss: float) -> bool:
        """Report the loss of an epoch; True if the learning rate was reduced."""
        if loss < self.best - self.min_delta:
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if self.waited < self.patience:
            return False
        self.optimiser.lr *= self.factor
        self.waited = 0
        self.reductions += 1
        return True

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "reductions": self.reductions}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.waited = float(state["best"]), int(state["waited"])
        self.reductions = int(state["reductions"])
