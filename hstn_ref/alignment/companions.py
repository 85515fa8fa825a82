"""What goes along with an image to be aligned: points and a mask, from files and into files."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

import numpy as np

from hstn_ref.data.images import open_image
from hstn_ref.errors import DataError, FileError


def read_points(path: str | os.PathLike[str]) -> np.ndarray:
    """Points (K, 2) of a file with two numbers a line, x,y; a first line without numbers is skipped.

    Raises FileError for a file that cannot be read, DataError naming a line that is no point.
    """
    try:
        rows = list(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: the points cannot be read ({error})") from error
    points = []
    for n, row in enumerate(rows):
        try:
            x, y = map(float, row)
        except ValueError as error:
            if not "".join(row).strip() or (n == 0 and not any(map(_is_number, re.split(r"[,;\s]", ",".join(row))))):
                continue
            line = ",".join(row)
            shown = line if len(line) < 60 else f"{line[:60]}..."
            raise DataError(f"{path}: line {n + 1} is {shown!r}, expected two numbers, x,y") from error
        if not np.isfinite((x, y)).all():
            raise DataError(f"{path}: line {n + 1} is {','.join(row)!r}, expected two finite numbers, x,y")
        points.append((x, y))
    if not points:
        raise DataError(f"{path}: the file has no points, expected lines of two numbers, x,y")
    return np.array(points)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def points_csv(points: np.ndarray) -> bytes:
    """Points (K, 2) as read_points reads them, with the first line x,y."""
    return "".join(["x,y\n", *(f"{x:.4f},{y:.4f}\n" for x, y in points)]).encode()


def resampled_points(points: np.ndarray, size: tuple[int, int], new_size: tuple[int, int]) -> np.ndarray:
    """Points (K, 2) of an image of `size`, (height, width), after it was resampled to `new_size`; (0, 0) is the middle
    of a pixel.
    """
    (h, w), (H, W) = size, new_size
    return (points + 0.5) * (W / w, H / h) - 0.5


def read_mask(path: str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """The labels (H, W) of a file, uint8 or uint16 as they are stored: of a palette the indices, not the colours.

    Raises FileError for a file that is missing or no image, DataError for one with several channels or of another size
    than (H, W).
    """
    with open_image(path) as image:
        mode, mask = image.mode, np.asarray(image)
    if mask.ndim != 2 or mode == "F":
        raise DataError(f"{path}: the pixels are {mode}, expected a mask of one channel, whole numbers")
    if mask.shape != size:
        (h, w), (H, W) = mask.shape, size
        raise DataError(f"{path}: the mask has {w}x{h} pixels, expected {W}x{H}, those of SOURCE")
    if mask.min() < 0 or mask.max() > 65535:
        raise DataError(f"{path}: the labels span {mask.min()}..{mask.max()}, expected 0..65535")
    return mask.astype(np.uint8 if mask.max() < 256 else np.uint16)


def resampled_mask(mask: np.ndarray, new_size: tuple[int, int]) -> np.ndarray:
    """A mask (h, w) with the nearest labels at (H, W) pixels."""
    rows, columns = (((np.arange(N) + 0.5) * n / N).astype(int) for n, N in zip(mask.shape, new_size, strict=True))
    return mask[rows[:, None], columns]


def png(image: np.ndarray) -> bytes:
    """An image (C, H, W), C = 1 or 3, uint8, or of one channel uint16."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(content, "PNG")
    return content.getvalue()
