"""Try `hstn align` as its user would: three photographs of the package, each deformed as a second photograph would be.

    .venv/bin/python scripts/align_photographs.py

The pairs are 256x256 pixels, in colour. SciPy's cubic splines deform them, so nothing of what is judged makes them.
Writes docs/results/align/NAME.png, the picture that the command draws, and docs/results/align/README.md.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from hstn_ref.cli import main as hstn
from hstn_ref.data import load_photographs

OUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "align"


@dataclass(frozen=True)
class Change:
    """What is different in the second photograph: target(p) = contrast * source(p + motion(p)) + brightness + noise."""

    text: str
    angle: float  # of the motion, degrees
    scale: float
    shift: tuple[float, float]  # pixels
    rms: float = 0.0  # of the elastic motion, pixels, per axis
    sigma: float = 1.0  # of its Gaussian
    contrast: float = 1.0
    brightness: float = 0.0
    noise: float = 0.0  # standard deviation, grey levels
    outside: str = "nearest"  # what lies beyond the source, in the words of SciPy


CHANGES = {
    "face": Change(
        "-8 degrees, elastic motion of 3 pixels an axis, darker, contrast 1.15, noise",
        *(-8, 0.95, (12, -9), 3, 14, 1.15, -10, 4),
    ),
    "coffee": Change(
        "25 degrees, and the corners that a rotation leaves black", 25, 1.05, (-10, 6), outside="constant"
    ),
    "chelsea": Change(
        "10 degrees, shift of 24 pixels, elastic motion of 4 pixels an axis, pale, much noise",
        *(10, 1.1, (20, 14), 4, 16, 0.8, 25, 6),
    ),
}


def changed(image: np.ndarray, change: Change, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The second photograph (C, H, W) uint8 and the true motion (2, H, W)."""
    H, W = image.shape[1:]
    y, x = np.mgrid[:H, :W].astype(float)
    c, s = change.scale * np.cos(np.deg2rad(change.angle)), change.scale * np.sin(np.deg2rad(change.angle))
    u, v = x - (W - 1) / 2, y - (H - 1) / 2
    motion = np.stack([c * u - s * v - u + change.shift[0], s * u + c * v - v + change.shift[1]])
    elastic = gaussian_filter(rng.uniform(-1, 1, motion.shape), (0, change.sigma, change.sigma))
    motion += elastic * (change.rms / elastic.std())
    at = (y + motion[1], x + motion[0])
    moved = np.stack([map_coordinates(plane.astype(float), at, order=3, mode=change.outside) for plane in image])
    light = change.contrast * moved + change.brightness + change.noise * rng.standard_normal(moved.shape)
    return np.rint(light.clip(0, 255)).astype(np.uint8), motion


def main() -> None:
    rows = []
    for seed, (name, change) in enumerate(CHANGES.items(), 1):
        source = load_photographs()[name]
        target, truth = changed(source, change, np.random.default_rng(seed))
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for file, image in (("monday.png", source), ("friday.png", target)):
                Image.fromarray(image.transpose(1, 2, 0)).save(place / file)
            files = [str(place / file) for file in ("monday.png", "friday.png")]
            done = CliRunner().invoke(hstn, ["align", *files, "--format", "npy", "--out", str(place / "out")])
            assert done.exit_code == 0, done.output
            motion = np.load(place / "out" / "motion.npy")
            numbers = json.loads((place / "out" / "alignment.json").read_text())
            picture = Image.open(place / "out" / "picture.png").convert("RGB")
            picture.thumbnail((1000, 1000))
            picture.save(OUT / f"{name}.png", optimize=True)
        H, W = truth.shape[1:]
        y, x = np.mgrid[:H, :W]
        seen = (x + truth[0] >= 0) & (x + truth[0] <= W - 1) & (y + truth[1] >= 0) & (y + truth[1] <= H - 1)
        errors = np.hypot(*(motion - truth))[seen]
        cells = [
            f"{name}: {change.text}",
            f"{np.median(errors):.2f}",
            f"{errors.mean():.2f}",
            f"{np.percentile(errors, 95):.2f}",
            *(f"{numbers[key]:.1f}" for key in ("residual_before", "residual")),
            f"{numbers['rotation']:+.2f}",
            f"{numbers['contrast']:.2f}, {numbers['brightness']:+.1f}",
            f"{numbers['folding']:.2%}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], done.output, sep="\n", flush=True)
    headings = "pair | median error, px | mean | 95 % below | residual before | after | rotation found | contrast, "
    headings += "brightness found | folds"
    pictures = [line for name in CHANGES for line in (f"![{name}]({name}.png)", "")]
    text = [
        "# hstn align, tried on three photographs",
        "",
        "Two image files, no options; the errors are those of the motion where the source shows what the target does.",
        "`scripts/align_photographs.py` makes the pairs, with SciPy, and this page.",
        "",
        f"| {headings} |",
        "|---" * 9 + "|",
        *rows,
        "",
        *pictures,
        "The residual has what a motion cannot explain: noise, and the light of the second photograph.",
        "Angles in the first column are those of the motion; the rotation found is that of the image, with the",
        "opposite sign. An elastic motion has an affine part of its own: with one they differ by about a degree.",
    ]
    (OUT / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
