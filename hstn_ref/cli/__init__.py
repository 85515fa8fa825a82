"""The command `hstn`, a module for each of its commands.

What a command needs is imported when it runs, so that `hstn --help` is quick.
"""

from __future__ import annotations

from typing import Any

import click

import hstn_ref
from hstn_ref.cli.align import align
from hstn_ref.cli.bench import bench
from hstn_ref.cli.data import data
from hstn_ref.cli.demo import demo
from hstn_ref.cli.evaluate import evaluate
from hstn_ref.cli.table1 import table1
from hstn_ref.cli.table2 import table2
from hstn_ref.cli.train import train
from hstn_ref.cli.verify import verify
from hstn_ref.errors import UserError

INTERRUPTED = 130  # the exit code after Ctrl-C, 128 + SIGINT


class Main(click.Group):
    """Turns expected errors into one sentence on standard error and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            number = getattr(interruption, "signal_number", INTERRUPTED - 128)
            click.echo(f"\nhstn: {interruption}" if str(interruption) else "\nhstn: stopped", err=True)
            ctx.exit(128 + number)
        except BrokenPipeError:  # the reader of our output has gone; click leaves quietly
            raise
        except (UserError, ValueError, TypeError, OSError, OverflowError) as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"hstn: error: {' '.join(str(error).split())}", err=True)
            ctx.exit(1)
        except MemoryError as error:
            if ctx.params["debug"]:
                raise
            asked = f" ({error})" if str(error) else ""
            click.echo(f"hstn: error: not enough memory{asked}, expected smaller images or batches", err=True)
            ctx.exit(1)


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(hstn_ref.__version__, prog_name="hstn")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Hierarchical Spatial Transformer Networks: train them, judge them, look inside.

    \b
    Examples:
      hstn demo                                     a short run of everything, a few minutes
      hstn train --model hstn --out runs/hstn       the paper's procedure, both stages
      hstn train --resume --out runs/hstn           go on after an interruption
      hstn evaluate runs/*/best.h5                  compare what was trained
      hstn table1                                   all networks of the paper's Table 1
      hstn table2                                   all methods of the paper's Table 2
      hstn align monday.png friday.png              bring one image onto another
      hstn verify                                   check every gradient
      hstn bench                                    how fast, beside PyTorch

    Exit codes: 0 done, 1 an error (one sentence says which), 2 wrong usage, 130 stopped by Ctrl-C.
    """


for command in (train, table1, table2, evaluate, align, data, demo, verify, bench):
    main.add_command(command)
