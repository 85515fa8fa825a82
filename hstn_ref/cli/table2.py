"""hstn table2"""

from __future__ import annotations

from typing import Any

import click

from hstn_ref.cli.tables import make, options


@click.command()
@options(
    "table2",
    configs="short, paper, or a TOML file.  [default: that of the table in --out, or short]",
    data='A folder of images, or "embedded".  [default: of the configuration, embedded]',
    row="brox",
    quick="A reduced table, of few pairs and few epochs.",
)
def table2(**choices: Any) -> None:
    """Measure the eight methods of the paper's Table 2, and write the table.

    Pairs of images are made from the photographs of the package, or of a folder, by an affine and an elastic motion.
    Networks are trained without the true motion, and all methods are judged on the same test pairs. Of fewer than
    twenty images, like the ten photographs, none is kept for the test: it has other windows of those that the networks
    are trained with, which favours networks over flows, and the table says so.

    One run after the other, each in a folder of its own under FOLDER. Stop it at any time, even without warning: the
    same command goes on where it was. After every run, FOLDER has table2.md and table2.json, beside the numbers of the
    paper, and alignments.png.

    \b
    Examples:
      hstn table2
      hstn table2 --data path/to/faces --out runs/table2-faces
      hstn table2 --only brox --only ldof
      hstn table2 --report
      hstn table2 --quick
    """
    make("table2", **choices)
