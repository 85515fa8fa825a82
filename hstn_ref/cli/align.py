"""hstn align"""

from __future__ import annotations

from pathlib import Path

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
@click.option("--resample", is_flag=True, help="Bring SOURCE to the size of TARGET first.")
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
    resample: bool,
    quiet: bool,
) -> None:
    """Find the motion that brings one image onto another.

    Images are PNG, JPEG, TIFF or BMP files; 16 bits are rounded to 8. Writes to FOLDER the source warped onto the
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
    from hstn_ref.alignment.output import read_points, write_alignment, write_points
    from hstn_ref.alignment.summary import describe, summary
    from hstn_ref.cli.output import console
    from hstn_ref.data.images import read_image, to_grey
    from hstn_ref.errors import DataError
    from hstn_ref.flow.pyramid import resize
    from hstn_ref.motion import NotConverged
    from hstn_ref.progress import announce_compilation

    landmarks = None if points is None else read_points(Path(points))
    moving, still = read_image(source), read_image(target)
    if moving.shape[1:] != still.shape[1:]:
        if not resample:
            sizes = [f"{path} has {i.shape[2]}x{i.shape[1]}" for path, i in ((source, moving), (target, still))]
            raise DataError(f"{sizes[0]} pixels and {sizes[1]}, expected the same size; --resample makes it so")
        moving = np.rint(resize(moving, still.shape[1:])).clip(0, 255).astype(np.uint8)
    pair = (moving, still) if len(moving) == len(still) else (to_grey(moving), to_grey(still))
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
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always", NotConverged)
        write_alignment(found, moving, Path(out), form=form)
        if landmarks is not None:
            write_points(found.warp_points(landmarks), Path(out, "points.csv"))
    if not quiet:
        for doubt in doubts:
            click.echo(f"hstn: warning: {doubt.message}", err=True)
        click.echo(describe(summary(found)))
        click.echo(f"written to {out}/, look at {Path(out, 'picture.png')}")
