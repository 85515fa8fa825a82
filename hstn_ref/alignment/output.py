"""The files of an alignment. Each is written whole or not at all.

warped.png, outside.png       the source in the frame of the target; white where it shows nothing of the source
alignment.json                the numbers of summary.py, the affine matrix among them
motion, inverse               .flo (Middlebury: "PIEH", width, height, then x and y of every pixel) or .npy, (2, H, W)
jacobian_determinant.npy      (H, W)
alignment.h5                  with the format "h5", all these arrays in one file instead
picture.png                   source, target, warped, what is left, motion
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hstn_ref.alignment.result import Alignment
from hstn_ref.alignment.summary import summary
from hstn_ref.errors import DataError, FileError
from hstn_ref.files import atomic_write, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("flo", "npy", "h5")


def write_alignment(found: Alignment, source: np.ndarray, folder: Path, *, form: str = "flo") -> None:
    """Write the files above, `source` (C, H, W) uint8 being what is warped. `form` is one of FORMATS."""
    from hstn_ref.plots import save_figure

    fields = {"motion": found.motion, "inverse": found.inverse}
    write_bytes(folder / "warped.png", _png(np.rint(found.warp(source)).astype(np.uint8)))
    write_bytes(folder / "outside.png", _png(255 * found.outside[None].astype(np.uint8)))
    write_bytes(folder / "alignment.json", (json.dumps(summary(found), indent=1) + "\n").encode())
    if form == "h5":
        _write_hdf5(folder / "alignment.h5", found, fields)
    else:
        for name, field in fields.items():
            write_bytes(folder / f"{name}.{form}", flo(field) if form == "flo" else _npy(field))
        write_bytes(folder / "jacobian_determinant.npy", _npy(found.jacobian_determinant))
    save_figure(picture(found, source), folder / "picture.png")


def flo(motion: np.ndarray) -> bytes:
    """A motion (2, H, W) as a .flo file: little-endian float32, x and y of a pixel side by side, row by row."""
    _, H, W = motion.shape
    return b"PIEH" + np.array([W, H], "<i4").tobytes() + motion.transpose(1, 2, 0).astype("<f4").tobytes()


def read_points(path: Path) -> np.ndarray:
    """Points (K, 2) of a file with two numbers a line, x,y; a first line of words is skipped.

    Raises FileError for a file that cannot be read, DataError naming a line that is no point.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: the points cannot be read ({error})") from error
    points = []
    for n, row in enumerate(rows):
        try:
            x, y = map(float, row)
        except ValueError as error:
            if n == 0 or not row:
                continue
            raise DataError(f"{path}: line {n + 1} is {','.join(row)!r}, expected two numbers, x,y") from error
        points.append((x, y))
    found = np.array(points).reshape(-1, 2)
    if not len(found) or not np.isfinite(found).all():
        raise DataError(f"{path}: expected lines of two finite numbers, x,y")
    return found


def write_points(points: np.ndarray, path: Path) -> None:
    """Points (K, 2) as read_points reads them, with the first line x,y."""
    write_bytes(path, "".join(["x,y\n", *(f"{x:.4f},{y:.4f}\n" for x, y in points)]).encode())


def picture(found: Alignment, source: np.ndarray) -> Figure:
    """source, target, warped, the difference before and after, and the motion as colours."""
    from matplotlib.figure import Figure

    from hstn_ref.plots import draw_motion, longest

    H, W = found.shape
    warped, target = found.warp(source), found.target.reshape(-1, H, W)
    before, after = (abs(image.astype(float) - target).mean(axis=0) for image in (found.source, found.warped))
    figure = Figure(figsize=(12, 12 * H / W / 6 + 0.5), layout="constrained")
    axes = figure.subplots(1, 6)
    shown = {"source": source, "target": target, "warped source": warped}
    for axis, (title, image) in zip(axes, shown.items(), strict=False):
        rgb = np.broadcast_to(image.reshape(-1, H, W), (3, H, W)).transpose(1, 2, 0)
        axis.imshow(np.rint(rgb).astype(np.uint8))
        axis.set_title(title, fontsize=9)
    for axis, title, left in ((axes[3], "difference before", before), (axes[4], "difference after", after)):
        axis.imshow(np.where(found.outside, 0, left), cmap="gray", vmin=0, vmax=max(before.max(), 1e-9))
        axis.set_title(title, fontsize=9)
    radius = longest(found.motion)
    draw_motion(axes[5], found.motion, radius)
    axes[5].set_title(f"motion, up to {radius:.1f} px", fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    return figure


def _png(image: np.ndarray) -> bytes:
    """An image (C, H, W) uint8, C = 1 or 3."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(content, "PNG")
    return content.getvalue()


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def _write_hdf5(path: Path, found: Alignment, fields: dict[str, np.ndarray]) -> None:
    import h5py

    arrays = {
        **fields,
        "flow": found.flow,
        "theta": found.theta,
        "matrix": found.matrix,
        "jacobian_determinant": found.jacobian_determinant,
        "outside": found.outside,
    }
    with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
        for name, array in arrays.items():
            file[name] = array
