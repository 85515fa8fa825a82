"""The networks of section 4 in JAX: functions of a dictionary of weights.

Sizes, options and names of weights are those of `hstn_ref.models`. Images are (N, channels, H, W), logits (N, classes).
With a target, a network aligns: it gives the warped images. There is no dropout: the networks are compared without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import Array, lax
from jax import numpy as jnp

from hstn_ref.peers import Options
from hstn_ref.peers import jax_ops as ops

Weights = dict[str, Array]


def loss_and_gradients(
    name: str, options: Mapping[str, Any], weights: Mapping[str, np.ndarray], images: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The training loss and its gradient to every weight, in the dtype of the images."""
    o = Options(**options)

    def loss(weights: Weights) -> Array:
        if o.task == "classify":
            logits, penalty = run(name, weights, jnp.asarray(images), o)
            return ops.softmax_cross_entropy(logits, truth) + penalty
        warped, penalty = run(name, weights, jnp.asarray(images), o, jnp.asarray(truth))
        return jnp.mean((warped - truth) ** 2) + penalty

    value, gradients = ops.compiled(jax.value_and_grad(loss))({key: jnp.asarray(w) for key, w in weights.items()})
    return np.asarray(value), {key: np.asarray(g) for key, g in gradients.items()}


def run(
    name: str, weights: Weights, images: Array, o: Options, target: Array | None = None
) -> tuple[Array, Array | float]:
    """The logits, or the warped images, and what the training loss adds."""
    warped, penalty = (images, 0.0) if name == "cnn" else transform(name, weights, images, o, target)
    return (classifier(weights, warped, o) if target is None else warped), penalty


def transform(
    name: str, weights: Weights, images: Array, o: Options, target: Array | None
) -> tuple[Array, Array | float]:
    """The warped images and the penalty."""
    if name == "tps_stn":
        motion = tps_motion(weights, beside(images, target), o)
        return ops.bilinear_sample(images, motion, border=o.border), 0.0
    if name in ("c_stn", "ic_stn"):
        return cascade(weights, images, o, target, shared=name == "ic_stn"), 0.0
    theta = localisation(weights, beside(images, target), o)
    Hx = affine_motion(theta, jnp.zeros((1, 2, *o.image_size), images.dtype), o)
    linear = ops.bilinear_sample(images, Hx, border=o.border)
    if name == "affine_stn":
        return linear, 0.0
    w = flow_generator(weights, beside(lax.stop_gradient(linear) if o.detach_first_warp else linear, target), o)
    motion = w + (Hx if o.combine == "sum" else affine_motion(theta, w, o))
    return ops.bilinear_sample(images, motion, border=o.border), penalty(w, o)


def beside(images: Array, target: Array | None) -> Array:
    """Images beside the target, in units of the target's contrast."""
    if target is None:
        return images
    mean, variance = (f(target, axis=(1, 2, 3), keepdims=True) for f in (jnp.mean, jnp.var))
    return (jnp.concatenate([images, target], 1) - mean) / jnp.sqrt(variance + (1 / 255) ** 2)


def classifier(weights: Weights, x: Array, o: Options) -> Array:
    for i in (0, 4, 8):
        x = ops.max_pool2d(convolution(weights, f"classifier.{i}", x, padding=conv_padding(o), rectify=True), 2)
    x = ops.relu(dense(weights, "classifier.13", x.reshape(len(x), -1)))
    return dense(weights, "classifier.15", x)


def localisation(weights: Weights, x: Array, o: Options, name: str = "localisation") -> Array:
    for i in (0, 3, 6):
        x = ops.max_pool2d(convolution(weights, f"{name}.{i}", x, padding=conv_padding(o), rectify=True), 2)
    x = ops.relu(dense(weights, f"{name}.10", x.reshape(len(x), -1)))
    return dense(weights, f"{name}.12", x)


def cascade(weights: Weights, images: Array, o: Options, target: Array | None, *, shared: bool) -> Array:
    """The images of C-STN or, `shared`, IC-STN after the last step."""
    warped, matrix = images, jnp.eye(3, dtype=images.dtype)
    for k in range(o.steps):
        theta = localisation(weights, beside(warped, target), o, "localisation" if shared else f"localisation.{k}")
        last = jnp.broadcast_to(jnp.array([0, 0, 1], theta.dtype), (len(theta), 1, 3))
        step = jnp.concatenate([theta.reshape(-1, 2, 3), last], 1)
        matrix = matrix @ step if o.compose == "right" else step @ matrix
        motion = affine_motion(matrix[:, :2], jnp.zeros((1, 2, *o.image_size), images.dtype), o)
        warped = ops.bilinear_sample(images, motion, border=o.border)
    return warped


