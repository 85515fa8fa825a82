"""The sampler at integers and beyond the borders, and the coordinates of theta."""

from __future__ import annotations

import numpy as np

from hstn_ref.motion import affine_motion

from .probe import Probe, row, value


def sampler() -> list[Probe]:
    image = np.broadcast_to(np.arange(1.0, 6) ** 2, (1, 1, 5, 5)).copy()
    pixels = np.stack([np.arange(9.0), np.zeros(9)]).reshape(1, 2, 1, 9)
    motion = np.stack([np.arange(-2.0, 7), np.full(9, 2.0)]).reshape(1, 2, 1, 9) - pixels
    between = motion + np.array([0.25, 0]).reshape(1, 2, 1, 1)

    def probe(question, border, *arrays, show=value, **options):
        fun = border if callable(border) else lambda ops, *xs: ops.bilinear_sample(*xs, border=border)
        return Probe("Sampler", question, fun, arrays, show, **options)

    def at(moved):
        """The edge sampler at positions that are computed from those of the motion; 4 is the last pixel."""
        return lambda ops, image, w: ops.bilinear_sample(image, moved(ops, w + pixels) - pixels, border="edge")

    def clamped(ops, x):
        return ops.subtract(4.0, ops.maximum(0.0, ops.subtract(4.0, ops.maximum(0.0, x))))

    def mirrored(ops, x):
        return ops.subtract(4.0, ops.abs(ops.subtract(4.0, ops.abs(x))))

    def mirrored_about_edges(ops, x):
        return ops.subtract(4.5, ops.abs(ops.subtract(5.0, ops.abs(x + 0.5))))

    def slopes(y, gradients):
        return gradients[1][0, 0, 0]

    def from_the_right(y, gradients):
        return "all" if np.allclose(slopes(y, gradients)[:-1], squares_slopes) else "not all"

    squares, squares_slopes = np.broadcast_to(np.arange(60.0) ** 2, (1, 1, 3, 60)).copy(), 2 * np.arange(59.0) + 1
    text, values = "slopes at x = -2, -1, ..., 6 of the row 1 4 9 16 25", "that row at x = -1.75, -0.75, ..., 6.25"
    lacks = {"jax": "no such option"}
    return [
        probe(f'{text}: `border="zeros"`, "zeros", "constant"', "zeros", image, motion, show=slopes),
        probe(
            f'{text}: `border="edge"`, "border", "nearest"',
            "edge",
            image,
            motion,
            show=slopes,
            like={"torch": ("x clamped by maximum(0, x)", at(clamped))},
        ),
        probe(
            f'{text}: `border="reflect"`, "reflection", "mirror"',
            "reflect",
            image,
            motion,
            show=slopes,
            like={"torch": ("x mirrored by abs(x)", at(mirrored))},
        ),
        probe(f"{values}: zeros", "zeros", image, between),
        probe(f"{values}: edge", "edge", image, between),
        probe(f"{values}: reflect", "reflect", image, between),
        probe(
            f"{values}: edge, align_corners=False", "edge", image, between, native={"torch": "edge_half"}, lacks=lacks
        ),
        probe(
            f"{values}: reflect, align_corners=False",
            "reflect",
            image,
            between,
            native={"torch": "reflect_half"},
            lacks=lacks,
            like={"torch": ("x mirrored by abs(x + 1/2)", at(mirrored_about_edges))},
        ),
        probe(
            "the identity, from F.affine_grid or zero motion, on a row of 60: are the slopes those to the right?",
            "zeros",
            squares,
            np.zeros((1, 2, 3, 60)),
            show=from_the_right,
            native={"torch": "identity"},
        ),
        probe("the row 1 inf 3 at its pixels", "zeros", row(1, np.inf, 3).repeat(3, 2), np.zeros((1, 2, 1, 3))),
        probe("an image of ones at x = NaN", "zeros", np.ones((1, 1, 3, 3)), np.full((1, 2, 1, 1), np.nan)),
        *_affine(),
    ]


def _affine() -> list[Probe]:
    """theta on images of 4 x 5 pixels."""
    H, W = 4, 5
    image = np.broadcast_to(np.arange(1.0, 6) ** 2, (1, 1, H, W)).copy()
    theta = np.array([[1, 0.25, 0.5, 0, 1, 0]])
    halves = np.array([1, W / H * (H - 1) / (W - 1), W / (W - 1), H / W * (W - 1) / (H - 1), 1, H / (H - 1)])

    def warped(ops, image, theta):
        return ops.bilinear_sample(image, affine_motion(theta, (H, W)))

    def first_row(y, gradients):
        return y[0, 0, 0]

    question = "the first row of a 4 x 5 image of the squares under theta = (1, 1/4, 1/2, 0, 1, 0)"
    lacks = {"jax": "has no theta"}
    factors = "theta times (1, W (H-1) / (H (W-1)), W / (W-1), H (W-1) / (W (H-1)), 1, H / (H-1))"
    like = {"torch": (factors, lambda ops, image, theta: warped(ops, image, theta * halves))}
    arrays = image, theta
    return [
        Probe("Sampler", f"{question}: align_corners=True", warped, arrays, first_row, {"torch": "corners"}, lacks),
        Probe("Sampler", "the same: align_corners=False", warped, arrays, first_row, {"torch": "half"}, lacks, like),
    ]
