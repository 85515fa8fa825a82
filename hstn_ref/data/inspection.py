"""Facts about a data set, for `hstn data inspect`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from hstn_ref.data.checks import CLASSES
from hstn_ref.data.datasets import ArrayDataset, Dataset, DataSplits
from hstn_ref.data.hdf5 import blocks
from hstn_ref.data.opening import digits_attributes, open_source


def inspect(spec: str | os.PathLike[str]) -> dict[str, Any]:
    """What `open_data` would find at `spec`; digits as they are, without clutter. Plain values, fit for JSON.

        {"path": str, "image_size": [H, W], "attributes": {"kind": str, "seed": int, ...}, "splits": {
            "train": {"images": n, "per_class": [n0, ..., n9], "mean": m, "std": s, "positive": p}, ...}}

    Mean and standard deviation are of the pixels, `positive` is the fraction of them above 0. Raises as
    `open_data`.
    """
    source = open_source(spec)
    if not isinstance(source, DataSplits):
        attributes = {"kind": "digits", **digits_attributes(spec, source)}
        train, valid, test = (ArrayDataset(*digits) for digits in source)
        source = DataSplits(train, valid, test, attributes)
    return {
        "path": os.fspath(spec),
        "image_size": list(source.image_size),
        "attributes": dict(source.attributes),
        "splits": {name: summary(split) for name, split in source.items()},
    }


def summary(dataset: Dataset) -> dict[str, Any]:
    """Count and statistics of one split, read a block at a time."""
    per_class = np.zeros(CLASSES, np.int64)
    total = squares = 0.0
    positive = 0
    for block in blocks(len(dataset)):
        images, labels = dataset.batch(block)
        per_class += np.bincount(labels, minlength=CLASSES)
        total += float(images.sum(dtype=np.float64))
        squares += float(np.square(images, dtype=np.float64).sum())
        positive += int(np.count_nonzero(images))
    pixels = len(dataset) * dataset.image_size[0] * dataset.image_size[1]
    mean = total / pixels
    return {
        "images": len(dataset),
        "per_class": per_class.tolist(),
        "mean": mean,
        "std": max(squares / pixels - mean * mean, 0.0) ** 0.5,
        "positive": positive / pixels,
    }
