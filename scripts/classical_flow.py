"""Measure the classical flows, and `hstn_ref.align`, on photographs whose motion is known.

    NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 .venv/bin/python scripts/classical_flow.py

For every seed 20 pairs of 128x128 grey pixels: the ten photographs of the package, each deformed twice (rotation up to
15 degrees, scale 0.85 to 1.15, shift up to 12.8 pixels, elastic motion of 1.5 pixels root-mean-square with sigma 8).
Errors are means over the central 60 % of both sides. Times are those of the clock and, where others use the same core,
those that the processor spent here. Writes classical-flow.json, which has every pair, and table.txt into
docs/results/classical-flow/. `--only align --out FOLDER` measures one row and writes it elsewhere.

`--stereo`, which needs scikit-image, measures its stereo pair of a motorcycle (Middlebury 2014) instead, at a quarter
of its size, 185x125 grey pixels: the only photographs here whose motion was measured and not made. left(x) =
right(x - d), so the motion is (-d, 0). Occluded pixels count; those whose disparity d is unknown do not. Writes
stereo.json.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.ops import bilinear_sample
from hstn_ref import align, machine
from hstn_ref.alignment_metrics import flow_epe, image_epe, share_below
from hstn_ref.data import Pair, load_photographs, random_pair, to_grey
from hstn_ref.flow import brox, ldof, sift_flow
from hstn_ref.motion import folding_fraction

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (20180109, 7, 99)
SHAPE = (128, 128)
DEFAULT = ("no motion", "brox tuned", "brox brox2004", "sift_flow", "ldof")
PART = 0.6

FLOWS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "no motion": lambda source, target: np.zeros((2, *target.shape[1:]), np.float32),
    "brox tuned": lambda source, target: brox(source, target),
    "brox brox2004": lambda source, target: brox(source, target, preset="brox2004"),
    "sift_flow": sift_flow,
    "ldof": ldof,
    "align": lambda source, target: align(source, target).motion,
    "network": lambda source, target: align(source, target, engine="network").motion,
    "network refined": lambda source, target: align(source, target, engine="network", refine=True).motion,
}


def pairs_of(seed: int) -> list[Pair]:
    """Twenty pairs, two of every photograph."""
    rng = np.random.default_rng(seed)
    photographs = [to_grey(image) for image in load_photographs().values()]
    return [random_pair(image, SHAPE, rng) for _ in range(2) for image in photographs]


def measure(flow: Callable, pairs: list[Pair], rounds: int) -> dict:
    """Errors and times of a flow on every pair. Where it refuses to answer, the errors are those of no motion."""
    motions, seconds, processor, refused = [], [], [], 0
    for pair in pairs:
        for _ in range(rounds):
            start, start_processor = time.perf_counter(), time.process_time()
            try:
                motion = flow(pair.source, pair.target)
            except ValueError:
                motion = FLOWS["no motion"](pair.source, pair.target)
                refused += 1
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - start_processor)
        motions.append(motion)
    w, truth = np.stack(motions), np.stack([pair.motion for pair in pairs])
    sources, targets = (np.stack([getattr(pair, side) for pair in pairs]) for side in ("source", "target"))
    with no_grad():
        warped = bilinear_sample(Tensor(sources.astype(np.float32)), Tensor(w), border="edge").data
    return {
        "refused": refused // rounds,
        "flow_epe": flow_epe(w, truth, part=PART).round(4).tolist(),
        "image_epe": image_epe(warped / 255, targets / 255, part=PART).round(3).tolist(),
        "folding": folding_fraction(w).round(5).tolist(),
        "seconds": [round(s, 5) for s in seconds],
        "processor_seconds": [round(s, 5) for s in processor],
    }


def motorcycle() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Source and target (1, 125, 185), and two readings of the motion along x (125, 185), NaN where it is unknown.

    "centre": of the pixel nearest to the centre of 4x4, "mean": of all 16, where all are known.
    """
    from skimage.data import stereo_motorcycle

    left, right, disparity = (image[:500, :740] for image in stereo_motorcycle())
    size = (125, 4, 185, 4)
    target, source = (
        to_grey(np.rint(image.reshape(*size, 3).mean(axis=(1, 3))).astype(np.uint8).transpose(2, 0, 1))
        for image in (left, right)
    )
    d = np.where(np.isfinite(disparity), disparity, np.nan).reshape(size)
    return source, target, {"centre": -d[:, 2, :, 2] / 4, "mean": -d.mean(axis=(1, 3)) / 4}


