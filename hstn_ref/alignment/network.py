"""The motion that a trained network finds, `models.build(..., task="align")`, for images of any size.

A network has one size (h, w). Both images are resampled to it, and its motion is led back to the size (H, W) of the
images: with pixel centres aligned as in flow/pyramid.py, x' = (x + 1/2) s - 1/2, lengths grow by s = (W/w, H/h), and in
normalised coordinates, with one entry an axis,

    r = s (w - 1) / (W - 1)         how long a unit of before is now; A and t the parts of theta
    A'_ij = A_ij r_i / r_j,  t'_i = t_i r_i                                                                (1)

The affine part is led back by (1), so that it goes on beyond the outermost pixels of the small images, the rest pixel
by pixel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autodiff import no_grad
from hstn_ref import models
from hstn_ref.alignment.result import Answer, split
from hstn_ref.data.images import LUMA
from hstn_ref.flow.pyramid import resize, resize_motion


def load_aligner(checkpoint: str | Path | None) -> models.SpatialTransformer:
    """The network of a checkpoint, the one that the package carries if None.

    Raises FileError or DataError as `models.load`, ValueError for a network that classifies.
    """
    path = "align" if checkpoint is None else checkpoint
    model = models.load(path)
    if not isinstance(model, models.SpatialTransformer) or model.task != "align":
        raise ValueError(f"align: {path} holds the {model.name} of a classifier, expected one of the task 'align'")
    return model


def network_answer(model: models.SpatialTransformer, source: np.ndarray, target: np.ndarray) -> Answer:
    """theta and flow that a network finds; images (C, H, W) float32, 0..255."""
    size, shape = model.image_size, target.shape[1:]
    pair = [resize(_with_channels(image, model.options["channels"]), size) / 255 for image in (source, target)]
    with no_grad():
        motion = model.motion(*(image[None].clip(0, 1) for image in pair)).data[0]
    theta, rest = split(motion)
    return rescaled(theta, size, shape), resize_motion(rest, shape)


def rescaled(theta: np.ndarray, size: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """theta (6,) of images of `size` for the same images in another `shape`: (1), float32."""
    (h, w), (H, W) = size, shape
    r = np.array([W / w * (w - 1) / (W - 1), H / h * (h - 1) / (H - 1)])
    parts = theta.astype(np.float64).reshape(2, 3)
    A, t = parts[:, :2] * r[:, None] / r, parts[:, 2] * r  # (1)
    return np.column_stack([A, t]).ravel().astype(np.float32)


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """The image (C, H, W) in grey or colour."""
    if len(image) == channels:
        return image
    return np.tensordot(LUMA.astype(image.dtype), image, 1)[None] if channels == 1 else np.repeat(image, 3, axis=0)
