"""hstn align"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--out", metavar="FOLDER", default="aligned", show_default=True, help="Where the results go.")
@click.option(
    "--engine",
    type=click.Choice(["optimise", "network", "brox", "sift_flow", "ldof"]),
    default="optimise",
    show_default=True,
    help="How the motion is found.",
)
@click.option(
    "--checkpoint", metavar="FILE", help="Of hstn train --task align, instead of the network that comes along."
)
@click.option("--refine", is_flag=True, help="Let optimise go on where another engine ends.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["flo", "npy", "h5"]),
    default="flo",
    show_default=True,
    help="Of the motion and its inverse.",
)
@click.option("--points", metavar="FILE.csv", help="Points of SOURCE, x,y in pixels: where do they lie in TARGET?")
@click.option("--mask", metavar="FILE", help="Labels of SOURCE, an image of one channel, to be warped as well.")
@click.option(
    "--resample",
    is_flag=True,
    help="Bring SOURCE to the size of TARGET first: motion, inverse and matrix are of SOURCE in that size then.",
)
@click.option(
    "--pixel-size", metavar="LENGTH", help='Of TARGET, as in "0.25 mm": lengths are told in that unit as well.'
)
@click.option("--quiet", is_flag=True, help="Print nothing.")
def align(
    source: str,
    target: str,
    out: str,
    engine: str,
    checkpoint: str | None,
    refine: bool,
    form: str,
    points: str | None,
    mask: str | None,
    resample: bool,
    pixel_size: str | None,
    quiet: bool,
) -> None:
    """Find the motion that brings one image onto another.

    Images are PNG, JPEG, TIFF or BMP files of 8 bits, or greys of 16. Writes to FOLDER the source warped onto the
    target, the motion (pixels, x first: target(p) is like source(p + motion(p))), its inverse, its Jacobian
    determinant, what lies outside, the affine matrix, and a picture of it all.

    \b
    Examples:
      hstn align monday.png friday.png
      hstn align monday.png friday.png --engine network --refine
      hstn align monday.png friday.png --points landmarks.csv --format npy --out monday_on_friday
    """
    import warnings

    import numpy as np
    from rich.progress import Progress

    import hstn_ref
    from hstn_ref.alignment.companions import read_mask, read_points, resampled_mask, resampled_points
    from hstn_ref.alignment.output import check_folder, write_alignment
    from hstn_ref.alignment.summary import describe, summary
    from hstn_ref.cli.output import console
    from hstn_ref.data.images import read_image, to_eight_bits, to_grey
    from hstn_ref.errors import DataError
    from hstn_ref.flow.pyramid import resize
    from hstn_ref.motion import NotConverged
    from hstn_ref.progress import announce_compilation

    pixel = None if pixel_size is None else _length(pixel_size)
    check_folder(Path(out), [Path(path) for path in (source, target, points, mask) if path is not None])
    moving, still = read_image(source), read_image(target)
    landmarks = None if points is None else read_points(points)
    labels = None if mask is None else read_mask(mask, moving.shape[1:])
    about: dict[str, Any] = {"source": source, "target": target, "engine": engine}
    if pixel is not None:
        about["pixel_size"] = dict(zip(("value", "unit"), pixel, strict=True))
    size, new_size = moving.shape[1:], still.shape[1:]
    if size != new_size:
        if not resample:
            sizes = [f"{path} has {i.shape[2]}x{i.shape[1]}" for path, i in ((source, moving), (target, still))]
            raise DataError(f"{sizes[0]} pixels and {sizes[1]}, expected the same size; --resample makes it so")
        moving = np.rint(resize(moving, new_size)).clip(0, np.iinfo(moving.dtype).max).astype(moving.dtype)
        landmarks = None if landmarks is None else resampled_points(landmarks, size, new_size)
        labels = None if labels is None else resampled_mask(labels, new_size)
        about["resampled_from"] = [size[1], size[0]]
    pair = (moving, still) if len(moving) == len(still) else (to_grey(moving), to_grey(still))
    if moving.dtype != still.dtype:
        pair = (to_eight_bits(pair[0]), to_eight_bits(pair[1]))
    announce_compilation(quiet=quiet)
    screen = console(stderr=True, quiet=quiet)
    with Progress(console=screen, disable=quiet or not screen.is_terminal, transient=True) as bar:
        task = bar.add_task("aligning")
        found = hstn_ref.align(
            *pair,
            engine=engine,
            checkpoint=checkpoint,
            refine=refine,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        bar.update(task, description="inverting the motion", total=None)
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always", NotConverged)
            write_alignment(found, moving, Path(out), form=form, points=landmarks, mask=labels, about=about)
    if not quiet:
        for doubt in doubts:
            click.echo(f"hstn: warning: {doubt.message}", err=True)
        click.echo(describe(summary(found), pixel))
        click.echo(f"written to {out}/, look at {Path(out, 'picture.png')}")


def _length(text: str) -> tuple[float, str]:
    """A number and a unit, as in 0.25mm."""
    number, unit = r"[0-9.]+(?:e[-+]?[0-9]+)?", r"(?!e[-+]?[0-9])[^0-9\s].*?"  # an exponent is no unit
    found = re.fullmatch(rf"\s*({number})\s*({unit})\s*", text, re.IGNORECASE)
    try:
        size = float(found[1]) if found else 0.0
    except ValueError:
        size = 0.0
    if found is None or not 0 < size < math.inf:
        raise click.BadParameter(f"{text!r}, expected a number and a unit, such as 0.25mm", param_hint="--pixel-size")
    return size, found[2]
