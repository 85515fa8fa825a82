"""hstn bench"""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.option(
    "--only",
    metavar="PART",
    multiple=True,
    help="steps, inference, layers, memory, startup or growth; may be repeated.  [default: all]",
)
@click.option("--threads", type=int, multiple=True, help="May be repeated.  [default: 1 and all cores]")
@click.option("--rounds", type=int, default=9, show_default=True, help="Turns of every framework at a case.")
@click.option("--alone", is_flag=True, help="Do not compare with PyTorch.")
@click.option("--compile", "compiled", is_flag=True, help="Try torch.compile too; it takes minutes.")
@click.option("--out", metavar="FOLDER", default="runs/bench", show_default=True)
@click.option("--quiet", is_flag=True, help="Show nothing but errors and the result.")
def bench(
    only: tuple[str, ...], threads: tuple[int, ...], rounds: int, alone: bool, compiled: bool, out: str, quiet: bool
) -> None:
    """Time training, inference and convolution layers, beside PyTorch.

    First the results of networks and layers are compared with those of the reference voice. Then the frameworks take
    turns at every case, each in a process of its own; the medians count, and of PyTorch the faster of plain NCHW and
    channels_last. FOLDER then has bench.json and bench.png. Use an idle machine: a browser in the background is seen
    in the numbers.

    \b
    Examples:
      hstn bench
      hstn bench --only steps --threads 2
      hstn bench --only layers --alone
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hstn_ref import machine
    from hstn_ref.bench import running
    from hstn_ref.cli.output import console
    from hstn_ref.files import check_folder

    if unknown := set(only) - set(running.PARTS):
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}; expected {', '.join(running.PARTS)}", param_hint="--only"
        )
    if rounds < 1:
        raise click.BadParameter(f"{rounds}, expected at least 1", param_hint="--rounds")
    check_folder(out)
    counts = list(threads) or sorted({1, machine.set_threads(None)})
    for count in counts:
        machine.set_threads(count)  # says so if there are not as many
    modes = [] if alone else ["eager", "channels_last", *(["compile"] if compiled else [])]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(stderr=True, quiet=quiet), transient=True, disable=quiet) as bar:
        task = bar.add_task("")

        def report(text: str, done: int, total: int) -> None:
            bar.update(task, description=text, completed=done, total=total)

        result = running.bench(only or running.PARTS, threads=counts, rounds=rounds, against=modes, report=report)
    result["command"] = machine.command()
    for table in tables(result):
        console().print(table)
    paths = running.write(result, out)
    click.echo(f"Written: {', '.join(map(str, paths))}")


def tables(result: dict[str, Any]) -> list[Any]:
    """The measurement as tables for the terminal."""
    from rich.table import Table

    found = []
    compared = any(row["ratio"] is not None for row in [*result["cases"], *result["growth"]])
    headings = ["case", "batch", "threads", "ms", *(["PyTorch ms", "mode", "ratio"] if compared else [])]
    for title, kinds in (("Networks", ("step", "inference")), ("Layers", ("forward", "forward + backward"))):
        rows = [row for row in result["cases"] if row["kind"] in kinds]
        if not rows:
            continue
        table = Table(title=title, title_justify="left", title_style="bold")
        for heading in [*headings, *(["GFLOP/s", "of peak"] if title == "Layers" else [])]:
            table.add_column(heading, justify="left" if heading in ("case", "mode") else "right")
        for row in rows:
            cells = [f"{row['name']}, {row['kind']}", str(row["batch"]), str(row["threads"])]
            cells.append(f"{1e3 * row['ours']['median']:.2f}")
            if compared:
                cells += [f"{1e3 * row['pytorch']['median']:.2f}", row["pytorch"]["mode"], f"{row['ratio']:.2f}"]
            if title == "Layers":
                peak = result["peak_gflops"][str(row["threads"])]
                cells += [f"{row['gflops']:.0f}", f"{row['gflops'] / peak:.0%}"]
            table.add_row(*cells)
        found.append(table)
    if "memory" in result:
        table = Table(title="Peak resident memory of training, MB", title_justify="left", title_style="bold")
        table.add_column("network")
        for name in next(iter(result["memory"].values())):
            table.add_column(name, justify="right")
        for network, sizes in result["memory"].items():
            table.add_row(network, *(f"{size / 2**20:.0f}" for size in sizes.values()))
        found.append(table)
    if "startup" in result:
        table = Table(title="Seconds of a fresh process", title_justify="left", title_style="bold")
        table.add_column("until")
        table.add_column("s", justify="right")
        for name, text in (
            ("import", "hstn_ref is imported"),
            ("first_step", "the first step of HSTN paper is done"),
            ("first_step_empty_cache", "the same, kernels compiled on the way"),
        ):
            table.add_row(text, f"{result['startup'][name]:.2f}")
        found.append(table)
    return found
