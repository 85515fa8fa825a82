"""Write an op, give it a wrong gradient, and see `autodiff.check` find it.

Run: python examples/03_check_a_gradient.py    writes runs/examples/03_check_a_gradient.png
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autodiff import check
from autodiff.ops import exp
from autodiff.tensor import as_tensor, record


def swish(x, slope=1.0):
    """y = x / (1 + e^-x) with its gradient; a `slope` other than 1 makes the gradient wrong by that factor."""
    x = as_tensor(x)
    s = 1 / (1 + np.exp(-x.data))

    def vjp(gy):
        p = 1 / (1 + exp(-x))  # built from ops, so that the gradient can be differentiated again
        return gy * (p + x * p * (1 - p)) * slope

    return record(x.data * s, (x, vjp))


x = np.random.default_rng(0).standard_normal((3, 4))
print(check.report(swish, x))
try:
    check.vjp(lambda x: swish(x, slope=1.01), x)
except AssertionError as failure:
    print("\ncaught:", failure)

# how a central difference approaches the gradient: its error falls with h^2 until rounding takes over
steps = 10.0 ** np.arange(-10, 0.5, 0.5)
at = np.array([0.7])
p = 1 / (1 + np.exp(-at))
exact = p + at * p * (1 - p)
errors = [abs((swish(at + h).data - swish(at - h).data) / (2 * h) - exact).item() for h in steps]

figure = Figure(figsize=(5, 3.5), layout="constrained")
axes = figure.subplots()
axes.loglog(steps, errors, "o-")
axes.set(xlabel="step h", ylabel="error of the central difference", title="swish at x = 0.7, float64")
path = Path("runs/examples/03_check_a_gradient.png")
path.parent.mkdir(parents=True, exist_ok=True)
figure.savefig(path, dpi=120)
print("wrote", path)
