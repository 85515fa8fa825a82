"""Small data sets for the tests, and where the full MNIST may be."""

import gzip
import os
from pathlib import Path

import numpy as np

from hstn_ref.data import ArrayDataset, DataSplits, DigitSplits, load_embedded, load_mnist

_FULL = Path(os.environ.get("HSTN_MNIST") or Path(__file__).parents[3] / "shared" / "data" / "mnist")
FULL_MNIST = [str(_FULL)] if _FULL.is_dir() else []  # a parameter of some tests, if it is there


def load(source: str) -> DigitSplits:
    return load_embedded() if source == "embedded" else load_mnist(source)


def idx_bytes(array: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    header = [0, 0, 8, array.ndim, *np.array(array.shape, ">u4").tobytes()]
    return bytes(header) + array.astype(np.uint8).tobytes()


def digits(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random blots (n, 28, 28) with labels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    images[rng.random(images.shape) < 0.5] = 0
    return images, rng.integers(0, 10, count, dtype=np.uint8)


def mnist_folder(folder: Path, train: int = 12, test: int = 5, *, pack: bool = True, dotted: bool = False) -> Path:
    """The four files, with so many digits."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate([("train", train), ("t10k", test)]):
        for kind, array in zip(("images-idx3", "labels-idx1"), digits(count, seed), strict=True):
            content = idx_bytes(array)
            file_name = f"{name}-{kind}-ubyte{'.gz' * pack}"
            if dotted:
                file_name = file_name.replace("-idx", ".idx")
            (folder / file_name).write_bytes(gzip.compress(content) if pack else content)
    return folder


def small_splits(**attributes: str | int) -> DataSplits:
    """Grey levels of 9 x 7 pixels, more images than a block has in the training split."""
    rng = np.random.default_rng(3)
    train, valid, test = (
        ArrayDataset(rng.integers(0, 256, (n, 9, 7), dtype=np.uint8), rng.integers(0, 10, n)) for n in (300, 5, 4)
    )
    return DataSplits(train, valid, test, attributes)
