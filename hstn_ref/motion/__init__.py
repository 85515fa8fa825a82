"""Motion fields: where each output pixel takes its value from.

A motion is (N, 2, H, W) in pixels, channel 0 along x (columns), channel 1 along y (rows): output pixel p takes the
value of the image at p + motion(p).
"""

from .affine import affine_motion, compose_theta, identity_theta, inverse_theta
from .composition import NotConverged, compose, inverse, inverse_residual
from .conventions import (
    from_dense_image_warp,
    from_grid_sample,
    from_voxelmorph,
    to_dense_image_warp,
    to_grid_sample,
    to_voxelmorph,
)
from .jacobian import folding_fraction, jacobian_determinant
from .thin_plate_spline import control_points, tps_motion

__all__ = [
    "NotConverged",
    "affine_motion",
    "compose",
    "compose_theta",
    "control_points",
    "folding_fraction",
    "from_dense_image_warp",
    "from_grid_sample",
    "from_voxelmorph",
    "identity_theta",
    "inverse",
    "inverse_residual",
    "inverse_theta",
    "jacobian_determinant",
    "to_dense_image_warp",
    "to_grid_sample",
    "to_voxelmorph",
    "tps_motion",
]
