"""Keep what counts of training runs: small files under docs/results/, the weights in the package.

    .venv/bin/python scripts/keep_results.py runs/mnist docs/results/cluttered_mnist --weights

For every finished run in the first folder: config.toml, history.jsonl, result.json and the pictures go to a folder of
its name in the second; with --weights, best.h5 becomes hstn_ref/weights/NAME.h5. Prints a table of all runs for the
page of results.
"""

import argparse
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = ("config.toml", "history.jsonl", "result.json", "curves.png", "stages.png")


def keep(run: Path, target: Path, weights: bool) -> dict:
    """Copy the small files of one run, and the network if `weights`; returns its result."""
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(run / name, target / name)
    result = json.loads((run / "result.json").read_text())
    if weights:
        folder = ROOT / "hstn_ref" / "weights"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(run / "best.h5", folder / f"{result['model']}.h5")
    return result


def table(results: list[dict]) -> str:
    """A row a run, in the order of their accuracy."""
    lines = ["| network | test accuracy | cross entropy | parameters | epochs | command |", "|---|---|---|---|---|---|"]
    for r in sorted(results, key=lambda r: r["accuracy"]):
        epochs = " + ".join(str(n) for n in r["epochs"].values())
        numbers = f"{r['accuracy']:.4f} | {r['cross_entropy']:.4f} | {r['parameters']:,} | {epochs}"
        lines.append(f"| {r['model']} | {numbers} | `{r['command']}` |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--weights", action="store_true")
    options = parser.parse_args()
    finished = sorted(path.parent for path in options.runs.glob("*/result.json"))
    if not finished:
        parser.error(f"{options.runs} has no finished runs: none has a result.json")
    print(table([keep(run, options.target / run.name, options.weights) for run in finished]))


if __name__ == "__main__":
    main()
