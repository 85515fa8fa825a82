"""hstn table1"""

from __future__ import annotations

from typing import Any

import click

from hstn_ref.cli.tables import make, options


@click.command()
@options(
    "table1",
    configs="paper, short, ablation, or a TOML file.  [default: that of the table in --out, or paper]",
    data="As of `hstn train`.  [default: of the configuration, mnist]",
    row="c_stn_4",
    quick="A reduced table, of few images and few epochs.",
)
def table1(**choices: Any) -> None:
    """Train the eight networks of the paper's Table 1, and write the table.

    One run after the other, each in a folder of its own under FOLDER. Stop it at any time, even without warning: the
    same command goes on where it was, and what is finished is not trained again. HSTN begins with the localisation
    network of the Affine-STN of the same seed. After every run, FOLDER has table1.md and table1.json, beside the
    paper's numbers, curves.png, transformers.png and confusion.png, and flows.png of several rows of HSTN.

    \b
    Examples:
      hstn data download mnist && hstn table1
      hstn table1 --config short --out runs/table1-short
      hstn table1 --config ablation --out runs/ablation
      hstn table1 --only hstn --seeds 0
      hstn table1 --report
      hstn table1 --quick
    """
    make("table1", **choices)
