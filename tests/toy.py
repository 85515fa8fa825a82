"""A network and data small enough to be trained in a test, with dropout, several layers, and two spare prefixes."""

import dataclasses
import signal
from pathlib import Path

import numpy as np

from autodiff.nn import Dense, Dropout, Flatten, ReLU, Sequential
from hstn_ref import checkpoint
from hstn_ref.data import ArrayDataset, DataSplits
from hstn_ref.models import Network, Outputs


class Toy(Network):
    """Two dense layers on images of 6 x 6 pixels."""

    name = "toy"

    def __init__(self, *, width=12, image_size=(6, 6), dtype=np.float32, rng=0):
        super().__init__(image_size, dtype, {"width": width})
        rng = np.random.default_rng(rng)
        H, W = self.image_size
        self.features = Sequential(
            Flatten(), Dense(H * W, width, rng=rng, dtype=dtype), ReLU(), Dropout(0.2, rng.spawn(1)[0])
        )
        self.head = Dense(width, 10, rng=rng, dtype=dtype)

    def run(self, images):
        return Outputs(self.head(self.features(images)))


def toy_data(train=50, valid=20, test=20, **attributes):
    """Noise, brighter in a row that tells the class: 0 to 5."""
    rng = np.random.default_rng(5)
    splits = []
    for n in (train, valid, test):
        labels = rng.integers(0, 6, n)
        images = rng.integers(0, 120, (n, 6, 6), dtype=np.uint8)
        images[np.arange(n), labels] += 100
        splits.append(ArrayDataset(images, labels))
    return DataSplits(*splits, attributes)


def bits(model):
    """The weights as bytes by name, for comparisons of every bit."""
    return {name: parameter.data.tobytes() for name, parameter in model.named_parameters()}


SHORT = {"epochs": 3, "batch_size": 8, "lr": 1e-2, "quiet": True}  # 50 images: 7 steps an epoch, the last of 2


def without_times(history):
    return [{**dataclasses.asdict(epoch), "images_per_second": 0, "seconds": 0} for epoch in history]


def everything(folder):
    """The bits of a checkpoint: weights, moments, generators, step count, history without times."""
    found = checkpoint.read(Path(folder) / "checkpoint.h5")
    arrays = {"w": found.weights, "m": found.training.m, "v": found.training.v}
    state = {**found.training.state}
    state["sums"] = {**state["sums"], "seconds": 0}
    state["history"] = [{**epoch, "images_per_second": 0, "seconds": 0} for epoch in state["history"]]
    return {k: {name: a.tobytes() for name, a in table.items()} for k, table in arrays.items()}, state


class Watched:
    """A data set that remembers what was asked of it, and calls `at(number)` before each batch."""

    def __init__(self, dataset, at=lambda number: None):
        self.dataset, self.at, self.asked = dataset, at, []

    def __len__(self):
        return len(self.dataset)

    @property
    def image_size(self):
        return self.dataset.image_size

    def batch(self, indices, epoch=0):
        self.asked.append((epoch, np.asarray(indices).tolist()))
        self.at(len(self.asked))
        return self.dataset.batch(indices, epoch)


def watch(data, split, at=lambda number: None):
    watched = Watched(getattr(data, split), at)
    return dataclasses.replace(data, **{split: watched}), watched


def stopping_after(number):
    """Ask to stop during that batch."""
    return lambda now: signal.raise_signal(signal.SIGINT) if now == number else None
