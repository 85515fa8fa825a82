"""Keep what counts of training: small files under docs/results/, the weights in the package.

    .venv/bin/python scripts/keep_results.py runs/mnist docs/results/mnist --weights
    .venv/bin/python scripts/keep_results.py runs/table1 docs/results/table1 --weights

The first folder holds finished runs of `hstn train`: of each, config.toml, history.jsonl, result.json and the
pictures go to a folder of its name in the second, and a table of all runs for the page of results is printed. Or it is
the folder of `hstn table1`: its report becomes the page docs/results/table1.md, its figures and numbers go to
docs/results/table1/, with what the best of each kind of network sees.

With --weights, the networks become hstn_ref/weights/TITLE.h5, with command, seed and result inside: of several of one
kind the one with the highest validation accuracy.
"""

import argparse
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from hstn_ref import checkpoint, models
from hstn_ref.runs import read_result

KEPT = ("config.toml", "history.jsonl", "result.json", "curves.png", "stages.png")  # of a run
REPORT = ("table1.toml", "table1.json", "*.png")  # of a table, beside table1.md
ORIGIN = ("command", "commit", "seed", "epochs", "data", "images", "accuracy", "cross_entropy", "valid_accuracy")
LIMIT = 15e6  # bytes of all weights together


def keep_runs(folder: Path, target: Path) -> dict[Path, dict]:
    """Copy the small files of all finished runs; returns their results by folder."""
    results = {}
    for path in sorted(folder.glob("*/result.json")):
        kept = target / path.parent.name
        kept.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            shutil.copyfile(path.parent / name, kept / name)
        results[path.parent] = read_result(path)
    return results


def keep_table(folder: Path, target: Path) -> dict[Path, dict]:
    """Copy the report of a table; returns the results of the networks to ship, by folder."""
    target.mkdir(parents=True, exist_ok=True)
    for pattern in REPORT:
        for path in folder.glob(pattern):
            shutil.copyfile(path, target / path.name)
    page = re.sub(r"\]\((\w+\.png)\)", rf"]({target.name}/\1)", (folder / "table1.md").read_text())
    target.with_suffix(".md").write_text(page)
    best: dict[str, Path] = {}
    results = {path.parent: read_result(path) for path in sorted(folder.glob("*/seed-*/result.json"))}
    for run, result in results.items():
        known = best.setdefault(result["title"], run)
        if result["valid_accuracy"] > results[known]["valid_accuracy"]:
            best[result["title"]] = run
    for title, run in best.items():
        shutil.copyfile(run / "stages.png", target / f"{title}_stages.png")
    return {run: results[run] for run in best.values()}


def ship(run: Path, result: dict, weights: Path) -> None:
    """Write the network of a run among those of the package."""
    network = replace(checkpoint.read(run / "best.h5"), origin={name: result[name] for name in ORIGIN})
    weights.mkdir(exist_ok=True)
    checkpoint.write(network, weights / f"{result['title']}.h5")


def table(results: list[dict]) -> str:
    """A row a run, in the order of their accuracy."""
    lines = ["| network | test accuracy | cross entropy | parameters | epochs | command |", "|---|---|---|---|---|---|"]
    for r in sorted(results, key=lambda r: r["accuracy"]):
        epochs = " + ".join(str(n) for n in r["epochs"].values())
        numbers = f"{r['accuracy']:.4f} | {r['cross_entropy']:.4f} | {r['parameters']:,} | {epochs}"
        lines.append(f"| {r['title']} | {numbers} | `{r['command']}` |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None, weights: Path = models.WEIGHTS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--weights", action="store_true")
    options = parser.parse_args(arguments)
    report = options.runs / "table1.json"
    if report.exists():
        if options.weights and json.loads(report.read_text())["reduced"]:
            parser.error(f"{options.runs} is a reduced table: its networks are not worth shipping")
        results = keep_table(options.runs, options.target)
    else:
        results = keep_runs(options.runs, options.target)
        if not results:
            parser.error(f"{options.runs} has no finished runs: none has a result.json")
        print(table(list(results.values())))
    if options.weights:
        for run, result in results.items():
            ship(run, result, weights)
        size = sum(path.stat().st_size for path in weights.glob("*.h5"))
        print(f"The weights of the package: {size / 1e6:.1f} MB")
        if size > LIMIT:
            sys.exit(f"more than {LIMIT / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
