"""Losses, dropout, Adam, dtypes and indices."""

from __future__ import annotations

import numpy as np

from autodiff import Tensor
from autodiff.optim import Adam

from .probe import Probe, gradient, value


def rest() -> list[Probe]:
    def probe(question, fun, *arrays, show=value, **options):
        return Probe("Losses, dropout, Adam, dtypes", question, fun, arrays, show, **options)

    def adam(**options):
        def step(ops, x, g):
            x = Tensor(x.data, requires_grad=True)
            x.grad = Tensor(g.data)
            Adam([x], lr=1.0, eps=1e-8, **options).step()
            return x.detach()

        return step

    def dtype(y, gradients):
        return str(y.dtype)

    logits, labels = np.array([[1.0, 2, 3], [3, 1, 0]]), np.array([0, 1])
    single = np.ones(2, np.float32)
    return [
        probe(
            "cross entropy of two images, logits 1 2 3 and 3 1 0, labels 0 and 1",
            lambda ops, z: ops.softmax_cross_entropy(z, labels),
            logits,
            native={"torch": "cross_entropy"},
        ),
        probe("the same, logits times 10000", lambda ops, z: ops.softmax_cross_entropy(z, labels), 1e4 * logits),
        probe("its gradient", lambda ops, z: ops.softmax_cross_entropy(z, labels), 1e4 * logits, show=gradient),
        probe(
            "what dropout with rate 0.4 makes of ones",
            lambda ops, x: ops.dropout(x, 0.4, np.random.default_rng(0)),
            np.ones(100),
            show=lambda y, gradients: np.unique(y),
            native={"torch": "dropout"},
            lacks={"jax": "has no dropout"},
        ),
        probe(
            "x = 1 after a step of Adam, g = 1e-8, lr = 1, eps = 1e-8",
            adam(),
            np.ones(1),
            np.full(1, 1e-8),
            native={"torch": "adam"},
            lacks={"jax": "has no optimiser"},
        ),
        probe(
            "the same with `eps_hat=True`, which is TensorFlow's and Keras's formula",
            adam(eps_hat=True),
            np.ones(1),
            np.full(1, 1e-8),
            lacks={"torch": "no such option", "jax": "has no optimiser"},
        ),
        probe("float32 times 2.5", lambda ops, x: x * 2.5, single, show=dtype),
        probe("float32 times float64", lambda ops, x, y: x * y, single, np.ones(2), show=dtype),
        probe(
            "the mean of nothing",
            lambda ops, x: ops.mean(x),
            np.ones(0),
            like={name: ("sum(x) / 0", lambda ops, x: ops.sum(x) / 0.0) for name in ("torch", "jax")},
        ),
        probe(
            "x[7] of x = 1 2 3",
            lambda ops, x: ops.take(x, 7),
            np.arange(1.0, 4),
            like={"jax": ("x[min(7, 2)]", lambda ops, x: ops.take(x, min(7, 2)))},
        ),
        probe("gradient of x[0, 0, 1]", lambda ops, x: ops.take(x, np.array([0, 0, 1])), np.ones(3), show=gradient),
    ]