def measure_motorcycle(flow: Callable) -> dict:
    """Mean and median error in pixels, and the share above 2 pixels, for both readings of the motion."""
    source, target, readings = motorcycle()
    w = flow(source, target)
    found = {}
    for name, x in readings.items():
        errors = np.hypot(w[0] - x, w[1])[np.isfinite(x)]
        numbers = {"mean": errors.mean(), "median": np.median(errors), "above 2 px": np.mean(errors > 2)}
        found[name] = {key: round(float(number), 4) for key, number in numbers.items()}
    return found


def row(name: str, found: dict) -> str:
    """A row of the table for what `measure` found."""
    errors, seconds, processor = found["flow_epe"], found["seconds"], found["processor_seconds"]
    numbers = [
        f"{statistics.mean(errors):.3f}",
        f"{statistics.median(errors):.3f}",
        f"{max(errors):.2f}",
        f"{round(share_below(np.array(errors)) * len(errors))}/{len(errors)}",
        f"{statistics.mean(found['image_epe']):.2f}",
        f"{100 * statistics.mean(found['folding']):.2f} %",
        f"{1e3 * statistics.median(seconds):.0f}",
        f"{1e3 * min(seconds):.0f}",
        f"{1e3 * statistics.median(processor):.0f}",
        f"{1e3 * min(processor):.0f}",
    ]
    return f"| {name} | {' | '.join(numbers)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--only", choices=FLOWS, nargs="+", default=None, metavar="ROW", help="rows to measure")
    parser.add_argument("--rounds", type=int, default=3, help="times that every pair is timed")
    parser.add_argument("--stereo", action="store_true", help="measure the stereo pair of scikit-image")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "classical-flow")
    options = parser.parse_args()
    options.only = options.only or [*DEFAULT, *(("align",) if options.stereo else ())]
    if options.stereo:
        if not find_spec("skimage"):
            parser.error("--stereo: scikit-image is not installed")
        found = {name: measure_motorcycle(FLOWS[name]) for name in options.only}
        print(*(f"{name}: {json.dumps(numbers)}" for name, numbers in found.items()), sep="\n")
        write(options.out / "stereo.json", {**origin(), "motorcycle": found})
        return

    header = "flow_epe mean | median | worst | below 1 px | image_epe mean | folds "
    header += "| ms, median | ms, least | ms of the processor, median | least |"
    lines = [f"| flow, seed | {header}", "|---" * 11 + "|"]
    warm_up = pairs_of(0)[0]
    results: dict[str, dict] = {}
    for name in options.only:
        flow = FLOWS[name]
        flow(warm_up.source, warm_up.target)  # compiles
        results[name] = {str(seed): measure(flow, pairs_of(seed), options.rounds) for seed in options.seeds}
        lines += [row(f"{name}, {seed}", found) for seed, found in results[name].items()]
        print(*lines[-len(options.seeds) :], sep="\n", flush=True)
    write(options.out / "classical-flow.json", {**origin(), "part": PART, "results": results})
    (options.out / "table.txt").write_text("\n".join(lines) + "\n")


def origin() -> dict:
    """What is known of how numbers were measured."""
    return {
        **machine.origin(shlex.join(["python", *sys.argv])),
        "threads": {key: os.environ.get(key) for key in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")},
        "cores allowed": len(os.sched_getaffinity(0)),
        "load averages at the end": [round(x, 2) for x in os.getloadavg()],
    }


def write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
