"""Two ops as a user would write them, on the tape and as a pair of NumPy functions, verified.

Run: python examples/05_verify_your_op.py      writes runs/examples/05_verify_your_op.png
Or:  hstn verify examples/05_verify_your_op.py:charbonnier --input 4,5
     hstn verify examples/05_verify_your_op.py:forward,backward
     hstn verify examples/05_verify_your_op.py:forward,wrong_backward
"""

from pathlib import Path

import numpy as np

from autodiff import check
from autodiff.ops import sqrt
from autodiff.tensor import as_tensor, record


def charbonnier(x, eps=0.1):
    """y = sqrt(x^2 + eps^2), an |x| without the kink, as an op on the tape."""
    x = as_tensor(x)
    return record(np.sqrt(x.data**2 + eps**2), (x, lambda gy: gy * x / sqrt(x * x + eps**2)))


def forward(x, gain):
    """Every row of x (N, K) with mean 0 and variance 1, times gain (K,)."""
    return normalised(x) * gain


def backward(gy, x, gain):
    """The gradients to x and gain: the mean and the deviation move with x, too."""
    n = normalised(x)
    gn = gy * gain
    gn = gn - gn.mean(axis=1, keepdims=True) - n * (gn * n).mean(axis=1, keepdims=True)
    return gn / x.std(axis=1, keepdims=True), (gy * n).sum(axis=0)


def wrong_backward(gy, x, gain):
    """As if mean and deviation were constants, a common mistake."""
    return gy * gain / x.std(axis=1, keepdims=True), (gy * normalised(x)).sum(axis=0)


def normalised(x):
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def inputs(rng):
    """What `hstn verify` gives the op unless it is told shapes."""
    return [rng.standard_normal((3, 6)), rng.standard_normal(6)]


def main():
    from matplotlib.figure import Figure

    arrays = inputs(np.random.default_rng(0))
    print(check.report(charbonnier, arrays[0]))
    print(check.report(check.from_numpy(forward, backward), *arrays))
    try:
        check.vjp(check.from_numpy(forward, wrong_backward), *arrays)
    except check.CheckFailure as failure:
        print("\ncaught:", failure)

    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    x, gain = arrays
    v = np.random.default_rng(1).standard_normal(x.shape)
    steps = 2.0 ** -np.arange(2, 16)
    for name, gradient in (("right", backward), ("wrong", wrong_backward)):
        slope = np.vdot(gradient(np.cos(forward(x, gain)), x, gain)[0], v)  # of the sum of sin y
        rest = [abs(np.sin(forward(x + h * v, gain)).sum() - np.sin(forward(x, gain)).sum() - h * slope) for h in steps]
        axes.loglog(steps, rest, "o-", label=f"{name} gradient")
    axes.loglog(steps, steps**2, "k:", label="slope 2")
    axes.set(xlabel="step h", ylabel="Taylor remainder", title="what the gradient does not explain")
    axes.legend()
    path = Path("runs/examples/05_verify_your_op.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print("wrote", path)


if __name__ == "__main__":
    main()
