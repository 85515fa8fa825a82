"""Are the gradients right, and if not, why? Checks for our ops and for yours.

    check.vjp(lambda x, f: conv2d(x, f, padding=1), x, f)

Let y = fun(x), J its Jacobian, u and v random, f(h) = <u, y(x + h v)>. Identities, none of which knows how the
gradient was derived:

    <J^T u, v> = f'(0)                             vjp            central differences, extrapolated             (1)
                                                   complex_step   Im f(ih) / h, exact to rounding
    <J v, u>   = <v, J^T u>                        adjoint        exact to rounding                             (2)
    <H v, w>   = <v, H w>,  H the Hessian of <u, y>  second_order  exact, and (1) for J^T u                     (3)
    f(h) - f(0)                          = O(h)
    f(h) - f(0) - h f'(0)                = O(h^2)  taylor         slopes of the remainders, f' = <J^T u, v>,    (4)
    f(h) - f(0) - h f'(0) - h^2/2 f''(0) = O(h^3)                 f'' = <H v, v>

(1) and (4) compare the gradient with the function, (2) the rules of two orders with each other: it computes J v by
differentiating J^T u with respect to u, in which it is linear.

Every check takes fun, a function of Tensors that returns a Tensor of any shape, and as many arrays as it has inputs;
it returns a Report and raises CheckFailure, an AssertionError, for the first input that fails. The message names the
input, the element, both values and the likely cause (explain.py). Give float64 arrays. For float32 ones the gradient
is computed in float32 and the oracle in float64, so that rounding in the oracle does not blur the verdict.

Kinks. The ops of this package say where they are not differentiable (autodiff/kinks.py). A step that crosses a kink
is shortened; if it still crosses, x is on the kink, and the result counts it. With kinks="exclude" elements that
cross a kink when moved alone are left out of the direction, and the result says how many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .first_order import complex_step, vjp
from .functions import from_numpy, together
from .results import CheckFailure, DoesNotApply, Report, Result
from .second_order import adjoint, second_order, taylor
from .slopes import Fun

__all__ = [
    "CheckFailure",
    "DoesNotApply",
    "Report",
    "Result",
    "adjoint",
    "collect",
    "complex_step",
    "from_numpy",
    "report",
    "second_order",
    "taylor",
    "together",
    "vjp",
]

CHECKS: tuple[Callable[..., Report], ...] = (vjp, complex_step, adjoint, second_order, taylor)


def report(fun: Fun, *arrays: np.ndarray, seed: int = 0, kinks: str = "count") -> Report:
    """Run all checks; one result a check and input. What does not apply to fun, the complex step or derivatives of
    second order, is in `.skipped`.

    Raises CheckFailure after all have been run if one failed: its message is that of the first failure, and the table
    of all results, which `.report` has too.
    """
    found, failures = _run_all(fun, arrays, seed, kinks)
    if failures:
        raise CheckFailure(f"{failures[0]}\n{found}", failures[0].result, found)
    return found


def collect(fun: Fun, *arrays: np.ndarray, seed: int = 0, kinks: str = "count") -> Report:
    """As `report`, but a failure raises nothing: it is in the Report, and `.passed` is False."""
    return _run_all(fun, arrays, seed, kinks)[0]


def _run_all(fun: Fun, arrays: Sequence[np.ndarray], seed: int, kinks: str) -> tuple[Report, list[CheckFailure]]:
    """All results, of a check that fails the failure alone; and the failures."""
    found, failures = Report(), []
    for check in CHECKS:
        try:
            found += check(fun, *arrays, seed=seed, kinks=kinks)
        except CheckFailure as failure:
            found.append(failure.result)
            failures.append(failure)
        except DoesNotApply as reason:
            found.skipped[check.__name__.replace("_", " ")] = str(reason)
    return found, failures
