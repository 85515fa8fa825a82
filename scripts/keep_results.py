"""Keep what counts of training runs: small files under docs/results/, the weights in the package.

    .venv/bin/python scripts/keep_results.py runs/mnist docs/results/cluttered_mnist

For every run in the first folder: config.toml, history.jsonl, result.json and the pictures, these with a palette of 256
colours, go to a folder of its name in the second; best.h5 becomes hstn_ref/weights/NAME.h5. Prints a table of all runs
for the page of results.
"""

import json
import shutil
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ("config.toml", "history.jsonl", "result.json")
PICTURES = ("curves.png", "stages.png")


def keep(run: Path, target: Path) -> dict:
    """Copy the small files of one run; returns its result."""
    target.mkdir(parents=True, exist_ok=True)
    for name in TEXTS:
        shutil.copyfile(run / name, target / name)
    for name in PICTURES:
        Image.open(run / name).convert("RGB").quantize(256).save(target / name, optimize=True)
    result = json.loads((run / "result.json").read_text())
    weights = ROOT / "hstn_ref" / "weights" / f"{result['model']}.h5"
    weights.parent.mkdir(exist_ok=True)
    shutil.copyfile(run / "best.h5", weights)
    return result


def table(results: list[dict]) -> str:
    """A row a run, in the order of their accuracy."""
    lines = ["| network | test accuracy | cross entropy | parameters | epochs | command |", "|---|---|---|---|---|---|"]
    for r in sorted(results, key=lambda r: r["accuracy"]):
        epochs = " + ".join(str(n) for n in r["epochs"].values())
        numbers = f"{r['accuracy']:.4f} | {r['cross_entropy']:.4f} | {r['parameters']:,} | {epochs}"
        lines.append(f"| {r['model']} | {numbers} | `{r['command']}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} RUNS TARGET")
    runs, target = map(Path, sys.argv[1:])
    finished = sorted(path.parent for path in runs.glob("*/result.json"))
    if not finished:
        sys.exit(f"{runs} has no finished runs: none has a result.json")
    print(table([keep(run, target / run.name) for run in finished]))
