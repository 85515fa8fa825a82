"""Motion fields: where each output pixel takes its value from.

A motion is (N, 2, H, W) in pixels, channel 0 along x (columns), channel 1 along y (rows): output pixel p takes the
value of the image at p + motion(p).
"""

from .affine import affine_motion, identity_theta

__all__ = ["affine_motion", "identity_theta"]
