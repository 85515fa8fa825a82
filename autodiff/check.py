"""Are the gradients right? Checks for our ops and for yours.

    check.vjp(lambda x, f: conv2d(x, f, padding=1), x, f)

Let y = fun(x), J its Jacobian, u and v random. Three identities, none of which knows how the gradient was derived:

    <J^T u, v> = <u, y(x + h v) - y(x - h v)> / 2h + O(h^2)       vjp            finite differences     (1)
    <J v, u>   = <v, J^T u>                                       adjoint        exact to rounding      (2)
    <H v, w>   = <v, H w>,   H the Hessian of <u, y>              second_order   exact, and (1) for J^T u  (3)

(1) compares the gradient with the function. (2) computes J v by differentiating J^T u with respect to u (it is
linear in u), so it compares the rules of two orders with each other. Give float64 arrays, at points away from kinks of
fun; a failure says whether one is near.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .tensor import Tensor, grad

Fun = Callable[..., Tensor]


@dataclass(frozen=True)
class Result:
    """The outcome of one check: the largest error found, relative to the size of what was compared."""

    check: str
    input: int
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok" if self.passed else "FAILED"
        error = f"error {self.error:.1e}   tolerance {self.tolerance:.0e}"
        return f"{self.check:<13} input {self.input}   {error}   {verdict}"


def vjp(fun: Fun, *arrays, eps: float = 1e-5, rtol: float = 1e-6, atol: float = 1e-8, seed: int = 0) -> list[Result]:
    """Compare the gradient of every input with central differences along a random direction: equation (1).

    fun takes as many Tensors as there are arrays and returns a Tensor of any shape. Two evaluations an input,
    whatever its size. Raises AssertionError if one differs by more than `rtol` of the larger plus `atol`; it names
    the input, the element that differs most, both values, and whether a kink is near.
    """
    rng = np.random.default_rng(seed)
    u, gradients = _gradients(fun, arrays, rng)
    results = []
    for i, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
        v = rng.standard_normal(x.shape)
        expected = _difference(fun, arrays, i, eps * v, u) / eps
        result = _compare("vjp", i, float(np.vdot(g, v)), expected, rtol, atol)
        if not result.passed:
            raise AssertionError(_explain(fun, arrays, i, g, u, eps, rtol, atol) or str(result))
        results.append(result)
    return results


def adjoint(fun: Fun, *arrays, rtol: float = 1e-12, atol: float = 1e-12, seed: int = 0) -> list[Result]:
    """Compare <J v, u> with <v, J^T u> for every input: equation (2). Raises AssertionError if they differ."""
    rng = np.random.default_rng(seed)
    results = []
    for i in range(len(arrays)):
        xs = [Tensor(a, requires_grad=i == j) for j, a in enumerate(arrays)]
        y = fun(*xs)
        v, u = rng.standard_normal(arrays[i].shape), rng.standard_normal(y.shape)
        start = Tensor(np.zeros(y.shape, y.dtype), requires_grad=True)
        transposed = grad(y, xs[i], gy=start, create_graph=True)  # J^T start, linear in start
        forward = grad(transposed, start, gy=v.astype(y.dtype)).data if transposed.requires_grad else np.zeros(y.shape)
        backward = grad(y, xs[i], gy=u.astype(y.dtype)).data
        scale = float(np.linalg.norm(forward) * np.linalg.norm(u))
        left, right = float(np.vdot(forward, u)), float(np.vdot(v, backward))
        result = _compare("adjoint", i, left, right, rtol, atol, scale)
        if not result.passed:
            raise AssertionError(f"{result}: <J v, u> = {left:.17g}, <v, J^T u> = {right:.17g}")
        results.append(result)
    return results


def second_order(
    fun: Fun, *arrays, eps: float = 1e-5, rtol: float = 1e-5, atol: float = 1e-7, seed: int = 0
) -> list[Result]:
    """Check gradients of gradients: their finite differences, and the symmetry of the Hessian, equation (3).

    Raises AssertionError as `vjp` does.
    """
    rng = np.random.default_rng(seed)
    u = rng.standard_normal(fun(*map(Tensor, arrays)).shape)
    directions = [[rng.standard_normal(a.shape) for a in arrays] for _ in range(2)]

    def along(direction: list[np.ndarray]) -> Fun:
        """The derivative of <u, fun> along `direction`, a scalar function of the inputs."""

        def derivative(*xs: Tensor) -> Tensor:
            variables = [x if x.requires_grad else Tensor(x.data, requires_grad=True) for x in xs]
            y = fun(*variables)
            gs = grad((y * u.astype(y.dtype)).sum(), variables, create_graph=True)
            total = (gs[0] * direction[0]).sum()
            for g, d in zip(gs[1:], direction[1:], strict=True):
                total = total + (g * d).sum()
            return total

        return derivative

    results = vjp(along(directions[0]), *arrays, eps=eps, rtol=rtol, atol=atol)
    results = [replace(result, check="second order") for result in results]
    products = []
    for v, w in (directions, directions[::-1]):
        _, hessian_v = _gradients(along(v), arrays, rng, np.ones(()))
        products.append(sum(float(np.vdot(h, b)) for h, b in zip(hessian_v, w, strict=True)))
    symmetry = _compare("symmetry", 0, products[0], products[1], rtol=1e-9, atol=1e-9)
    if not symmetry.passed:
        raise AssertionError(f"{symmetry}: <w, H v> = {products[0]:.17g}, <v, H w> = {products[1]:.17g}")
    return [*results, symmetry]


def report(fun: Fun, *arrays, seed: int = 0) -> str:
    """Run all checks; a table with one line a check and input, failures included. Raises nothing on a failure."""
    lines = []
    for check in (vjp, adjoint, second_order):
        try:
            lines += [str(result) for result in check(fun, *arrays, seed=seed)]
        except AssertionError as failure:
            lines.append(f"{check.__name__:<13} FAILED: {failure}")
    return "\n".join(lines)


def _gradients(fun: Fun, arrays, rng, u=None) -> tuple[np.ndarray, list[np.ndarray]]:
    """A random cotangent u of fun's result, and J^T u for every input."""
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    y = fun(*xs)
    u = rng.standard_normal(y.shape) if u is None else u
    return u, [g.data for g in grad(y, xs, gy=np.asarray(u, y.dtype))]


