"""What is verified: every op of `autodiff.ops` with every option that changes its mathematics, at ordinary points.

A case is one expression, written once for all frameworks: it gets the module whose functions it calls. Its points
are away from kinks, ties and borders between pieces; what happens there is the subject of conventions.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from hstn_ref.verify.networks import ModelCase, functional, model_cases

__all__ = ["Case", "ModelCase", "functional", "model_cases", "op_cases"]

Source = Callable[[np.random.Generator], np.ndarray] | tuple[int, ...]  # a tuple is the shape of normal numbers


@dataclass(frozen=True)
class Case:
    """fun(ops, *arrays) with ops = `autodiff.ops`, or a peer's module of the same names."""

    name: str  # of the op, then what is special: "conv2d: stride 2, padding 1"
    fun: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]  # float64; gradients are taken of all of them

    @property
    def op(self) -> str:
        return self.name.partition(":")[0]


def op_cases() -> list[Case]:
    """All cases; the same numbers in every process, and for a case whatever others there are."""
    parts = (_arithmetic, _matrices, _reductions, _shapes, _activations, _losses, _convolutions, _deconvolutions)
    return [case for part in (*parts, _pooling, _sampling, _penalties) for case in part()]


# Points


def positive(*shape: int) -> Source:
    """Numbers from 0.5 to 2."""
    return lambda rng: rng.uniform(0.5, 2, shape)


def off_zero(*shape: int) -> Source:
    """Numbers whose magnitude is 0.1 at least."""
    return lambda rng: _away(rng.standard_normal(shape))


