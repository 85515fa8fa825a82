"""Align a photograph with a turned, bent copy of itself, and ask where points of it went.

Run: python examples/06_align_two_images.py    writes runs/examples/06_align_two_images.png
"""

from pathlib import Path

import numpy as np

import hstn_ref
from hstn_ref.alignment.output import picture
from hstn_ref.alignment.summary import describe, summary
from hstn_ref.data import Deformation, load_photographs, random_pair
from hstn_ref.plots import save_figure

# a pair whose motion is known: the target shows the source turned by up to 25 degrees, and bent
pair = random_pair(load_photographs()["chelsea"], (128, 128), np.random.default_rng(8), Deformation(rotation=25))

found = hstn_ref.align(pair.source, pair.target)  # channels first, any real dtype
print(describe(summary(found)))

# the motion is in pixels, x first: target(p) ~ source(p + motion(p))
error = np.hypot(*(found.motion - pair.motion))[26:-26, 26:-26]
print(f"mean error in the middle: {error.mean():.2f} of {np.hypot(*pair.motion).mean():.1f} pixels")

eyes = np.array([[50.0, 60.0], [80.0, 58.0]])  # (x, y) in the source
print("points of the source, in the target:", found.warp_points(eyes).round(2).tolist())
print("and back:", found.warp_points(found.warp_points(eyes), to="source").round(2).tolist())

path = Path("runs/examples/06_align_two_images.png")
path.parent.mkdir(parents=True, exist_ok=True)
save_figure(picture(found, pair.source), path)
print("wrote", path)
