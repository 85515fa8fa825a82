"""Keep what counts of training: small files under docs/results/, the weights in the package.

    .venv/bin/python scripts/keep_results.py runs/mnist docs/results/mnist --weights
    .venv/bin/python scripts/keep_results.py runs/table1 docs/results/table1 --weights
    .venv/bin/python scripts/keep_results.py runs/table2-faces docs/results/table2_faces --without-pictures

The first folder holds finished runs of `hstn train`: of each, config.toml, history.jsonl, result.json and the
pictures go to a folder of its name in the second, and a table of all runs for the page of results is printed. Or it is
the folder of `hstn table1` or `hstn table2`: its report becomes the page docs/results/table1.md, its pictures and
numbers go to docs/results/table1/, of Table 1 with what the best network of each row sees. Pairs of images that may not
be passed on stay behind with --without-pictures.

With --weights, the networks become hstn_ref/weights/TITLE.h5, with command, seed and result inside: of several of one
kind the one with the highest validation accuracy, of Table 2 the row hstn_smooth of the first seed, as align.h5.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hstn_ref import checkpoint, models
from hstn_ref.runs import read_result

KEPT = ("config.toml", "history.jsonl", "result.json", "curves.png", "stages.png")  # of a run
TABLES = ("table1", "table2")
ORIGIN = ("command", "commit", "seed", "epochs", "data", "images", "accuracy", "cross_entropy", "valid_accuracy")
ORIGIN += ("pairs", "image_epe_75", "flow_epe")  # what a result has of these is told with the weights
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


def keep_report(name: str, folder: Path, target: Path, *, pictures: bool) -> None:
    """Copy the page, the numbers and the pictures of a table."""
    target.mkdir(parents=True, exist_ok=True)
    for path in (folder / f"{name}.toml", folder / f"{name}.json", *(folder.glob("*.png") if pictures else ())):
        shutil.copyfile(path, target / path.name)
    page = (folder / f"{name}.md").read_text()
    place = rf"]({target.name}/\1)"
    page = re.sub(r"\]\((\w+\.png)\)", place, page) if pictures else re.sub(r"!\[.*\]\(\w+\.png\)\n+", "", page)
    target.with_suffix(".md").write_text(page)


def best_classifiers(results: dict[Path, dict], kind: Callable[[Path, dict], str]) -> dict[str, Path]:
    """The run with the highest validation accuracy of every kind; what aligns is no classifier."""
    best: dict[str, Path] = {}
    results = {run: result for run, result in results.items() if "valid_accuracy" in result}
    for run, result in results.items():
        known = best.setdefault(kind(run, result), run)
        if result["valid_accuracy"] > results[known]["valid_accuracy"]:
            best[kind(run, result)] = run
    return best


def aligner(folder: Path) -> dict[str, Path]:
    """Of Table 2, the HSTN whose penalty fits the motions, of the first seed."""
    runs = [path.parent for path in folder.glob("hstn_smooth/seed-*/result.json")]
    return {"align": min(runs, key=lambda run: int(run.name.removeprefix("seed-")))} if runs else {}


def ship(run: Path, title: str, weights: Path) -> None:
    """Write the network of a run among those of the package."""
    result = read_result(run / "result.json")
    network = replace(
        checkpoint.read(run / "best.h5"), origin={name: result[name] for name in ORIGIN if name in result}
    )
    weights.mkdir(exist_ok=True)
    checkpoint.write(network, weights / f"{title}.h5")


def table(results: list[dict]) -> str:
    """A row a run, in the order of their accuracy; of what aligns a table of its own."""
    parts = []
    for first, second, titles in (
        ("accuracy", "cross_entropy", "test accuracy | cross entropy"),
        ("image_epe", "flow_epe", "image EPE | flow EPE"),
    ):
        lines = [f"| network | {titles} | parameters | epochs | command |", "|---|---|---|---|---|---|"]
        for r in sorted((r for r in results if first in r), key=lambda r: r[first]):
            epochs = " + ".join(str(n) for n in r["epochs"].values())
            numbers = f"{r[first]:.4f} | {r[second]:.4f} | {r['parameters']:,} | {epochs}"
            lines.append(f"| {r['title']} | {numbers} | `{r['command']}` |")
        parts += ["\n".join(lines) + "\n"] * (len(lines) > 2)
    return "\n".join(parts)


def main(arguments: list[str] | None = None, weights: Path = models.WEIGHTS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--weights", action="store_true")
    parser.add_argument("--without-pictures", action="store_true")
    options = parser.parse_args(arguments)
    name = next((name for name in TABLES if (options.runs / f"{name}.json").exists()), None)
    if name is None:
        results = keep_runs(options.runs, options.target)
        if not results:
            parser.error(f"{options.runs} has no finished runs: none has a result.json")
        print(table(list(results.values())))
        networks = best_classifiers(results, lambda run, result: result["title"])
    else:
        if options.weights and json.loads((options.runs / f"{name}.json").read_text())["reduced"]:
            parser.error(f"{options.runs} is a reduced table: its networks are not worth shipping")
        keep_report(name, options.runs, options.target, pictures=not options.without_pictures)
        if name == "table2":
            networks = aligner(options.runs)
        else:
            results = {path.parent: read_result(path) for path in sorted(options.runs.glob("*/seed-*/result.json"))}
            networks = best_classifiers(results, lambda run, result: result["title"])
            for row, run in best_classifiers(results, lambda run, result: run.parent.name).items():
                shutil.copyfile(run / "stages.png", options.target / f"{row}_stages.png")
    if options.weights:
        for title, run in networks.items():
            ship(run, title, weights)
        size = sum(path.stat().st_size for path in weights.glob("*.h5"))
        print(f"The weights of the package: {size / 1e6:.1f} MB")
        if size > LIMIT:
            sys.exit(f"more than {LIMIT / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