def distinct(*shape: int) -> Source:
    """Numbers of which any two differ by 0.01 at least: no window of them has a tie."""
    return lambda rng: 0.01 * rng.permutation(np.arange(np.prod(shape)) - np.prod(shape) // 2).reshape(shape)


def motion(shape: tuple[int, int, int], image_size: tuple[int, int], beyond: int) -> Source:
    """A motion (N, 2, I, J) to positions that lie between pixels, or `beyond` pixels outside the image at the most.

    Along both axes they are 0.2 of a pixel away from integers, where the sampler has its kinks.
    """

    def draw(rng: np.random.Generator) -> np.ndarray:
        (H, W), (I, J) = image_size, shape[1:]
        x, y = (rng.integers(-beyond, n - 1 + beyond, shape) + rng.uniform(0.2, 0.8, shape) for n in (W, H))
        return np.stack([x - np.arange(J), y - np.arange(I)[:, None]], axis=1)

    return draw


def _case(name: str, fun: Callable[..., Any], *sources: Source) -> Case:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    arrays = (rng.standard_normal(s) if isinstance(s, tuple) else s(rng) for s in sources)
    return Case(name, fun, tuple(np.asarray(a, np.float64) for a in arrays))


def _away(x: np.ndarray) -> np.ndarray:
    return x + np.copysign(0.1, x)


# Ops


def _arithmetic() -> Iterator[Case]:
    for op in ("add", "subtract", "multiply", "divide"):
        second = off_zero if op == "divide" else lambda *shape: shape

        def of_two(ops, x, y, op=op):
            return getattr(ops, op)(x, y)

        yield _case(op, of_two, (3, 4), second(3, 4))
        yield _case(f"{op}: broadcast (2, 1, 4) with (3, 1)", of_two, (2, 1, 4), second(3, 1))
        yield _case(f"{op}: broadcast () with (2, 3)", of_two, (), second(2, 3))
        yield _case(f"{op}: a number on the right", lambda ops, x, op=op: getattr(ops, op)(x, 1.7), (3, 4))
        yield _case(f"{op}: a number on the left", lambda ops, x, op=op: getattr(ops, op)(1.7, x), second(3, 4))
    for p in (3, 2, 1, 0.5, -1, -1.5):
        yield _case(f"power: {p}", lambda ops, x, p=p: ops.power(x, p), positive(3, 4))
    yield _case("power: 3, of both signs", lambda ops, x: ops.power(x, 3), off_zero(3, 4))
    yield _case("exp", lambda ops, x: ops.exp(x), (3, 4))
    yield _case("log", lambda ops, x: ops.log(x), positive(3, 4))
    yield _case("sqrt", lambda ops, x: ops.sqrt(x), positive(3, 4))
    yield _case("abs", lambda ops, x: ops.abs(x), off_zero(3, 4))
    yield _case("maximum", lambda ops, x: ops.maximum(x[0], x[1]), distinct(2, 3, 4))
    yield _case("maximum: broadcast (3, 4) with (4,)", lambda ops, x: ops.maximum(x[1:], x[0]), distinct(4, 4))
    yield _case("maximum: a number", lambda ops, x: ops.maximum(x, 0.004), distinct(3, 4))


def _matrices() -> Iterator[Case]:
    for x, y in (
        ((5,), (5,)),
        ((5,), (5, 3)),
        ((4, 5), (5,)),
        ((4, 5), (5, 3)),
        ((2, 4, 5), (2, 5, 3)),
        ((2, 1, 4, 5), (3, 5, 2)),
        ((2, 4, 5), (5,)),
    ):
        yield _case(f"matmul: {x} with {y}", lambda ops, x, y: ops.matmul(x, y), x, y)
    yield _case("dense", lambda ops, x, w, b: ops.dense(x, w, b), (4, 6), (3, 6), (3,))
    yield _case("dense: no bias", lambda ops, x, w: ops.dense(x, w), (4, 6), (3, 6))


def _reductions() -> Iterator[Case]:
    for op in ("sum", "mean"):
        for axis, keepdims in product((None, 1, -1, (0, 2)), (False, True)):
            name = f"{op}: axis {axis}" + (", keepdims" if keepdims else "")

            def reduced(ops, x, op=op, axis=axis, keepdims=keepdims):
                return getattr(ops, op)(x, axis=axis, keepdims=keepdims)

            yield _case(name, reduced, (2, 3, 4))
    for before, after in (((3, 1), (3, 4)), ((4,), (2, 3, 4)), ((), (2, 3))):
        name = f"broadcast_to: {before} to {after}"
        yield _case(name, lambda ops, x, after=after: ops.broadcast_to(x, after), before)


def _shapes() -> Iterator[Case]:
    yield _case("reshape", lambda ops, x: ops.reshape(x, (4, 6)), (2, 3, 4))
    yield _case("reshape: -1", lambda ops, x: ops.reshape(x, (2, -1)), (2, 3, 4))
    yield _case("transpose", lambda ops, x: ops.transpose(x), (2, 3, 4))
    for axes in ((1, 0, 2), (2, 0, 1), (0, -1, -2)):
        yield _case(f"transpose: axes {axes}", lambda ops, x, axes=axes: ops.transpose(x, axes), (2, 3, 4))
    for index, text in (
        (1, "x[1]"),
        (np.s_[1:, :-1, ::2], "x[1:, :-1, ::2]"),
        (np.s_[..., None, 1], "x[..., None, 1]"),
        (np.s_[::-1, 1], "x[::-1, 1]"),
        (np.array([0, 2, 2, -1]), "x[[0, 2, 2, -1]], one twice"),
        ((np.array([0, 1, 1]), np.array([2, 0, 0])), "x[[0, 1, 1], [2, 0, 0]]"),
        (np.s_[:, np.array([2, 0])], "x[:, [2, 0]]"),
        (np.arange(12).reshape(3, 4) % 5 > 1, "x[a mask]"),
    ):
        yield _case(f"take: {text}", lambda ops, x, index=index: ops.take(x, index), (3, 4, 2))
    yield _case("concatenate", lambda ops, x, y: ops.concatenate([x, y]), (2, 3), (4, 3))
    yield _case(
        "concatenate: three, axis -1",
        lambda ops, x, y, z: ops.concatenate([x, y, z], axis=-1),
        *((2, 3, n) for n in (1, 4, 2)),
    )


def _activations() -> Iterator[Case]:
    yield _case("relu", lambda ops, x: ops.relu(x), off_zero(4, 5))
    yield _case("softmax", lambda ops, x: ops.softmax(x), (4, 5))
    yield _case("softmax: (2, 3, 4)", lambda ops, x: ops.softmax(x), (2, 3, 4))
    for rate in (0.0, 0.4):
        name = f"dropout: rate {rate}, a fixed mask"
        yield _case(name, lambda ops, x, rate=rate: ops.dropout(x, rate, np.random.default_rng(3)), (4, 5))


def _losses() -> Iterator[Case]:
    labels = np.array([3, 0, 4, 3])
    yield _case("softmax_cross_entropy", lambda ops, z: ops.softmax_cross_entropy(z, labels), (4, 5))
    yield _case("softmax_cross_entropy: one image", lambda ops, z: ops.softmax_cross_entropy(z, labels[:1]), (1, 5))


def _convolutions() -> Iterator[Case]:
    for kernel, options in (
        ((1, 1), {}),
        ((3, 3), {}),
        ((5, 5), {}),
        ((2, 2), {}),
        ((3, 2), {}),
        ((3, 3), {"stride": 2}),
        ((3, 3), {"stride": (2, 1)}),
        ((1, 1), {"stride": 2}),
        ((2, 3), {"stride": (1, 3), "padding": (1, 0)}),
        ((3, 3), {"padding": 1}),
        ((5, 5), {"padding": 2, "stride": 2}),
        ((3, 3), {"padding": (2, 0)}),
        ((3, 3), {"padding": ((0, 1), (2, 1))}),
        ((3, 3), {"padding": ((0, 1), (0, 1)), "stride": 2}),
        ((1, 1), {"padding": "same"}),
        ((3, 3), {"padding": "same"}),
        ((5, 5), {"padding": "same"}),
        ((4, 2), {"padding": "same"}),
        ((3, 3), {"rectify": True}),
        ((3, 3), {"rectify": True, "stride": 2, "padding": 1}),
    ):
        yield _filter_case("conv2d", kernel, options, (2, 3, 7, 6), (4, 3))
    yield _case("conv2d: 3x3, no bias", lambda ops, x, w: ops.conv2d(x, w), (2, 3, 7, 6), (4, 3, 3, 3))
    yield _filter_case("conv2d", (3, 3), {"padding": 1}, (1, 6, 11, 9), (7, 6), ", many channels")


def _deconvolutions() -> Iterator[Case]:
    for kernel, options in (
        ((1, 1), {}),
        ((3, 3), {}),
        ((5, 5), {"padding": 2}),
        ((4, 2), {"padding": "same"}),
        ((3, 3), {"padding": ((2, 0), (1, 0))}),
        ((2, 2), {"stride": 2}),
        ((3, 3), {"stride": 2}),
        ((3, 3), {"stride": 2, "padding": ((0, 1), (0, 1))}),
        ((3, 3), {"stride": 2, "padding": ((1, 0), (1, 0))}),
        ((3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((4, 4), {"stride": 2, "padding": 1}),
        ((3, 2), {"stride": (1, 3), "padding": (1, 0), "output_padding": (0, 2)}),
        ((3, 3), {"stride": 2, "rectify": True}),
    ):
        yield _filter_case("conv_transpose2d", kernel, options, (2, 3, 5, 4), (3, 4))
    name = "conv_transpose2d: 3x3, no bias, stride 2"
    yield _case(name, lambda ops, x, w: ops.conv_transpose2d(x, w, stride=2), (2, 3, 5, 4), (3, 4, 3, 3))
    many = {"stride": 2, "padding": ((0, 1), (0, 1))}
    yield _filter_case("conv_transpose2d", (3, 3), many, (1, 8, 6, 7), (8, 6), ", many channels")


def _filter_case(op, kernel, options, images, filters, more="") -> Case:
    """A convolution with a bias, one number a channel of the result."""
    text = "".join(f", {'rectified' if key == 'rectify' else f'{key} {value}'}" for key, value in options.items())
    outputs = filters[0 if op == "conv2d" else 1]

    def filtered(ops, x, w, b):
        return getattr(ops, op)(x, w, b, **options)

    name = f"{op}: {kernel[0]}x{kernel[1]}{text.replace('_', ' ')}{more}"
    return _case(name, filtered, images, (*filters, *kernel), (outputs,))


def _pooling() -> Iterator[Case]:
    for size, options in (
        (2, {}),
        ((2, 3), {}),
        (3, {"stride": 2}),
        (3, {"stride": (1, 2)}),
        (2, {"padding": 1}),
        (3, {"stride": 2, "padding": (1, 0)}),
        (3, {"stride": 2, "padding": ((0, 1), (2, 0))}),
    ):
        text = "".join(f", {key} {value}" for key, value in options.items())

        def pooled(ops, x, size=size, options=options):
            return ops.max_pool2d(x, size, **options)

        yield _case(f"max_pool2d: size {size}{text}", pooled, distinct(2, 3, 7, 8))
    rectified = "max_pool2d: size 2, rectified"
    yield _case(rectified, lambda ops, x: ops.max_pool2d(x - 0.803, 2, rectify=True), distinct(2, 3, 7, 8))


def _sampling() -> Iterator[Case]:
    for border, (beyond, text) in product(
        ("zeros", "edge", "reflect"), ((0, "inside"), (3, "inside and outside"), (20, "far outside"))
    ):

        def sampled(ops, image, w, border=border):
            return ops.bilinear_sample(image, w, border=border)

        name = f'bilinear_sample: border "{border}", positions {text}'
        yield _case(name, sampled, (2, 3, 5, 6), motion((2, 4, 7), (5, 6), beyond))
    for border in ("zeros", "edge", "reflect"):

        def splatted(ops, values, w, border=border):
            return ops.splat(values, w, (5, 6), border=border)

        yield _case(f'splat: border "{border}"', splatted, (2, 3, 4, 7), motion((2, 4, 7), (5, 6), 3))
    for border, derivative in product(("zeros", "edge", "reflect"), ((1, 0), (0, 1))):

        def slope(ops, image, w, border=border, derivative=derivative):
            return ops.bilinear_sample(image, w, border=border, derivative=derivative)

        name = f'bilinear_sample: border "{border}", derivative {derivative}'
        yield _case(name, slope, (2, 3, 5, 6), motion((2, 4, 7), (5, 6), 3))


def _penalties() -> Iterator[Case]:
    for norm, form, reduction in product(("l1", "l2", "squared"), ("laplacian", "hessian"), ("mean", "sum")):
        options = {"norm": norm, "form": form, "reduction": reduction}
        text = f"{norm}, {form}, {reduction}"
        yield _case(f"bending_energy: {text}", lambda ops, w, o=options: ops.bending_energy(w, **o), (2, 2, 5, 6))
    for norm, reduction in product(("l1", "l2", "squared"), ("mean", "sum")):
        options = {"norm": norm, "reduction": reduction}
        text = f"{norm}, {reduction}"
        yield _case(f"smoothness: {text}", lambda ops, w, o=options: ops.smoothness(w, **o), (2, 2, 5, 6))