def tps_motion(weights: Weights, x: Array, o: Options) -> Array:
    """The motion, in pixels, of TPS-STN: the spline through its offsets, solved for every image."""
    for i in (0, 4, 8):
        for j in (i, i + 1):
            x = convolution(weights, f"localisation.{j}", x, padding=conv_padding(o), rectify=True)
        x = ops.max_pool2d(x, 2)
    x = ops.relu(dense(weights, "localisation.13", x.reshape(len(x), -1)))
    offsets = dense(weights, "localisation.15", x).reshape(len(x), 2, -1)
    pixels, points = (positions(*grid, o) for grid in (o.image_size, o.grid))

    def features(at: np.ndarray) -> np.ndarray:
        squared = ((at[:, None] - points) ** 2).sum(-1)
        return np.concatenate([np.ones((len(at), 1)), at, squared * np.log(np.where(squared, squared, 1))], 1)

    K = len(points)
    L = np.block([[features(points)], [np.zeros((3, 3)), features(points)[:, :3].T]])
    values = jnp.concatenate([offsets, jnp.zeros((len(x), 2, 3), x.dtype)], 2)  # and the conditions on the sum
    coefficients = jnp.linalg.solve(jnp.asarray(L, x.dtype), values.reshape(-1, K + 3).T)
    uv = (jnp.asarray(features(pixels), x.dtype) @ coefficients).T.reshape(len(x), 2, *o.image_size)
    return uv * jnp.array(o.scale, x.dtype)[:, None, None]


def positions(rows: int, columns: int, o: Options) -> np.ndarray:
    """A grid from corner to corner of the image, (rows columns, 2); in pixels it has the spline of isotropic units."""
    H, W = o.image_size
    s_x, s_y = o.scale if o.coords == "normalised" else ((max(H, W) - 1) / 2,) * 2
    x, y = np.meshgrid(np.linspace(1 - W, W - 1, columns) / 2 / s_x, np.linspace(1 - H, H - 1, rows) / 2 / s_y)
    return np.stack([x.ravel(), y.ravel()], 1)


def affine_motion(theta: Array, w: Array, o: Options) -> Array:
    """The affine motion, in pixels, of theta at the pixels moved by w: equation (5)."""
    H, W = o.image_size
    scale = jnp.array(o.scale, theta.dtype)[:, None, None]
    centre = jnp.array([(W - 1) / 2, (H - 1) / 2], theta.dtype)[:, None, None]
    pixels = jnp.stack(jnp.meshgrid(jnp.arange(W), jnp.arange(H)))
    at = (pixels + w - centre) / scale  # (N, 2, H, W)
    a = theta.reshape(-1, 2, 3)
    moved = jnp.einsum("nij,njhw->nihw", a[:, :, :2], jnp.broadcast_to(at, (len(a), 2, H, W))) + a[:, :, 2, None, None]
    return (moved - at) * scale


def flow_generator(weights: Weights, x: Array, o: Options) -> Array:
    """The U-Net of Figure 5; see `hstn_ref.models.flow_generator`."""
    _, depth, convs = o.flow_generator

    def block(x, name):
        for i in range(convs):
            x = convolution(weights, f"{name}.{i}", x, padding="same", rectify=True)
        return x

    skips = []
    for level in range(depth):
        x = block(x, f"flow_generator.contract.{level}")
        skips.append(x)
        if o.down == "pool":
            x = ops.max_pool2d(x, 2)
        else:
            halving = {"stride": 2, "padding": ((0, 1), (0, 1)), "rectify": True}
            x = convolution(weights, f"flow_generator.down.{level}", x, **halving)
    x = convolution(weights, "flow_generator.bottleneck", x, rectify=True)
    for level, skip in enumerate(reversed(skips)):
        name = f"flow_generator.up.{level}"
        x = ops.conv_transpose2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2, rectify=True)
        H, W = skip.shape[2:]
        x = x[:, :, :H, :W] if o.crop == "last" else x[:, :, -H:, -W:]
        x = block(jnp.concatenate([skip, x], 1), f"flow_generator.expand.{level}")
    return convolution(weights, "flow_generator.output", x, padding="same")


def penalty(w: Array, o: Options) -> Array:
    """Equation (7)."""
    H, W = o.image_size
    if o.flow_unit == "normalised":
        w = w * jnp.array([2 / (W - 1), 2 / (H - 1)], w.dtype)[:, None, None]
    bending = ops.bending_energy(w, norm=o.norm, form=o.form, reduction=o.reduction)
    return o.alpha * bending + o.beta * ops.smoothness(w, norm=o.norm, reduction=o.reduction)


def convolution(weights: Weights, name: str, x: Array, **options: Any) -> Array:
    return ops.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **options)


def dense(weights: Weights, name: str, x: Array) -> Array:
    return ops.dense(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def conv_padding(o: Options) -> int | str:
    return 0 if o.padding == "valid" else "same"
