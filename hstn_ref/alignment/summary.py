"""What an alignment found, in numbers and in words: how the source moves to lie upon the target.

(x, y) of the source -> A^-1 (x, y) of the target,   A = Alignment.matrix, with the linear part L
A^-1 has the linear part s R(angle) and a rest that is symmetric, s = det(L)^(-1/2)                    (1)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hstn_ref.alignment.result import Alignment


def summary(found: Alignment) -> dict[str, Any]:
    """Numbers for JSON: lengths in pixels, angles in degrees, residuals in the unit of the images.

    rotation     clockwise as one sees it, y points down; scale > 1 enlarges; shift is that of the image's centre
    contrast     target ~ contrast * warped + brightness
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
        "residual_before": found.residual_before,
        "residual": found.residual,
        "folding": found.folding,
        "outside": float(found.outside.mean()),
        "theta": found.theta.tolist(),
        "matrix": found.matrix.tolist(),
    }


def describe(numbers: dict[str, Any]) -> str:
    """`summary` for a reader, a fact a line."""
    x, y = numbers["shift"]
    return "\n".join(
        [
            f"rotation    {numbers['rotation']:+.2f} degrees, clockwise",
            f"scale       {numbers['scale']:.4f}",
            f"shift       ({x:+.2f}, {y:+.2f}) pixels of the centre, right and down",
            f"flow        {numbers['flow_rms']:.2f} pixels root-mean-square on top of it",
            f"light       contrast {numbers['contrast']:.3f}, brightness {numbers['brightness']:+.1f} grey levels",
            f"residual    {numbers['residual']:.2f} grey levels, before {numbers['residual_before']:.2f}",
            f"folding     {numbers['folding']:.2%} of the image",
            f"outside     {numbers['outside']:.2%} of the target shows nothing of the source",
        ]
    )
