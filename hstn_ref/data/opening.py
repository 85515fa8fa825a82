"""From what a user names, a folder or a file, to data sets."""

from __future__ import annotations

import os
from pathlib import Path

from hstn_ref.data.checks import natural
from hstn_ref.data.clutter import Clutter
from hstn_ref.data.datasets import ClutteredDigits, DataSplits
from hstn_ref.data.digits import DigitSplits, load_embedded, load_mnist
from hstn_ref.data.hdf5 import read_hdf5
from hstn_ref.data.npz import read_npz
from hstn_ref.errors import DataError, FileError

EMBEDDED = "embedded"


def open_data(
    spec: str | os.PathLike[str] = EMBEDDED,
    *,
    seed: int = 0,
    fresh: bool = True,
    clutter: Clutter | None = None,
) -> DataSplits:
    """The training, validation and test split of a data set.

    `spec` is "embedded" (the digits that the package carries), a folder with the IDX files of MNIST, an .npz
    file of the published layout, or an .h5 file of `write_dataset`.

    Digits are put among clutter: by default on 60x60 canvases with six 8x8 patches, as in the paper. With
    `fresh`, every epoch of the training split has other canvases; those of the validation and the test split
    never change. A file contains its canvases already, so `seed` and `fresh` are without effect on it, and
    `clutter` is an error.

    Raises FileError, DataError or DataTypeError (each also an OSError, ValueError or TypeError), in one
    sentence.
    """
    source = open_source(spec)
    if isinstance(source, DataSplits):
        if clutter is not None:
            raise DataError(f"{spec}: the file contains its canvases already, {clutter} cannot be applied to it")
        return source
    clutter = clutter or Clutter()
    train, valid, test = (
        ClutteredDigits(*digits, seed=seed, stream=stream, fresh=fresh and stream == 0, clutter=clutter)
        for stream, digits in enumerate(source)
    )
    attributes: dict[str, str | int] = {
        "kind": "cluttered digits",
        "generator": "hstn_ref.data.clutter 1",
        "seed": natural(seed, name="seed"),
        "distractors": clutter.distractors,
        "patch": clutter.patch,
        **digits_attributes(spec, source),
    }
    return DataSplits(train, valid, test, attributes)


def open_source(spec: str | os.PathLike[str]) -> DataSplits | DigitSplits:
    """The canvases in a file, or the digits in a folder or in the package."""
    if spec == EMBEDDED:
        return load_embedded()
    path = Path(spec)
    if path.is_dir():
        return load_mnist(path)
    if not path.is_file():
        raise FileError(
            f"cannot read {spec}: there is no such file or folder; expected '{EMBEDDED}', a folder with the "
            "IDX files of MNIST, an .npz file or an .h5 file"
        )
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix in (".h5", ".hdf5"):
        return read_hdf5(path)
    raise DataError(f"{spec}: the file's name ends in '{path.suffix}', expected .npz, .h5 or .hdf5")


def digits_attributes(spec: str | os.PathLike[str], digits: DigitSplits) -> dict[str, str]:
    source = "digits of the package" if spec == EMBEDDED else f"IDX files of {Path(spec).resolve().name}"
    return {"source": source, "source_sha256": digits.sha256()}
