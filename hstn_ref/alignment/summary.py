"""What an alignment found, in numbers and in words: how the source moves to lie upon the target.

(x, y) of the source -> A^-1 (x, y) of the target,   A = Alignment.matrix, with the linear part L
A^-1 has the linear part s R(angle) and a rest that is symmetric, s = det(L)^(-1/2)                    (1)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hstn_ref.alignment.result import Alignment

CONVENTION = {
    "convention": "target(p) ~ source(p + motion(p)), source(q) ~ target(q + inverse(q))",
    "positions": "p = (x, y), x to the right and y down, (0, 0) the middle of the upper left pixel",
    "lengths": "pixels",
    "angles": "degrees, clockwise",
    "matrix": "(x, y, 1) of the target to (x, y) of the source, the affine part of the motion",
}


def summary(found: Alignment) -> dict[str, Any]:
    """Numbers for JSON: lengths in pixels, angles in degrees, residuals in the unit of the images.

    rotation     clockwise as one sees it, y points down; scale > 1 enlarges; shift is that of the image's centre
    contrast     target ~ contrast * warped + brightness
    correlation  of warped and target; size is (width, height)
    """
    L, t = found.matrix[:, :2], found.matrix[:, 2]
    forward = np.linalg.inv(L)
    centre = np.array([found.shape[1] - 1, found.shape[0] - 1]) / 2
    return {
        "rotation": float(np.rad2deg(np.arctan2(forward[1, 0] - forward[0, 1], forward[0, 0] + forward[1, 1]))),
        "scale": float(np.sqrt(abs(np.linalg.det(forward)))),  # (1)
        "shift": (forward @ (centre - t) - centre).tolist(),
        "flow_rms": float(np.sqrt(np.mean(np.sum(found.flow.astype(np.float64) ** 2, axis=0)))),
        "contrast": found.light[0],
        "brightness": found.light[1],
        "correlation": found.correlation,
        "residual_before": found.residual_before,
        "residual": found.residual,
        "folding": found.folding,
        "outside": float(found.outside.mean()),
        "theta": found.theta.tolist(),
        "matrix": found.matrix.tolist(),
        "size": [found.shape[1], found.shape[0]],
        "units": CONVENTION,
    }


def describe(numbers: dict[str, Any], pixel: tuple[float, str] | None = None) -> str:
    """`summary` for a reader, a fact a line; with `pixel`, its size and unit, lengths in that unit as well."""
    x, y = numbers["shift"]
    flow = numbers["flow_rms"]
    physical = ["", ""]
    if pixel is not None:
        size, unit = pixel
        physical = [f": ({x * size:+.4g}, {y * size:+.4g}) {unit}", f": {flow * size:.4g} {unit}"]
    return "\n".join(
        [
            f"rotation     {numbers['rotation']:+.2f} degrees, clockwise",
            f"scale        {numbers['scale']:.4f}",
            f"shift        ({x:+.2f}, {y:+.2f}) pixels of the centre, right and down{physical[0]}",
            f"flow         {flow:.2f} pixels root-mean-square on top of it{physical[1]}",
            f"light        contrast {numbers['contrast']:.3f}, brightness {numbers['brightness']:+.1f} grey levels",
            f"residual     {numbers['residual']:.2f} grey levels, before {numbers['residual_before']:.2f}",
            f"correlation  {numbers['correlation']:.3f}",
            f"folding      {numbers['folding']:.2%} of the image",
            f"outside      {numbers['outside']:.2%} of the target shows nothing of the source",
        ]
    )
