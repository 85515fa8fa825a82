"""Where the digits are that a classifier sees, and how well it does if they are in the middle.

    .venv/bin/python scripts/centring.py --data ../shared/data/mnist

Digits stand anywhere on their canvas: along each side the place of their middle has a standard deviation of 9.5 pixels.
A spatial transformer may move them to one place. For every network of `--models`, names of the package or checkpoints,
this finds where the middle of each test digit is in what its classifier sees: standard deviations in pixels along x and
y, and the size that a pixel of the output has in the image, the root of the Jacobian determinant of p -> p + motion(p)
there (below 1: the digit is magnified).

`--oracle` trains the CNN of the paper, by the recipe of `hstn table1 --config short`, on images that are moved and
magnified by what is known of them instead of by a network: digits are in the middle but for a random error of `--error`
pixels along each side, and a pixel is as large as `--scale` of the image. It says what a perfect localisation network
could do for its classifier.

Writes networks.json or oracle.json into docs/results/centring/, or into `--out`.
"""

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from autodiff import no_grad
from autodiff.ops import bilinear_sample
from hstn_ref import evaluate, fit, machine, models
from hstn_ref.data import ClutteredDigits, DataSplits, open_data
from hstn_ref.evaluation import mode
from hstn_ref.files import write_bytes
from hstn_ref.motion import affine_motion
from hstn_ref.table1 import configuration

ROOT = Path(__file__).resolve().parents[1]
RECIPE = "short"
NETWORKS = [name for name in models.TABLE_1 if name != "cnn"]
BATCH = 128


class Centred:
    """The images of a data set, moved and magnified so that digits are in the middle but for a random error."""

    def __init__(self, dataset: ClutteredDigits, scale: float, error: float, seed: int):
        self.dataset, self.image_size = dataset, dataset.image_size
        self.scale, self.error, self.seed = scale, error, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Any, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self.dataset.batch(indices, epoch)
        errors = [np.random.default_rng([self.seed, epoch, i]).normal(0, self.error, 2) for i in np.asarray(indices)]
        half = (np.array(self.image_size) - 1) / 2
        y, x = ((self.dataset.middles(indices, epoch) + errors) / half - 1).T  # normalised
        zero, scale = np.zeros_like(x), np.full_like(x, self.scale)
        theta = np.stack([scale, zero, x, zero, scale, y], axis=1).astype(np.float32)
        with no_grad():
            return bilinear_sample(images, affine_motion(theta, self.image_size)).data, labels


def landing(model: models.Network, dataset: ClutteredDigits) -> dict[str, list[float] | float]:
    """Where the middles of the digits of a data set are in what the classifier of a network sees."""
    places, sizes = [], []
    for start in range(0, len(dataset), BATCH):
        indices = np.arange(start, min(start + BATCH, len(dataset)))
        middles = dataset.middles(indices)
        with no_grad(), mode(model, training=False):
            motion = np.asarray(model.motion(dataset.batch(indices)[0]).data, np.float64)
        _, _, H, W = motion.shape
        y, x = np.mgrid[:H, :W]
        seen = np.stack([y + motion[:, 1], x + motion[:, 0]], axis=1)  # (B, 2, H, W): the pixel of the image
        distance = np.square(seen - middles[:, :, None, None]).sum(axis=1)
        nearest = distance.reshape(len(indices), -1).argmin(axis=1)
        inside = np.stack([(nearest // W).clip(1, H - 2), (nearest % W).clip(1, W - 2)], axis=1)
        for image, middle, (row, col) in zip(seen, middles, inside, strict=True):
            down = (image[:, row + 1, col] - image[:, row - 1, col]) / 2
            right = (image[:, row, col + 1] - image[:, row, col - 1]) / 2
            jacobian = np.stack([down, right], axis=1)
            sizes.append(np.sqrt(abs(np.linalg.det(jacobian))))
            between = np.linalg.solve(jacobian, middle - image[:, row, col])
            places.append(np.array([row, col]) + between)
    spread = np.std(places, axis=0)
    return {"sd": [round(float(spread[1]), 3), round(float(spread[0]), 3)], "size": round(float(np.mean(sizes)), 4)}


def oracle(data: DataSplits, options: argparse.Namespace) -> dict[str, Any]:
    """The CNN trained and tested on centred images."""
    run = configuration.read(RECIPE).run("cnn", options.seed)
    splits = (Centred(split, options.scale, options.error, i) for i, (_, split) in enumerate(data.items()))
    centred = DataSplits(*splits, data.attributes)
    model = models.build("cnn", rng=options.seed, **run.model.options)
    recipe = asdict(run.training)
    if options.epochs is not None:
        recipe["epochs"] = options.epochs
    result = fit(model, centred, **recipe, quiet=options.quiet)
    found = evaluate(model, centred.test)
    valid = result.history[-1]
    return {
        "recipe": recipe,
        "scale": options.scale,
        "error": options.error,
        "accuracy": found.accuracy,
        "cross_entropy": found.cross_entropy,
        "valid_accuracy": valid.valid_accuracy,
        "valid_cross_entropy": valid.valid_cross_entropy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="embedded", help="of MNIST; files of canvases do not tell where digits are")
    parser.add_argument("--models", nargs="+", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--oracle", action="store_true", help="train the CNN on centred digits")
    parser.add_argument("--scale", type=float, default=0.6, help="of --oracle")
    parser.add_argument("--error", type=float, default=1.0, help="of --oracle, in pixels")
    parser.add_argument("--epochs", type=int, help="of --oracle, instead of those of the recipe")
    parser.add_argument("--seed", type=int, default=0, help="of data, weights and errors")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "centring")
    options = parser.parse_args()
    machine.set_threads(options.threads)
    data = open_data(options.data, seed=options.seed)
    if not isinstance(data.test, ClutteredDigits):
        parser.error(f"--data: {options.data} does not tell where its digits are; expected MNIST or 'embedded'")
    if options.oracle:
        name, found = "oracle.json", oracle(data, options)
    else:
        nowhere = np.std(data.test.middles(np.arange(len(data.test))), axis=0)
        found = {"no motion": {"sd": [round(float(nowhere[1]), 3), round(float(nowhere[0]), 3)], "size": 1.0}}
        for network in options.models:
            found[network] = landing(models.load(network), data.test)
            print(network, found[network], flush=True)
        name = "networks.json"
    print(json.dumps(found))
    content = {**machine.origin(shlex.join(["python", *sys.argv])), "results": found}
    options.out.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out / name, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
