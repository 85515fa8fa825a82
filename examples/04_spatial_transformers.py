"""What each spatial transformer of the paper does to an image, with transformations set by hand.

Run: python examples/04_spatial_transformers.py    writes runs/examples/04_spatial_transformers.png
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hstn_ref.data import load_embedded
from hstn_ref.models import CSTN, HSTN, ICSTN, TPSSTN, AffineSTN
from hstn_ref.plots import draw_arrows

image = np.pad(load_embedded().test.images[:1, None] / np.float32(255), ((0, 0), (0, 0), (6, 6), (6, 6)))
size = image.shape[2:]
rng = np.random.default_rng(0)


def rotation(degrees, shift=0.0):
    """theta (6,): a rotation about the centre, then a shift along x; half the image is 1."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([c, -s, shift, s, c, 0], np.float32)


def answer(localisation, parameters):
    """The last layer begins with zero weights: until it is trained, its bias is the network's answer to every image."""
    localisation.layers[-1].bias.data = parameters


affine, tps, cascade, recurrent, hstn = networks = (
    AffineSTN(image_size=size),
    TPSSTN(image_size=size),
    CSTN(4, image_size=size),
    ICSTN(4, image_size=size),
    HSTN("tiny", image_size=size),
)
answer(affine.localisation, rotation(20))
answer(tps.localisation, rng.uniform(-0.2, 0.2, 32).astype(np.float32))  # x offsets of 4x4 points, then y offsets
for step, localisation in enumerate(cascade.localisation):
    answer(localisation, rotation(25 - 10 * step, 0.1))  # every step another transformation
answer(recurrent.localisation, rotation(10, 0.1))  # all steps the same
answer(hstn.localisation, rotation(20))
output = hstn.flow_generator.output.weight  # (2, 8, 3, 3), zero at the start: no flow
output.data = np.full_like(output.data, 0.2) * np.array([1, -1], np.float32).reshape(2, 1, 1, 1)  # where there is ink

titles = ["input", "step 1, or linear", "step 2", "step 3", "output", "motion"]
figure = Figure(figsize=(9, 7.5), layout="constrained")
for network, row in zip(networks, figure.subplots(len(networks), len(titles)), strict=True):
    stages = network.eval().stages(image)
    shown = ["input", "linear" if "linear" in stages else "step 1", "step 2", "step 3", "output"]
    for axes, name in zip(row, shown, strict=False):
        if name in stages:
            axes.imshow(stages[name][0, 0], cmap="gray", vmin=0, vmax=1)
    draw_arrows(row[-1], stages["motion"][0], image[0, 0])
    for axes, title in zip(row, titles, strict=True):
        axes.set(xticks=[], yticks=[], title=title if network is affine else "")
        axes.set_frame_on(axes.has_data())
    row[0].set_ylabel(network.title)
    longest = np.hypot(*stages["motion"][0]).max()
    print(f"{network.title:<11} moves a pixel by up to {longest:.1f}")
path = Path("runs/examples/04_spatial_transformers.png")
path.parent.mkdir(parents=True, exist_ok=True)
figure.savefig(path, dpi=120)
print("wrote", path)
