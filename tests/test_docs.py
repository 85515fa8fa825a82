"""The documentation against the tree: examples run, and what a page names exists.

A Python block after the comment `<!-- run -->` is run as it stands, and must print what the text block after it says.
"""

import ast
import contextlib
import importlib
import inspect
import io
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest

from autodiff import use
from hstn_ref.cli import main
from hstn_ref.models import MODELS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
RUN = re.compile(r"^<!-- run -->\n```python\n(.*?)^```\n```text\n(.*?)^```$", re.M | re.S)
TABLE_ROW = re.compile(r"^\| *(.+?) *\|$", re.M)
FOLDERS = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())
MADE = ("runs/", "site/")  # by commands, not kept
SUFFIXES = (".py", ".md", ".toml", ".yml", ".json", ".xz", ".png", ".cu")
HOMES = ("autodiff.ops", "autodiff.tensor", "hstn_ref.motion", "hstn_ref.models")  # of names without a path


def relative(path):
    return str(path.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=relative)


def prose(text):
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


def code_spans(text):
    return re.findall(r"`([^`\n]+)`", prose(text))


def path_of(span):
    """The path that a code span names; None if it is none."""
    if not re.fullmatch(r"[\w.\-/]+", span) or span.startswith(MADE):
        return None
    return span if span.startswith(FOLDERS) or span.endswith(SUFFIXES) else None


def links(text):
    """The targets of links and pictures in this tree."""
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", prose(text)) if not re.match(r"[a-z]+:|#", t)]


def table(heading):
    """The rows of the table below a heading of the paper map: lists of cells, without the head."""
    section = (DOCS / "paper-map.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [re.split(r" *(?<!\\)\| *", row) for row in TABLE_ROW.findall(section)]
    return rows[2:]


# Examples


def examples():
    found = [(page, n, *block) for page in PAGES for n, block in enumerate(RUN.findall(page.read_text()))]
    return [pytest.param(code, printed, id=f"{relative(page)} {n}") for page, n, code, printed in found]


@pytest.mark.parametrize("code, printed", examples())
def test_an_example_prints_what_its_page_says(code, printed):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "example", "exec"), {})
    assert output.getvalue() == printed


@every_page
def test_python_blocks_are_python_and_every_mark_is_followed_by_an_example(page):
    text = page.read_text()
    for _, language, code in FENCE.findall(text):
        if language == "python":
            ast.parse(code)
    assert len(RUN.findall(text)) == text.count("<!-- run -->")


# What a page names


def test_the_search_for_names_finds_them():
    text = "`a/b` and `autodiff/x.py`, ![p](img/p.png) [q](q.md) [r](https://r.org) [s](#s)\n"
    text += "```text\n`no.py` [n](n.md)\n```\n"
    assert links(text) == ["img/p.png", "q.md"]
    assert [path_of(span) for span in code_spans(text)] == [None, "autodiff/x.py"]
    assert path_of("runs/first") is None and path_of("docs/ops/") == "docs/ops/" and path_of("sum / 2") is None


@every_page
def test_every_link_leads_somewhere(page):
    targets = [page.parent / link.partition("#")[0] for link in links(page.read_text())]
    assert [relative(target) for target in targets if not target.exists()] == []


@every_page
def test_every_path_exists(page):
    """A path with a folder is one from the root of the tree, a bare name that of any source file."""
    tree = ("autodiff", "hstn_ref", "docs", "examples", "scripts", "tests")
    names = {path.name for folder in tree for path in (ROOT / folder).rglob("*.*")}
    names |= {path.name for path in ROOT.iterdir()}
    paths = {path for span in code_spans(page.read_text()) if (path := path_of(span))}
    missing = [path for path in sorted(paths) if not ((ROOT / path).exists() if "/" in path else path in names)]
    assert missing == []


@every_page
def test_every_test_that_is_named_exists(page):
    named = {span for span in code_spans(page.read_text()) if re.fullmatch(r"test_\w+", span)}
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named - set(re.findall(r"^def (test_\w+)", sources, re.M)) == set()


def wrong_word(command_line):
    """The first word of `hstn ...` that is no command or no option; None if there is none."""
    command = main
    for word in shlex.split(command_line, comments=True)[1:]:
        option = word.partition("=")[0]
        if option.startswith("-"):
            if option not in {"--help", *(name for p in command.params for name in (*p.opts, *p.secondary_opts))}:
                return option
        elif isinstance(command, click.Group):
            if word not in command.commands:
                return word
            command = command.commands[word]
    return None


def test_the_search_for_wrong_words_finds_them():
    assert wrong_word("hstn train --model hstn --resume  # --nothing") is None
    assert wrong_word("hstn trane --model hstn") == "trane"
    assert wrong_word("hstn train --mode=hstn") == "--mode"


@every_page
def test_every_command_is_one(page):
    text = page.read_text()
    commands = [*re.findall(r"`(hstn [^`\n]+)`", prose(text)), *re.findall(r"^ *(hstn [a-z].*)$", text, re.M)]
    assert [(c, wrong_word(c)) for c in commands if wrong_word(c)] == []


@pytest.mark.parametrize("row", table("Equations"), ids=lambda row: row[0])
def test_an_equation_of_the_paper_map_names_what_exists(row):
    equation, _, code = row
    spans = re.findall(r"`([^`]+)`", code)
    paths = [span for span in spans if path_of(span)]
    modules = [span.removesuffix("/").removesuffix(".py").replace("/", ".") for span in paths]
    names = [span for span in spans if span not in paths and not span.startswith("hstn ")]
    for name in names:
        assert any(resolves(name, importlib.import_module(module)) for module in (*modules, *HOMES)), name
    if equation.startswith("("):
        assert names or code == "theory of the flow generator; no code of its own"


def resolves(name, module):
    """Whether module has `name`: a function, a method of the class itself, or a call with names of options."""
    name, _, options = name.rstrip(")").partition("(")
    value = module
    for part in name.split("."):
        value = vars(value).get(part) if hasattr(value, "__dict__") else None
    accepted = inspect.signature(value).parameters if callable(value) else {}
    return callable(value) and set(re.findall(r"(\w+)=", options)) <= set(accepted)


def readings():
    """Every `option=value` of the paper map, that is, every other reading of the paper."""
    cells = " ".join(cell for row in table("What the paper leaves open") for cell in row)
    return sorted(set(re.findall(r'`(\w+=(?:"\w+"|\w+|\([\d, ]+\)))`', cells)))


@pytest.mark.parametrize("reading", readings())
def test_a_reading_of_the_paper_map_is_an_option_of_a_network(reading):
    name, _, value = reading.partition("=")
    with_option = [model for model in MODELS.values() if name in inspect.signature(model).parameters]
    assert with_option
    for model in with_option:
        options = {name: ast.literal_eval(value), **({"preset": "tiny"} if model.name == "hstn" else {})}
        images = np.random.default_rng(0).random((1, 1, 46, 50), np.float32)
        with use("reference"):
            assert np.isfinite(model(image_size=(46, 50), **options).eval().loss(images, [3]).item())


def test_the_paper_map_has_readings():
    expected = {'border="edge"', "detach_first_warp=True", 'combine="compose"', 'compose="left"', "grid=(3, 5)"}
    assert expected <= set(readings())


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page():
    entries = re.findall(r"\S+\.md$", (ROOT / "mkdocs.yml").read_text(), re.M)
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")]
    assert sorted(entries) == sorted(pages)


def test_pictures_are_small():
    assert [relative(p) for p in (DOCS / "images").glob("*") if p.stat().st_size > 100_000] == []
