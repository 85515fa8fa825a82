"""hstn verify"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("target", required=False)
@click.option("--only", metavar="WORD", multiple=True, help="Cases with this word in their name; may be repeated.")
@click.option("--voice", type=click.Choice(["reference", "cpu"]), multiple=True, help="[default: both]")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), multiple=True, help="[default: both]")
@click.option("--against", type=click.Choice(["torch", "jax"]), multiple=True, help="Compare with a framework instead.")
@click.option("--conventions", metavar="FILE", help="With --against: measure what they do at kinks and borders.")
@click.option("--input", "shapes", metavar="SHAPE", multiple=True, help="An input of TARGET, as in 2,3,8,8.")
@click.option(
    "--seed", type=click.IntRange(min=0), help="Of the random inputs and directions for TARGET.  [default: 0]"
)
@click.option("--exclude-kinks", is_flag=True, help="Leave out elements of TARGET's inputs that are on a kink.")
@click.option("--out", metavar="FOLDER", default="runs/verify", show_default=True)
@click.option("--quiet", is_flag=True, help="Show nothing but errors and the result.")
def verify(
    target: str | None,
    only: tuple[str, ...],
    voice: tuple[str, ...],
    dtype: tuple[str, ...],
    against: tuple[str, ...],
    conventions: str | None,
    shapes: tuple[str, ...],
    seed: int | None,
    exclude_kinks: bool,
    out: str,
    quiet: bool,
) -> None:
    """Prove gradients: all of this package, or those of your own op in TARGET.

    Without TARGET, every op and every network goes through finite differences, complex steps, adjoint identities,
    second derivatives and Taylor slopes, in every voice and precision; or, with --against, beside PyTorch or JAX.
    FOLDER then has verify.html and verify.json. TARGET is FILE:FUNCTION for a function of Tensors, or
    FILE:FORWARD,BACKWARD for two functions in plain NumPy; its inputs are random numbers of the shapes given by
    --input, or what the file's own inputs(rng) returns. The exit code is 1 if a gradient is wrong.

    \b
    Examples:
      hstn verify
      hstn verify --dtype float64 --only conv2d
      hstn verify --against torch --against jax
      hstn verify examples/05_verify_your_op.py:charbonnier --input 4,5
    """
    from hstn_ref.files import check_folder

    if target is not None and (only or voice or against or conventions):
        raise click.UsageError("TARGET cannot be combined with --only, --voice, --against or --conventions")
    if target is None and (shapes or exclude_kinks or seed is not None):
        raise click.UsageError("--input, --seed and --exclude-kinks belong to a TARGET")
    if against and voice:
        raise click.UsageError("--voice cannot be combined with --against, which compares the voice cpu")
    if conventions and not against:
        raise click.UsageError("--conventions needs --against")
    if target is not None:
        passed = _own(target, shapes, dtype or ("float64",), seed or 0, exclude_kinks)
    else:
        check_folder(out)
        passed = (
            _beside(against, only, dtype, conventions, out, quiet) if against else _all(only, voice, dtype, out, quiet)
        )
    if not passed:
        raise SystemExit(1)


def _own(target: str, shapes: Sequence[str], dtypes: Sequence[str], seed: int, exclude_kinks: bool) -> bool:
    """Check a user's op and print the results."""
    from autodiff import check
    from hstn_ref.verify import user_op

    fun, module = user_op.load(target)
    passed = True
    for name in dtypes:
        with user_op.faults_named(target, module):
            arrays = user_op.inputs(module, shapes, seed, name)
            report = check.collect(fun, *arrays, seed=seed, kinks="exclude" if exclude_kinks else "count")
        click.echo(f"{target}, {name}, inputs {', '.join(str(a.shape) for a in arrays)}")
        click.echo(report)
        passed &= report.passed
    return passed


def _all(only: Sequence[str], voices: Sequence[str], dtypes: Sequence[str], out: str, quiet: bool) -> bool:
    from hstn_ref.verify import running

    start = time.perf_counter()
    with _bar(quiet) as report:
        rows = running.verify(only, voices=voices or running.VOICES, dtypes=dtypes or running.DTYPES, report=report)
    _print_checks(rows)
    _write(out, rows, {}, time.perf_counter() - start)
    return _verdict([row.result.passed for row in rows])


