"""Warp a digit by an affine motion, a flow, and both, and ask how the result changes with the angle.

Run: python examples/02_warp_an_image.py    writes runs/examples/02_warp_an_image.png
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autodiff import Tensor, grad
from autodiff.ops import bilinear_sample
from hstn_ref.data import load_embedded
from hstn_ref.motion import affine_motion

image = np.pad(load_embedded().test.images[:1, None] / 255.0, ((0, 0), (0, 0), (6, 6), (6, 6)))  # (1, 1, 40, 40)
size = image.shape[2:]


def rotation(angle):
    """theta (1, 6) of a rotation by `angle` radians about the centre."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0, s, c, 0]])


# a motion field is (N, 2, H, W) in pixels: channel 0 along x, channel 1 along y
y, x = np.mgrid[: size[0], : size[1]]
wave = 2.5 * np.stack([np.sin(y / 4.0), np.cos(x / 5.0)])[None]

linear = affine_motion(rotation(0.5), size)  # equation (5)
both = linear + wave  # equation (3): one resampling by the sum
warped = [bilinear_sample(image, motion).data for motion in (np.zeros_like(wave), linear, wave, both)]

# the derivative of every warped pixel along the angle, as the sampler's gradient gives it for one of them
theta = Tensor(rotation(0.5), requires_grad=True)
pixel = bilinear_sample(image, affine_motion(theta, size))[0, 0, 16, 14]
print("gradient of pixel (14, 16) to theta:", grad(pixel, theta).data.round(3))

figure = Figure(figsize=(10, 3), layout="constrained")
for axes, picture, title in zip(
    figure.subplots(1, 4), warped, ["image", "affine", "flow", "affine + flow"], strict=True
):
    axes.imshow(picture[0, 0], cmap="gray", vmin=0, vmax=1)
    axes.set_title(title)
    axes.set_axis_off()
path = Path("runs/examples/02_warp_an_image.png")
path.parent.mkdir(parents=True, exist_ok=True)
figure.savefig(path, dpi=120)
print("wrote", path)
