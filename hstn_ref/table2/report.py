"""Table 2 from what is finished: table2.json with everything, table2.md to read, and a figure.

Rows that the paper does not have say so. The spread of several seeds is their standard deviation, with n - 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hstn_ref import config as configuration
from hstn_ref import machine
from hstn_ref.data.pairs import FEW
from hstn_ref.files import write_bytes
from hstn_ref.runs import RESULT, read_result
from hstn_ref.table1.report import origins, plus_minus, seeds_of, together
from hstn_ref.table1.running import finished, folder_of
from hstn_ref.table2.configuration import TableConfig

PAPER = {  # Table 2: EPE and seconds
    "sift_flow": (8.1266, 0.5783),
    "brox": (6.1780, 0.0994),
    "ldof": (5.9467, 0.2572),
    "affine_stn": (6.9781, 0.0019),
    "tps_stn": (6.4329, 0.0031),
    "c_stn_4": (6.3193, 0.0031),
    "ic_stn_4": (6.3330, 0.0032),
    "hstn": (1.8088, 0.0034),
}
TITLES = {
    "none": "no motion",
    "truth": "the true motion",
    "sift_flow": "SIFT Flow",
    "brox": "Optical Flow (Brox)",
    "ldof": "LDOF",
    "affine_stn": "Affine-STN",
    "tps_stn": "TPS-STN",
    "c_stn_4": "C-STN-4",
    "ic_stn_4": "IC-STN-4",
    "hstn": "HSTN",
    "hstn_smooth": "HSTN, heavier (7)",
    "brox_tuned": "brox, tuned",
    "optimise": "align, optimise",
}
HEADINGS = (
    "method",
    "image_epe",
    "paper's EPE",
    "central 50 %",
    "whole",
    "flow_epe",
    "median",
    "below 1 px",
    "folds",
    "ms, 1 pair",
    "ms, 64 pairs, each",
    "paper's ms",
    "status",
)
BRIEF = (0, 1, 2, 5, 7, 9, 12)  # the columns that a terminal has room for
MEASURED = (
    "image_epe_75",
    "image_epe_50",
    "image_epe_100",
    "flow_epe",
    "flow_epe_median",
    "below_1_pixel",
    "folding",
    "seconds_1",
    "seconds_64",
)
REDUCED = "REDUCED: few pairs, few epochs. These numbers show that everything runs, not what the methods can do."


def write(config: TableConfig, out: Path, *, command: str = "") -> dict[str, Any]:
    """Write the report into the folder of the table, each file whole or not at all; returns table2.json.

    Raises FileError or DataError for files that cannot be written, or read.
    """
    from hstn_ref.table2 import figures

    facts = collect(config, out)
    facts |= {"command": command, "commit": machine.commit(), "machine": machine.describe()}
    write_bytes(out / "table2.json", (json.dumps(facts, indent=2) + "\n").encode())
    write_bytes(out / "table2.md", markdown(facts, {}).encode())  # whatever becomes of the figure
    write_bytes(out / "table2.md", markdown(facts, figures.draw(config, out, facts)).encode())
    return facts


def collect(config: TableConfig, out: Path) -> dict[str, Any]:
    """The runs of every row, finished or not, and what the finished ones say together."""
    rows = []
    for name in config.rows:
        wanted = [seed for seed, row in config.runs() if row == name]
        runs = [_run(out, name, seed) for seed in seeds_of(out, name, wanted)]
        done = [run for run in runs if run["status"] == "finished"]
        means = {key: together([run[key] for run in done if run[key] is not None]) for key in MEASURED}
        rows.append({"row": name, "title": TITLES.get(name, name), "paper": PAPER.get(name), **means, "runs": runs})
    return {"title": "Table 2", "reduced": config.reduced, "configuration": configuration.to_dict(config), "rows": rows}


def _run(out: Path, row: str, seed: int) -> dict[str, Any]:
    folder = folder_of(out, row, seed)
    if finished(out, row, seed):
        return {**read_result(folder / RESULT, MEASURED), "seed": seed, "status": "finished"}
    return {"seed": seed, "status": "not finished" if folder.exists() else "not started"}


def markdown(facts: dict[str, Any], drawn: dict[str, str]) -> str:
    """The table for a reader; `drawn` are the files of the figures with their captions."""
    lines = ["# Table 2" + " (reduced)" * facts["reduced"], ""]
    if facts["reduced"]:
        lines += [f"**{REDUCED}**", ""]
    lines += [
        f"| {' | '.join(HEADINGS)} |",
        "|---" * len(HEADINGS) + "|",
        *(f"| {' | '.join(cells(row))} |" for row in facts["rows"]),
        "",
        "image_epe: mean distance of the images, grey levels 0..255, in the central 75 % of both sides unless it says",
        "otherwise. The paper calls it EPE; its images and deformations are others, so only orders can be compared.",
        "flow_epe: mean distance of the motions, pixels, central 75 %. Of a training the network of the lowest",
        "image_epe of validation is judged. Rows without numbers of the paper are not in the paper. What the true",
        "motion leaves of image_epe comes from sampling a sampled image, and from what the source does not show: a",
        "mark to compare with, not a bound, since a motion that fits grey levels alone may leave less.",
        "",
        *_same_images(facts),
        *_ratio(facts),
        *(line for file, caption in drawn.items() for line in (f"![{caption}]({file})", "")),
        "## The runs",
        "",
        "| run | image_epe | parameters | epochs | best epoch | hours | commit | command |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row, run) for row in facts["rows"] for run in row["runs"]),
        "",
        *origins(facts),
    ]
    return "\n".join(lines) + "\n"


def cells(row: dict[str, Any]) -> list[str]:
    """A row as texts: also that of the terminal."""
    paper, runs = row["paper"], row["runs"]
    done = sum(run["status"] == "finished" for run in runs)
    below, folds = (plus_minus(row[key], digits=3) for key in ("below_1_pixel", "folding"))
    status = "finished" if done == len(runs) else f"**{done} of {len(runs)} runs finished**"
    return [
        row["title"],
        plus_minus(row["image_epe_75"], digits=2),
        f"{paper[0]:.2f}" if paper else "-",
        plus_minus(row["image_epe_50"], digits=2),
        plus_minus(row["image_epe_100"], digits=2),
        plus_minus(row["flow_epe"], digits=2),
        plus_minus(row["flow_epe_median"], digits=2),
        below,
        folds,
        *(f"{1e3 * row[key]['mean']:.2f}" if row[key] else "-" for key in ("seconds_1", "seconds_64")),
        f"{1e3 * paper[1]:.1f}" if paper else "-",
        status,
    ]


def _same_images(facts: dict[str, Any]) -> list[str]:
    """What favours networks, where `open_pairs` had too few images to hold some out."""
    done = [run["data"] for row in facts["rows"] for run in row["runs"] if run["status"] == "finished"]
    if all(data["held_out"] for data in done):
        return []
    return [
        "The test has other windows and motions of the same images that the networks are trained with, which favours",
        f"networks over flows: {done[0]['images']} images are too few to keep some for the test alone, {FEW} are not.",
        "",
    ]


def _ratio(facts: dict[str, Any]) -> list[str]:
    """HSTN beside the best flow of the paper: its second claim."""
    errors = {row["row"]: row["image_epe_75"]["mean"] for row in facts["rows"] if row["image_epe_75"]}
    flows = {name: errors[name] for name in ("sift_flow", "brox", "ldof") if name in errors}
    if "hstn" not in errors or not flows:
        return []
    best = min(flows, key=lambda name: flows[name])
    ours, paper = flows[best] / errors["hstn"], PAPER["ldof"][0] / PAPER["hstn"][0]
    return [
        f"The image_epe of the best of the paper's flows, {TITLES[best]}, is {ours:.2f} times that of HSTN; "
        f"in the paper LDOF has {paper:.2f} times.",
        "",
    ]


def _line(row: dict[str, Any], run: dict[str, Any]) -> str:
    name = f"{row['title']}, seed {run['seed']}"
    if run["status"] != "finished":
        return f"| {name} | {run['status']} | | | | | | |"
    trained = ["-"] * 4  # a flow is not
    if "model" in run:
        hours = f"{run['seconds'] / 3600:.2f}"
        trained = [f"{run['parameters']:,}", str(run["epochs"]), str(run["best_epoch"]), hours]
    texts = [name, f"{run['image_epe_75']:.3f}", *trained]
    return f"| {' | '.join(texts)} | {run['commit']} | `{run['command']}` |"
