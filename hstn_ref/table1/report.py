"""The table from what is finished: table1.json with everything, table1.md to read, and the figures.

The spread of several seeds is their standard deviation, with n - 1. The times of HSTN are without its first stage,
which is the Affine-STN of the same table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from hstn_ref import config as configuration
from hstn_ref import machine, runs
from hstn_ref.files import write_bytes
from hstn_ref.history import read_history
from hstn_ref.table1 import flows
from hstn_ref.table1.configuration import TableConfig
from hstn_ref.table1.running import finished, folder_of
from hstn_ref.training import HISTORY

PAPER = {  # Table 1: cross entropy and accuracy
    "cnn": (0.1560, 0.9508),
    "affine_stn": (0.0954, 0.9703),
    "tps_stn": (0.1152, 0.9772),
    "c_stn_2": (0.0714, 0.9770),
    "c_stn_4": (0.0585, 0.9817),
    "ic_stn_2": (0.0813, 0.9749),
    "ic_stn_4": (0.0771, 0.9766),
    "hstn": (0.0540, 0.9910),
}
TITLES = {
    "cnn": "CNN",
    "affine_stn": "Affine-STN",
    "tps_stn": "TPS-STN",
    "c_stn_2": "C-STN-2",
    "c_stn_4": "C-STN-4",
    "ic_stn_2": "IC-STN-2",
    "ic_stn_4": "IC-STN-4",
    "hstn": "HSTN",
}
HEADINGS = ("network", "accuracy", "paper", "cross entropy", "paper", "parameters", "hours", "seeds", "status")
BRIEF = range(len(HEADINGS))  # the columns for a terminal
KEPT = ("train_accuracy", "valid_accuracy", "valid_cross_entropy")  # of every epoch
REDUCED = "REDUCED: few images, few epochs. These numbers show that everything runs, not what the networks can do."


def write(config: TableConfig, out: Path, *, command: str = "") -> dict[str, Any]:
    """Write the report into the folder of the table, each file whole or not at all; returns table1.json.

    Raises FileError or DataError for files that cannot be written, or read.
    """
    from hstn_ref.table1 import figures

    facts = collect(config, out)
    facts["flows"] = flows.compare(config, out, facts["rows"])
    facts |= {"command": command, "commit": machine.commit(), "machine": machine.describe()}
    drawn = figures.draw(config, out, facts)
    write_bytes(out / "table1.json", (json.dumps(facts, indent=2) + "\n").encode())
    write_bytes(out / "table1.md", markdown(facts, drawn).encode())
    return facts


def collect(config: TableConfig, out: Path) -> dict[str, Any]:
    """The runs of every row, finished or not, and what the finished ones say together."""
    rows = []
    for name in config.rows:
        found = [_run(config, out, name, seed) for seed in seeds_of(out, name, config.seeds)]
        done = [run for run in found if run["status"] == "finished"]
        paper = PAPER.get(name)
        rows.append(
            {
                "row": name,
                "title": TITLES.get(name, name),
                "paper": {"cross_entropy": paper[0], "accuracy": paper[1]} if paper else None,
                "finished": len(done),
                "parameters": done[0]["parameters"] if done else None,
                **{key: together([run[key] for run in done]) for key in ("accuracy", "cross_entropy", "seconds")},
                "runs": found,
            }
        )
    head = {"title": config.title, "reduced": config.reduced, "configuration": configuration.to_dict(config)}
    return {**head, "rows": rows}


def seeds_of(out: Path, row: str, wanted: Iterable[int]) -> list[int]:
    """The seeds of a row that are wanted, and any others that were trained."""
    others = (path.name.removeprefix("seed-") for path in (out / row).glob("seed-*"))
    return sorted({*wanted, *(int(text) for text in others if text.isdecimal())})


def _run(config: TableConfig, out: Path, row: str, seed: int) -> dict[str, Any]:
    folder = folder_of(out, row, seed)
    if finished(out, row, seed):
        lines = read_history(folder / HISTORY) if (folder / HISTORY).exists() else []
        history = {name: [round(getattr(line, name), 5) for line in lines] for name in KEPT}
        return {**runs.read_result(folder / runs.RESULT), "seed": seed, "status": "finished", "history": history}
    epochs = len(read_history(folder / HISTORY)) if (folder / HISTORY).exists() else 0
    if not (folder / runs.CONFIG).exists():
        return {"seed": seed, "status": "not started"}
    return {"seed": seed, "status": f"not finished, {epochs} of at most {config.run(row, seed).training.epochs} epochs"}


def together(values: list[float]) -> dict[str, float | None] | None:
    """Mean and standard deviation over the seeds; None of nothing."""
    if not values:
        return None
    return {"mean": mean(values), "spread": stdev(values) if len(values) > 1 else None}


def markdown(facts: dict[str, Any], drawn: dict[str, str]) -> str:
    """The table for a reader; `drawn` are the files of the figures with their captions."""
    lines = [f"# {facts['title']}" + " (reduced)" * facts["reduced"], ""]
    if facts["reduced"]:
        lines += [f"**{REDUCED}**", ""]
    lines += [
        f"| {' | '.join(HEADINGS)} |",
        "|---|---|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(cells(row))} |" for row in facts["rows"]),
        "",
        "Accuracy and cross entropy are of the test images, the mean over the seeds, ± their standard deviation where",
        "there are several; the network of each run is the one of the highest validation accuracy. Hours are of",
        "training and validation, for a row that begins with another without that one.",
        *_clutter(facts),
        "",
        *flows.markdown(facts["flows"]),
        *(line for file, caption in drawn.items() for line in (f"![{caption}]({file})", "")),
        "## The runs",
        "",
        "| run | accuracy | cross entropy | validation accuracy | best epoch | epochs | commit | command |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row, run) for row in facts["rows"] for run in row["runs"]),
        "",
        *origins(facts),
    ]
    return "\n".join(lines) + "\n"


def _clutter(facts: dict[str, Any]) -> list[str]:
    """Whether the canvases of the training are those of the paper, a fixed set, or more."""
    if all(run["data"].get("kind") != "cluttered digits" for run in _finished(facts)):
        return []  # of a file, or nothing
    if facts["configuration"]["data"]["fresh"]:
        return [
            "Every epoch of the training has new clutter around the same digits, the paper's a fixed set of canvases."
        ]
    return ["Every epoch of the training has the same canvases, as the paper's."]


def _finished(facts: dict[str, Any]) -> list[dict[str, Any]]:
    return [run for row in facts["rows"] for run in row["runs"] if run["status"] == "finished"]


def cells(row: dict[str, Any]) -> list[str]:
    """A row as texts: also that of the terminal."""
    paper, done, total = row["paper"], row["finished"], len(row["runs"])
    status = "finished" if done == total else f"**{done} of {total} runs finished**"
    if total == 1 and not done:
        status = f"**{row['runs'][0]['status']}**"
    return [
        row["title"],
        plus_minus(row["accuracy"]),
        f"{paper['accuracy']:.4f}" if paper else "-",
        plus_minus(row["cross_entropy"]),
        f"{paper['cross_entropy']:.4f}" if paper else "-",
        f"{row['parameters']:,}" if row["parameters"] else "-",
        f"{row['seconds']['mean'] / 3600:.2f}" if row["seconds"] else "-",
        ", ".join(str(run["seed"]) for run in row["runs"] if run["status"] == "finished") or "-",
        status,
    ]


def plus_minus(value: dict[str, float | None] | None, *, digits: int = 4) -> str:
    """What `together` found, as text."""
    if value is None:
        return "-"
    return f"{value['mean']:.{digits}f}" + (f" ± {value['spread']:.{digits}f}" if value["spread"] is not None else "")


def _line(row: dict[str, Any], run: dict[str, Any]) -> str:
    name = f"{row['title']}, seed {run['seed']}"
    if run["status"] != "finished":
        return f"| {name} | {run['status']} | | | | | | |"
    numbers = (f"{run[key]:.4f}" for key in ("accuracy", "cross_entropy", "valid_accuracy"))
    epochs = " + ".join(map(str, run["epochs"].values()))
    return f"| {' | '.join([name, *numbers])} | {run['best_epoch']} | {epochs} | {run['commit']} | `{run['command']}` |"


def _content(data: dict[str, Any]) -> dict[str, Any]:
    """What tells one data set from another: not where it lay, if its numbers are known by a checksum."""
    known = any(name.endswith("_sha256") for name in data)
    return {name: value for name, value in data.items() if name != "source" or not known}


def origins(facts: dict[str, Any]) -> list[str]:
    """The data and the machines of the finished runs; a table of more than one data set says so."""
    done = _finished(facts)
    data = {json.dumps(_content(run["data"]), sort_keys=True) for run in done}
    machines = {f"{run['machine']['processor']}, {run['threads']} threads" for run in done}
    warning = ["**The runs have different data and cannot be compared.**", ""] if len(data) > 1 else []
    return [
        *warning,
        *(f"Data: `{text}`" for text in sorted(data)),
        "",
        f"Machine: {'; '.join(sorted(machines)) or '-'}",
    ]
