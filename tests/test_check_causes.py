"""Deliberately wrong gradients: each is caught, and the failure names the cause."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from autodiff import check, ops
from autodiff.tensor import record

RNG = np.random.default_rng(0)
ROW, OTHER = RNG.standard_normal(7) + 3, RNG.standard_normal(7) + 3
IMAGE, FILTER = RNG.standard_normal((6, 6)), RNG.standard_normal((3, 3))
SQUARE = RNG.standard_normal((5, 5))


def correlate(x, f):
    """The 3x3 correlation of one image, zeros around it."""
    return np.einsum("ijuv,uv->ij", sliding_window_view(np.pad(x, 1), (3, 3)), f)


def filter_gradient(gy, x):
    return np.einsum("ijuv,ij->uv", sliding_window_view(np.pad(x, 1), (3, 3)), gy)


def differences(x):
    return x[1:] - x[:-1]


def differences_without_the_last_row(gy, x):
    gx = np.zeros_like(x)
    gx[:-1] -= gy
    gx[1:-1] += gy[:-1]
    return gx


def delayed(gy, x):
    """The gradient of x[:-2], one pixel too late."""
    gx = np.zeros_like(x)
    gx[1:-1] = gy
    return gx


def tied_by_all(gy, x):
    """The gradient of the maximum of each row, given to all that are the maximum."""
    return gy[:, None] * (x == x.max(axis=1, keepdims=True))


NUMPY = {
    "sign": (lambda x: -(x**2), lambda gy, x: 2 * x * gy, [ROW], "the sign"),
    "factor": (lambda x: (x**2).mean(), lambda gy, x: 2 * x * gy, [ROW], "a constant factor: .* 7 times .*size 7"),
    "filter not flipped": (
        correlate,
        lambda gy, x, f: (correlate(gy, f), filter_gradient(gy, x)),
        [IMAGE, FILTER],
        "not transposed: .* filter that is not flipped",
    ),
    "filter flipped": (
        correlate,
        lambda gy, x, f: (correlate(gy, f[::-1, ::-1]), filter_gradient(gy, x)[::-1, ::-1]),
        [IMAGE, FILTER],
        r"input 1.* flipped along axes \(0, 1\): a filter",
    ),
    "filter transposed": (
        correlate,
        lambda gy, x, f: (correlate(gy, f[::-1, ::-1]), filter_gradient(gy, x).T),
        [IMAGE, FILTER],
        "input 1.* is transposed: its axes",
    ),
    "alignment": (lambda x: x[:-2], delayed, [ROW], "shifted: 1 later along axis 0"),
    "border": (
        differences,
        differences_without_the_last_row,
        [SQUARE],
        "border is wrong .*last of axis 0.*border term",
    ),
    "tie": (
        lambda x: x.max(axis=1),
        tied_by_all,
        [np.array([[1.0, 2.0, 2.0], [5.0, 3.0, 5.0]])],
        "the wrong rule at ties",
    ),
    "gy": (np.exp, lambda gy, x: np.exp(x), [ROW], "does not use gy"),
    "matrix": (lambda x: SQUARE @ x, lambda gy, x: SQUARE @ gy, [ROW[:5]], "not transposed: a matrix"),
    "exchanged": (lambda x, y: x * y**2, lambda gy, x, y: (2 * gy * x * y, gy * y**2), [ROW, OTHER], "of input 1"),
    "product rule": (
        lambda x: x * np.exp(x),
        lambda gy, x: gy * np.exp(x),
        [ROW],
        "term is missing: 1 gy times the res",
    ),
    "normalisation": (
        lambda x: x / x.sum(),
        lambda gy, x: gy / x.sum(),
        [ROW],
        "term is missing: .* a sum over all of them",
    ),
    "moments": (
        lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True),
        lambda gy, x: gy / x.std(axis=1, keepdims=True),
        [RNG.standard_normal((3, 7))],
        "sums along axis 1: a mean, norm or deviation taken as a constant",
    ),
    "chain rule": (
        lambda x: np.exp(x**2 / 9),
        lambda gy, x: gy * np.exp(x**2 / 9),
        [ROW],
        "factor 0.2222.* input 0 is m",
    ),
    "case": (
        lambda x: np.where(x > 0, x, x / 2),
        lambda gy, x: gy,
        [SQUARE],
        "exactly where the input is negative: a case",
    ),
    "detached": (lambda x: x**2, lambda gy, x: None, [ROW], "the gradient is zero: a detached input"),
    "infinite": (np.sqrt, lambda gy, x: gy / (x - x), [ROW], "not finite"),
    "not linear": (lambda x: x**2, lambda gy, x: 2 * x * gy**2, [ROW], "not linear in gy"),
}


@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_wrong_backward_pass_in_numpy_is_caught_and_explained(name):
    forward, backward, arrays, cause = NUMPY[name]
    with pytest.raises(check.CheckFailure, match=f"likely cause: .*{cause}" if "input 1" not in cause else cause):
        check.vjp(check.from_numpy(forward, backward), *arrays)


def test_a_subgradient_of_another_convention_is_told_from_a_wrong_one():
    x = np.array([1.0, 0.0, -1.0])
    at_zero = {1.0: "a matter of convention", 2.0: "not between the slopes"}
    for slope, verdict in at_zero.items():
        fun = check.from_numpy(lambda x: np.maximum(x, 0), lambda gy, x, s=slope: gy * np.where(x == 0, s, x > 0))
        with pytest.raises(check.CheckFailure, match=rf"element \(1,\).* a kink is near.*{verdict}"):
            check.vjp(fun, x)


def test_rounding_is_told_from_a_wrong_formula():
    """1 + x - 1 is x in float64, and a few of its digits in float32."""

    def one_minus_cosine(x):
        return record(2 * np.sin(x.data / 2) ** 2, (x, lambda gy: gy * (x + 1.0 - 1.0)))

    with pytest.raises(check.CheckFailure, match=r"rounding: .* computed in float64 is right, in float32 it is not"):
        check.vjp(one_minus_cosine, np.full(3, 1e-5, np.float32))


def test_a_gradient_of_another_shape_is_explained():
    with pytest.raises(check.CheckFailure, match="is a sum over broadcast axes missing"):
        check.vjp(check.from_numpy(lambda x: x + np.zeros((4, 7)), lambda gy, x: gy), ROW)


def test_a_few_wrong_elements_are_counted():
    def backward(gy, x):
        gx = 2 * gy * x
        gx[2, 1] *= x[2, 3]
        return gx

    with pytest.raises(check.CheckFailure, match=r"element \(2, 1\).* only 1 of 25 elements .* index 2 of axis 0"):
        check.vjp(check.from_numpy(np.square, backward), SQUARE)


def test_large_inputs_are_sampled():
    x = RNG.standard_normal((40, 40))
    with pytest.raises(check.CheckFailure, match="likely cause: the sign"):
        check.vjp(lambda t: record(t.data**3, (t, lambda gy: gy * t * t * -3.0)), x)


def test_an_op_on_the_tape_is_explained_as_well():
    def halved(x, f):
        return ops.conv2d(x, f, padding=1) * 0.5 + ops.conv2d(x.detach(), f, padding=1) * 0.5

    x, f = RNG.standard_normal((1, 2, 5, 5)), RNG.standard_normal((3, 2, 3, 3))
    with pytest.raises(check.CheckFailure, match=r"input 0.* a constant factor: the gradient is 0.5 times"):
        check.vjp(halved, x, f)