def _beside(
    names: Sequence[str], only: Sequence[str], dtypes: Sequence[str], conventions: str | None, out: str, quiet: bool
) -> bool:
    from hstn_ref.files import write_bytes
    from hstn_ref.verify import against

    start = time.perf_counter()
    found = {}
    for name in names:
        with _bar(quiet) as report:
            rows = against.against(name, report, dtypes or against.DTYPES, only)
        found[f"{name} {against.load(name).ops.version()}"] = rows
    _print_comparisons(found)
    if conventions:
        from hstn_ref.verify import conventions as table

        write_bytes(conventions, table.markdown(table.measure(names)).encode())
        click.echo(f"Written: {conventions}")
    _write(out, [], found, time.perf_counter() - start)
    return _verdict([row.passed for rows in found.values() for row in rows])


def _verdict(passed: Sequence[bool]) -> bool:
    failed = len(passed) - sum(passed)
    click.echo(f"{failed} of {len(passed)} results failed" if failed else f"all {len(passed)} results passed")
    return not failed


def _print_checks(rows: Sequence[Any]) -> None:
    """A line for each op or network and precision with its worst error by every check, and the worst of all."""
    from hstn_ref.cli.output import console
    from hstn_ref.verify import running

    names = running.checks(rows)
    cells = []
    for (subject, dtype), group in running.groups(rows):
        worst = (running.worst(group, name) for name in names)
        failed = any(not row.result.passed for row in group)
        cells.append([subject, dtype, *(_error(row) for row in worst), "FAILED" if failed else "ok"])
    headings = ["", "dtype", *names, ""]
    console().print(_table("Worst relative error; for Taylor remainders, their slope", headings, cells))
    for row in rows:
        if not row.result.passed:
            click.echo(f"{row.case}, {row.voice}, {row.dtype}: {row.result}")
    cells = []
    for name in names:
        for dtype in dict.fromkeys(row.dtype for row in rows):
            if row := running.worst([r for r in rows if r.dtype == dtype], name):
                where = f"{row.case}, {row.voice}, input {row.result.input}"
                cells.append([name, dtype, f"{row.result.error:.1e}", f"{row.result.tolerance:.0e}", where])
    console().print(_table("The worst of all", ["check", "dtype", "error", "tolerance", "where"], cells))


def _error(row: Any) -> str:
    if row is None:
        return ""
    result = row.result
    if result.check.startswith("taylor"):
        return "exact" if result.order is None else f"{result.order:.2f}"
    return f"{result.error:.0e}"


def _print_comparisons(found: Mapping[str, Sequence[Any]]) -> None:
    """The worst relative error and distance in ulp of each framework, precision and op or network."""
    from hstn_ref.cli.output import console

    for name, rows in found.items():
        groups: dict[tuple[str, str], list[Any]] = {}
        for row in rows:
            groups.setdefault((row.case.partition(":")[0], row.dtype), []).append(row)
        cells = []
        for (subject, dtype), group in groups.items():
            worst = max(group, key=lambda row: row.error / row.tolerance)
            verdict = "ok" if all(row.passed for row in group) else "FAILED"
            arrays, numbers = str(len(group)), [f"{worst.error:.1e}", f"{worst.ulp:.3g}"]
            cells.append([subject, dtype, arrays, *numbers, f"{worst.case}: {worst.what}", verdict])
        headings = ["", "dtype", "arrays", "error", "ulp", "where", ""]
        console().print(_table(f"Beside {name}: values and gradients, the worst relative error", headings, cells))


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _write(out: str, rows: Sequence[Any], comparisons: Mapping[str, Sequence[Any]], seconds: float) -> None:
    """verify.json and verify.html in the folder."""
    from dataclasses import asdict

    from hstn_ref import machine
    from hstn_ref.files import write_bytes
    from hstn_ref.verify import html, running

    facts = {"command": machine.command(), "seconds": round(seconds, 1), "commit": machine.commit()}
    content = {
        **facts,
        "machine": machine.describe(),
        "results": running.as_json(rows),
        "against": {name: [{**asdict(r), "passed": r.passed} for r in found] for name, found in comparisons.items()},
    }
    paths = Path(out) / "verify.json", Path(out) / "verify.html"
    write_bytes(paths[0], json.dumps(content, indent=1).encode())
    write_bytes(paths[1], html.page(rows, comparisons, {**facts, **machine.describe()}).encode())
    click.echo(f"Written: {', '.join(map(str, paths))}")


class _bar:
    """A progress bar as a context; what it gives is told (text, how many are done, of how many)."""

    def __init__(self, quiet: bool):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from hstn_ref.cli.output import console

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self.bar = Progress(*columns, console=console(stderr=True, quiet=quiet), transient=True, disable=quiet)
        self.task = self.bar.add_task("")

    def __enter__(self) -> Any:
        self.bar.start()
        return lambda text, done, total: self.bar.update(self.task, description=text, completed=done, total=total)

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()
