"""Images from files: one, a folder of them, or the photographs that the package carries.

The photographs (`photographs/`, described by `photographs.json`, made by scripts/make_embedded_images.py) are in the
public domain or under CC0. An image is (C, H, W), C = 1 for grey and 3 for colour, uint8, or uint16 where a file has
greys of 16 bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hstn_ref.errors import DataError, DataTypeError, FileError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue, ITU-R BT.601


@contextmanager
def open_image(path: str | os.PathLike[str]) -> Iterator[Image]:
    """A file as Pillow opens it. Raises FileError for whatever Pillow raises, which may be as late as its pixels."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # twice as large it is an error
            image = Image.open(path)
        with image:
            yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FileError(f"{path}: the file cannot be read as an image ({error})") from error


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """The image of a file, (1, H, W) if all its pixels are grey and (3, H, W) otherwise: uint8, or uint16 as below.

    Greys of 16 bits are uint16, with the numbers of the file; of colours of 16 bits Pillow reads the upper 8. Palettes
    are looked up, of several pages the first is read, and what a camera noted of how it was held (EXIF) turns the image
    upright. Raises FileError for a file that is missing or no image, DataError for pixels that are floating-point
    numbers or beyond 16 bits, and for transparent ones: what lies behind them is not known.
    """
    from PIL import ImageOps

    with open_image(path) as image:
        image = ImageOps.exif_transpose(image)
        deep = image.mode in ("F", "I") or image.mode.startswith("I;16")
        pixels = np.asarray(image if deep else image.convert("RGBA"))
    if deep:
        return _sixteen_bits(pixels, path)
    if pixels[..., 3].min() < 255:
        raise DataError(f"{path}: the image has transparent pixels, expected an opaque one")
    rgb = pixels[..., :3].transpose(2, 0, 1)  # (H, W, 4) -> (3, H, W)
    grey = bool((rgb == rgb[:1]).all())
    return np.ascontiguousarray(rgb[:1] if grey else rgb)


def read_folder(folder: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The images of a folder by file name, in the order of their names: read_image of each BMP, JPEG, PNG and TIFF.

    Raises FileError for a missing folder, for a file, and for a folder without images, and whatever read_image raises.
    """
    return dict(each_image(folder))


def each_image(folder: str | os.PathLike[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The names and images of `read_folder`, one at a time: a folder of large ones need not fit into the memory."""
    path = Path(folder)
    if not path.is_dir():
        found = "a file, expected a folder of images" if path.exists() else "there is no such folder"
        raise FileError(f"{folder}: {found}")
    files = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES]
    if not files:
        raise FileError(f"{folder}: the folder has no images, expected files that end in {', '.join(SUFFIXES)}")
    yield from ((p.name, read_image(p)) for p in files)


def load_photographs() -> dict[str, np.ndarray]:
    """The photographs that the package carries, by name, 256x256. Raises DataError if an installed file is damaged."""
    folder = files("hstn_ref.data")
    about = json.loads((folder / "photographs.json").read_text(encoding="utf-8"))["photographs"]
    with as_file(folder / "photographs") as photographs:
        images = read_folder(photographs)
    for name, image in images.items():
        found = hashlib.sha256(np.ascontiguousarray(image.transpose(1, 2, 0)).data).hexdigest()
        if found != about[name]["pixels_sha256"]:
            raise DataError(f"{folder / 'photographs' / name}: the pixels are damaged; install the package again")
    return {name.removesuffix(".png"): image for name, image in images.items()}


def to_grey(image: np.ndarray) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B: (3, H, W) uint8 -> (1, H, W) uint8; grey stays grey.

    Raises DataTypeError for another dtype than uint8; see `to_eight_bits`.
    """
    if image.dtype != np.uint8:
        raise DataTypeError(f"to_grey: the image is {image.dtype}, expected uint8")
    if len(image) == 1:
        return image
    return np.rint(np.tensordot(LUMA, image, 1)).astype(np.uint8)[None]


def to_eight_bits(image: np.ndarray) -> np.ndarray:
    """An image of 16 bits in 8, its darkest pixel 0 and its brightest 255: few cameras fill 16 bits. uint8 stays."""
    if image.dtype == np.uint8:
        return image
    low, high = int(image.min()), int(image.max())
    return np.rint((image.astype(np.float64) - low) * (255 / max(high - low, 1))).astype(np.uint8)


def _sixteen_bits(pixels: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    """(H, W) of any dtype that Pillow has for more than 8 bits -> (1, H, W) uint16."""
    if pixels.dtype.kind == "f":
        raise DataError(f"{path}: the pixels are floating-point numbers, expected 8 or 16 bits")
    if pixels.min() < 0 or pixels.max() > 65535:
        raise DataError(f"{path}: the pixels span {pixels.min()}..{pixels.max()}, expected 0..65535")
    return pixels.astype(np.uint16)[None]
