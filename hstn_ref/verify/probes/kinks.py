"""Kinks, ties and numbers that are none, of ops that look at one number or one window."""

from __future__ import annotations

import numpy as np

from .probe import Probe, gradients_of_both, value


def kinks() -> list[Probe]:
    def probe(question, fun, *arrays, **options):
        return Probe("Kinks", question, fun, tuple(np.array(a, np.float64) for a in arrays), **options)

    half = "(x + y + abs(x - y)) / 2", lambda ops, x, y: (x + y + ops.abs(x - y)) * 0.5
    right = "maximum(x, -x)", lambda ops, x: ops.maximum(x, -x)
    nan = np.nan
    return [
        probe("gradient of relu at 0", lambda ops, x: ops.relu(x), [0]),
        probe("relu(NaN)", lambda ops, x: ops.relu(x), [nan], show=value),
        probe(
            "gradient of relu at -1, 0, 1 and NaN",
            lambda ops, x: ops.relu(x),
            [-1, 0, 1, nan],
            like={"torch": ("x times a mask, 0 where x <= 0", lambda ops, x: x * (~(x.data <= 0)).astype(float))},
        ),
        probe("gradient of abs at 0 and -0", lambda ops, x: ops.abs(x), [0, -0.0], like={"jax": right}),
        probe(
            "gradient of the l1 smoothness at zero flow",
            _smoothness,
            np.zeros((1, 1, 2, 2)),
            like={"jax": ("maximum(d, -d) of the differences d", _right_smoothness)},
        ),
        probe(
            "gradients of maximum(x, y) at a tie",
            lambda ops, x, y: ops.maximum(x, y),
            [2],
            [2],
            show=gradients_of_both,
            like={"torch": half, "jax": half},
        ),
        probe("maximum(NaN, 1)", lambda ops, x, y: ops.maximum(x, y), [nan], [1], show=value),
        probe("gradient of sqrt at 0", lambda ops, x: ops.sqrt(x), [0]),
        probe("gradient of sqrt(x x) at 0", lambda ops, x: ops.sqrt(x * x), [0]),
        probe("gradient of log at 0", lambda ops, x: ops.log(x), [0]),
        probe("gradients of x^0, x^0.5, x^1 and x^2 at 0", _powers, [0, 0, 0, 0]),
    ]


def _powers(ops, x):
    return ops.concatenate([ops.power(ops.take(x, np.s_[i : i + 1]), p) for i, p in enumerate((0, 0.5, 1, 2))])


def _smoothness(ops, w):
    return ops.smoothness(w)


def _right_smoothness(ops, w):
    dx, dy = w[:, :, :, 1:] - w[:, :, :, :-1], w[:, :, 1:] - w[:, :, :-1]
    return ops.mean(ops.maximum(dx, -dx)) + ops.mean(ops.maximum(dy, -dy))


def pooling() -> list[Probe]:
    def probe(question, fun, image, **options):
        image = np.array(image, np.float64)
        return Probe("Pooling", question, fun, (image[None, None],), **options)

    def two(ops, x):
        return ops.max_pool2d(x, 2)

    def more(ops, x):
        return ops.max_pool2d(x, 2, padding=((0, 0), (0, 1)))

    return [
        probe("gradient of a 2x2 window, four equal pixels", two, [[1, 1], [1, 1]]),
        probe("gradient, the last three equal", two, [[0, 1], [1, 1]]),
        probe("maximum of a window with a NaN", two, [[1, np.nan], [3, 2]], show=value),
        probe("gradient of that window", two, [[1, np.nan], [3, 2]]),
        probe("pixels of -1, padding 1", lambda ops, x: ops.max_pool2d(x, 2, padding=1), -np.ones((2, 2)), show=value),
        probe("2x2 windows of the rows 1 2 3, 4 5 6", two, [[1, 2, 3], [4, 5, 6]], show=value),
        probe(
            "the same with ceil_mode=True",
            two,
            [[1, 2, 3], [4, 5, 6]],
            show=value,
            native={"torch": "pool_ceil"},
            lacks={"jax": "no such option"},
            like={"torch": ("padding=((0, 0), (0, 1))", more)},
        ),
    ]
