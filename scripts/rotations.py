"""How the rows of Table 2 depend on how far the images are turned: the paper does not say how far its own were.

    .venv/bin/python scripts/rotations.py --data ../shared/data/rasl/Al_Gore

For every angle of `--rotations` this is `hstn table2 --config short` on pairs that are turned by up to that many
degrees, with an elastic motion of `--rms` pixels and everything else as it is: its flows, and of its networks
Affine-STN, C-STN-4 and HSTN. Each angle has a folder in `--runs` and goes on where it was stopped. Writes
rotations.json and rotations.png into docs/results/rotations/, or into `--out`, from all angles asked for; `--report`
does nothing else.
"""

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hstn_ref import machine
from hstn_ref.files import write_bytes
from hstn_ref.plots import save_figure
from hstn_ref.table2 import configuration, report, running

ROOT = Path(__file__).resolve().parents[1]
ROTATIONS = (20.0, 45.0, 60.0)  # degrees
NAME = 1.6  # grey levels that a name takes in the figure
COLOURS = {
    "none": "#9aa0a8",
    "sift_flow": "#d9a441",
    "brox": "#e8843c",
    "ldof": "#b5541a",
    "affine_stn": "#72aede",
    "c_stn_4": "#4c78a8",
    "hstn": "#c2272d",
    "brox_tuned": "#7f8f6a",
    "optimise": "#54733f",
    "truth": "#72777f",
}


def at(rotation: float, rms: float, source: str, threads: int | None) -> configuration.TableConfig:
    """The configuration of the package with other deformations and images."""
    config = configuration.read("short")
    deformation = replace(config.data.deformation, rotation=rotation, rms=rms)
    return replace(config, threads=threads, data=replace(config.data, source=source, deformation=deformation))


def errors(facts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """image_epe and flow_epe of the rows that are finished."""
    return {
        row["row"]: {key: round(row[key]["mean"], 3) for key in ("image_epe_75", "flow_epe")}
        for row in facts["rows"]
        if row["row"] in COLOURS and row["image_epe_75"]
    }


def draw(found: dict[str, dict[str, dict[str, float]]]) -> Figure:
    """image_epe of every row over the rotation; each line has its name at its end."""
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    last, ends = list(found)[-1], dict[str, float]()
    for row, colour in COLOURS.items():
        angles = [angle for angle in found if row in found[angle]]
        values = [found[angle][row]["image_epe_75"] for angle in angles]
        axes.plot([float(angle) for angle in angles], values, "o-", color=colour, markersize=3, linewidth=1.5)
        if row in found[last]:
            ends[row] = values[-1]
    height = -NAME
    for row in sorted(ends, key=ends.__getitem__):  # names whose lines end close together are moved up
        height = max(ends[row], height + NAME)
        axes.annotate(
            *(report.TITLES[row], (float(last), height), (6, 0)),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=COLOURS[row],
        )
    axes.set(xlabel="largest rotation, degrees", ylabel="image_epe, grey levels", ylim=(0, None))
    axes.set_xticks([float(angle) for angle in found])
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="embedded", help="a folder of images")
    parser.add_argument("--rotations", type=float, nargs="+", default=ROTATIONS, metavar="DEGREES")
    parser.add_argument("--rms", type=float, default=2.0, help="of the elastic motion, pixels")
    parser.add_argument("--rows", nargs="+", default=list(COLOURS), choices=list(COLOURS), metavar="ROW")
    parser.add_argument("--report", action="store_true", help="train nothing, show what is finished")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "rotations")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "rotations")
    options = parser.parse_args()
    command = shlex.join(["python", *sys.argv])
    found = {}
    for rotation in options.rotations:
        config, folder = at(rotation, options.rms, options.data, options.threads), options.runs / f"{rotation:g}"
        if not options.report:
            running.prepare(config, folder, options.rows)
            failed = running.train(config, folder, only=options.rows, quiet=options.quiet, command=command)
            if failed:
                sys.exit("\n".join(failed))
        found[f"{rotation:g}"] = errors(report.collect(config, folder))
        print(f"{rotation:g} degrees", found[f"{rotation:g}"], flush=True)
    content = {**machine.origin(command), "data": options.data, "rms": options.rms, "results": found}
    options.out.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out / "rotations.json", (json.dumps(content, indent=1) + "\n").encode())
    save_figure(draw(found), options.out / "rotations.png")


if __name__ == "__main__":
    main()
