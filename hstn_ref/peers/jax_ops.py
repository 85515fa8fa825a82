"""The ops of `autodiff.ops` in JAX, as a user of JAX would write them: lax.conv_general_dilated, map_coordinates ...

Names, arguments and options are ours, and so are shapes, units and frames of reference. Importing this module makes
JAX compute on the CPU and allows float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import Array, lax
from jax import numpy as jnp
from jax.scipy.ndimage import map_coordinates

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

NAME = "JAX"
BORDERS = {"zeros": "constant", "edge": "nearest", "reflect": "mirror"}
FORMAT = ("NCHW", "OIHW", "NCHW")
EPS = 1e-3  # pixels, of the norm "l2"


def version() -> str:
    return jax.__version__


def compiled(fun: Callable) -> Callable:
    """jax.jit for a function that is called once: compiled without much optimisation."""
    return jax.jit(fun, compiler_options={"xla_backend_optimization_level": 0})


def value_and_gradients(
    fun: Callable[..., Array], arrays: Sequence[np.ndarray], u: np.ndarray | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """fun(*arrays), and the gradients of <u, fun(*arrays)> to each of them, u being 1 everywhere if not given."""

    @compiled
    def both(u, *xs):
        y, vjp = jax.vjp(fun, *xs)
        return y, vjp(jnp.ones_like(y) if u is None else u)

    y, gradients = both(None if u is None else jnp.asarray(u), *map(jnp.asarray, arrays))
    return np.asarray(y), [np.asarray(g) for g in gradients]


def add(x, y):
    return x + y


def subtract(x, y):
    return x - y


def multiply(x, y):
    return x * y


def divide(x, y):
    return x / y


def power(x, p):
    return x**p


def exp(x):
    return jnp.exp(x)


def log(x):
    return jnp.log(x)


def sqrt(x):
    return jnp.sqrt(x)


def abs(x):
    return jnp.abs(x)


def maximum(x, y):
    return jnp.maximum(x, y)


def matmul(x, y):
    return jnp.matmul(x, y)


def dense(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias


def sum(x, axis=None, keepdims=False):
    return jnp.sum(x, axis, keepdims=keepdims)


def mean(x, axis=None, keepdims=False):
    return jnp.mean(x, axis, keepdims=keepdims)


def broadcast_to(x, shape):
    return jnp.broadcast_to(x, shape)


def reshape(x, shape):
    return x.reshape(shape)


def transpose(x, axes=None):
    return jnp.transpose(x, axes)


def take(x, index):
    return x[index]


def concatenate(xs, axis=0):
    return jnp.concatenate(xs, axis)


def relu(x):
    return jax.nn.relu(x)


def softmax(x):
    return jax.nn.softmax(x)


def softmax_cross_entropy(logits, labels):
    return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels].mean()


def dropout(x, rate, rng):
    # JAX has no dropout: jax.random.bernoulli would draw the mask, here the generator that is passed in does
    return jnp.where(rng.random(x.shape, dtype=np.float32) >= rate, x / (1 - rate), 0)


def conv2d(x, weight, bias=None, *, stride=1, padding=0, rectify=False):
    pads = "SAME" if padding == "same" else _pads(padding)
    y = lax.conv_general_dilated(x, weight, _pair(stride), pads, dimension_numbers=FORMAT)
    return _finish(y, bias, rectify)


def conv_transpose2d(x, weight, bias=None, *, stride=1, padding=0, output_padding=0, rectify=False):
    sizes = weight.shape[2:]
    crops = [((n - 1) // 2, n // 2) for n in sizes] if padding == "same" else _pads(padding)
    extras = _pair(output_padding)
    # lax.conv_transpose pads the images between whose pixels it has put zeros: n - 1 on both sides keep everything
    pads = [(n - 1 - a, n - 1 - b + more) for n, (a, b), more in zip(sizes, crops, extras, strict=True)]
    y = lax.conv_transpose(x, weight, _pair(stride), pads, dimension_numbers=FORMAT, transpose_kernel=True)
    return _finish(y, bias, rectify)


def max_pool2d(x, size, *, stride=None, padding=0, rectify=False):
    steps = _pair(size if stride is None else stride)
    pads = [(0, 0), (0, 0), *_pads(padding)]
    y = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, *_pair(size)), (1, 1, *steps), pads)
    return _finish(y, None, rectify)


def bilinear_sample(image, motion, *, border="zeros", derivative=(0, 0)):
    if derivative != (0, 0):
        along = jnp.broadcast_to(jnp.array(derivative, motion.dtype)[:, None, None], motion.shape)
        return jax.jvp(lambda w: bilinear_sample(image, w, border=border), (motion,), (along,))[1]
    I, J = motion.shape[2:]
    y, x = jnp.meshgrid(jnp.arange(I), jnp.arange(J), indexing="ij")
    positions = jnp.stack([y + motion[:, 1], x + motion[:, 0]], axis=1)  # (N, 2, I, J), rows first

    def sampled(plane, position):
        return map_coordinates(plane, list(position), order=1, mode=BORDERS[border])

    return jax.vmap(jax.vmap(sampled, (0, None)))(image, positions)


def splat(values, motion, size, *, border="zeros"):
    # JAX has it as the transpose of the sampler
    def read(image):
        return bilinear_sample(image, motion, border=border)

    images = jax.ShapeDtypeStruct((*values.shape[:2], *size), values.dtype)
    return jax.linear_transpose(read, images)(values)[0]


def bending_energy(w, *, norm="l1", form="laplacian", reduction="mean"):
    centre = 2 * w[:, :, 1:-1, 1:-1]
    xx = w[:, :, 1:-1, 2:] - centre + w[:, :, 1:-1, :-2]
    yy = w[:, :, 2:, 1:-1] - centre + w[:, :, :-2, 1:-1]
    if form == "laplacian":
        return _norm([xx + yy], norm, reduction)
    xy = (w[:, :, 2:, 2:] - w[:, :, 2:, :-2] - w[:, :, :-2, 2:] + w[:, :, :-2, :-2]) / 4
    return _norm([xx, 2**0.5 * xy, yy], norm, reduction)


def smoothness(w, *, norm="l1", reduction="mean"):
    dx, dy = jnp.diff(w, axis=3), jnp.diff(w, axis=2)
    if norm == "l2":  # both differences are needed at a point
        dx, dy = dx[:, :, :-1], dy[:, :, :, :-1]
    return _norm([dx, dy], norm, reduction)


def _norm(differences, norm, reduction):
    """The components are added up; means are over images and points."""
    if norm == "l2":
        squares = jnp.stack([jnp.sum(d**2, 1) for d in differences]).sum(0)
        terms = [jnp.sqrt(squares + EPS**2) - EPS]
    else:
        terms = [jnp.sum(jnp.abs(d) if norm == "l1" else d**2, 1) for d in differences]
    return jnp.stack([t.mean() if reduction == "mean" else t.sum() for t in terms]).sum()


def _finish(y, bias, rectify):
    y = y if bias is None else y + bias[:, None, None]
    return jax.nn.relu(y) if rectify else y


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _pads(padding):
    """((top, bottom), (left, right))."""
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    return [(pad, pad) if isinstance(pad, int) else tuple(pad) for pad in (rows, columns)]