def _difference(fun: Fun, arrays, i: int, step: np.ndarray, u: np.ndarray) -> float:
    """<u, y(x + step) - y(x - step)> / 2, with the step in input i."""
    plus, minus = ([*arrays[:i], arrays[i] + s, *arrays[i + 1 :]] for s in (step, -step))
    return float(np.vdot(u, fun(*map(Tensor, plus)).data - fun(*map(Tensor, minus)).data)) / 2


def _compare(check, i, value, expected, rtol, atol, scale=None) -> Result:
    scale = max(abs(value), abs(expected)) if scale is None else scale
    error = abs(value - expected) / (scale + atol / rtol)
    return Result(check, i, error if np.isfinite(error) else np.inf, rtol)


def _explain(fun: Fun, arrays, i: int, g: np.ndarray, u: np.ndarray, eps: float, rtol, atol, most: int = 2000) -> str:
    """Which element of input i differs most, and is a kink near it? Looks at `most` elements at the most."""
    x = arrays[i]
    positions = np.linspace(0, x.size - 1, min(x.size, most)).astype(int)
    worst = None
    for index in (np.unravel_index(p, x.shape) for p in np.unique(positions)):
        step = np.zeros_like(x)
        step[index] = eps
        expected = _difference(fun, arrays, i, step, u) / eps
        error = abs(float(g[index]) - expected)
        if worst is None or error > worst[0]:
            worst = error, tuple(int(k) for k in index), float(g[index]), expected, step
    if worst is None:
        return ""
    _, where, value, expected, step = worst
    at, shape = f"input {i}, element {where}", f"of shape {x.shape}"
    centre = float(np.vdot(u, fun(*map(Tensor, arrays)).data))
    right, left = (
        float(np.vdot(u, fun(*map(Tensor, [*arrays[:i], x + s, *arrays[i + 1 :]])).data)) for s in (step, -step)
    )
    slopes = (right - centre) / eps, (centre - left) / eps
    kinked = abs(slopes[0] - slopes[1]) > 1e-3 * max(abs(slopes[0]), abs(slopes[1])) + 1e-6
    kink = f"a kink is near: slopes {slopes[1]:.6g} before and {slopes[0]:.6g} after" if kinked else "no kink is near"
    return f"vjp: {at} {shape}: gradient {value:.10g}, central difference {expected:.10g}; {kink}"
