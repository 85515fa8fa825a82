"""The files of an alignment, which are written all or none.

warped.png, outside.png       the source in the frame of the target; white where it shows nothing of the source
alignment.json                the numbers of summary.py with their units, the affine matrix among them; all files
motion, inverse               .flo (Middlebury: "PIEH", width, height, then x and y of every pixel) or .npy, (2, H, W)
jacobian_determinant.npy      (H, W)
alignment.h5                  with the format "h5", all these arrays in one file instead
points.csv, mask.png          the points and the mask of the source, where they lie in the target
picture.png                   source, target, warped, what is left, motion
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hstn_ref import files
from hstn_ref.alignment.companions import png, points_csv
from hstn_ref.alignment.result import Alignment
from hstn_ref.alignment.summary import CONVENTION, summary
from hstn_ref.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("flo", "npy", "h5")
ALWAYS = ("warped.png", "outside.png", "alignment.json", "picture.png")
SOMETIMES = ("jacobian_determinant.npy", "alignment.h5", "points.csv", "mask.png")
NAMES = {*ALWAYS, *SOMETIMES, *(f"{field}.{form}" for field in ("motion", "inverse") for form in ("flo", "npy"))}


def check_folder(folder: Path, inputs: Iterable[Path]) -> None:
    """Raise FileError where `folder` cannot be written to, DataError where it has `inputs` that would be replaced."""
    files.check_folder(folder)
    for path in inputs:
        for result in (folder / name for name in NAMES):
            if path.exists() and result.exists() and path.samefile(result):
                raise DataError(f"{path} would be replaced by a result of that name, expected another folder for them")


def write_alignment(
    found: Alignment,
    source: np.ndarray,
    folder: Path,
    *,
    form: str = "flo",
    points: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the files above, and remove those of an alignment before that are not among them.

    First everything is computed and written beside what is there. alignment.json is the last to take its place, and
    that of before the first to go: so it never tells of files that are not there or not its own, wherever an
    interruption comes.

    source  (C, H, W) uint8 or uint16, what is warped
    form    one of FORMATS
    points  (K, 2) of the source, pixels, x first
    mask    (H, W) labels of the source; 0 is what lies outside
    about   what else alignment.json tells
    """
    from hstn_ref import plots

    contents = {
        "warped.png": png(np.rint(found.warp(source)).astype(source.dtype)),
        "outside.png": png(255 * found.outside[None].astype(np.uint8)),
    }
    fields = {"motion": found.motion, "inverse": found.inverse}
    if form == "h5":
        contents["alignment.h5"] = _hdf5(found, fields)
    else:
        contents |= {f"{name}.{form}": flo(x) if form == "flo" else _npy(x) for name, x in fields.items()}
        contents["jacobian_determinant.npy"] = _npy(found.jacobian_determinant)
    if points is not None:
        contents["points.csv"] = points_csv(found.warp_points(points))
    if mask is not None:
        contents["mask.png"] = png(found.warp(mask, nearest=True, border="zeros")[None])
    contents["picture.png"] = plots.png(picture(found, source))
    written = sorted({*ALWAYS, *contents})
    numbers = {**summary(found), **(about or {}), "files": written}
    text = (json.dumps(numbers, indent=1) + "\n").encode()

    with files.replaced_together(folder, {"alignment.json": text, **contents}):
        before = _listed(folder / "alignment.json")
        (folder / "alignment.json").unlink(missing_ok=True)
        for name in before - set(written):
            (folder / name).unlink(missing_ok=True)


def _listed(path: Path) -> set[str]:
    """The results that an alignment.json lists, none if there is no such file."""
    try:
        return NAMES & {str(name) for name in json.loads(path.read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def flo(motion: np.ndarray) -> bytes:
    """A motion (2, H, W) as a .flo file: little-endian float32, x and y of a pixel side by side, row by row."""
    _, H, W = motion.shape
    return b"PIEH" + np.array([W, H], "<i4").tobytes() + motion.transpose(1, 2, 0).astype("<f4").tobytes()


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
    white = 255 if source.dtype == np.uint8 else max(image.max() for image in shown.values())
    for axis, (title, image) in zip(axes, shown.items(), strict=False):
        rgb = np.broadcast_to(image.reshape(-1, H, W), (3, H, W)).transpose(1, 2, 0)
        axis.imshow((rgb / white).clip(0, 1))
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


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def _hdf5(found: Alignment, fields: dict[str, np.ndarray]) -> bytes:
    import h5py

    arrays = {
        **fields,
        "flow": found.flow,
        "theta": found.theta,
        "matrix": found.matrix,
        "jacobian_determinant": found.jacobian_determinant,
        "outside": found.outside,
    }
    content = io.BytesIO()  # on a full disk the HDF5 library crashes
    with h5py.File(content, "w") as file:
        file.attrs.update(CONVENTION)
        for name, array in arrays.items():
            file[name] = array
    return content.getvalue()
