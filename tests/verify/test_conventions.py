"""The table of conventions: its page says what ours answers, and (marked verify) what the frameworks answer."""

import re
from pathlib import Path

import numpy as np
import pytest

from autodiff import use
from hstn_ref.verify.conventions import Row, Table, markdown, measure
from hstn_ref.verify.probes import Probe, probes

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"


@pytest.mark.parametrize("voice", ["reference", "cpu"])
def test_the_page_says_what_ours_answers(voice):
    """The first two columns: the questions, and our answers in every voice."""
    with use(voice):
        measured = [(row.question, row.ours) for row in measure([]).rows]
    cells = [re.split(r" *(?<!\\)\| *", line)[1:3] for line in re.findall(r"^\|.*\|$", PAGE.read_text(), re.M)]
    page = [(question, ours) for question, ours in cells if question != "question" and "---" not in question]
    assert page == [(question.replace("|", "\\|"), ours) for question, ours in measured]


@pytest.mark.verify
def test_the_page_is_what_was_measured_and_every_claim_was_confirmed():
    table = measure(["torch", "jax"])
    assert [row.question for row in table.rows if row.failed] == []
    assert markdown(table) == PAGE.read_text()


def test_questions_are_asked_once_and_claims_are_about_frameworks():
    questions = probes()
    assert len({(probe.subject, probe.question) for probe in questions}) == len(questions)
    for probe in questions:
        assert set(probe.native) | set(probe.lacks) | set(probe.like) <= {"torch", "jax"}
        assert not set(probe.lacks) & (set(probe.native) | set(probe.like))


class Judge:
    """A framework whose relu has the gradient 1/2 at 0."""

    @staticmethod
    def version():
        return "1.2"

    @staticmethod
    def value_and_gradients(fun, arrays):
        return np.maximum(arrays[0], 0), [np.where(arrays[0] > 0, 1, 0.5)]


@pytest.mark.parametrize(
    ("like", "failed"),
    [
        (("0.5 x", lambda ops, x: x * 0.5), []),
        (("x", lambda ops, x: x * 1.0), ["torch"]),  # a wrong claim
    ],
)
def test_a_claim_is_run(monkeypatch, like, failed):
    probe = Probe("Kinks", "relu at 0", lambda ops, x: ops.relu(x), (np.zeros(1),), like={"torch": like})
    monkeypatch.setattr("hstn_ref.verify.conventions.probes", lambda: [probe])
    monkeypatch.setattr("hstn_ref.verify.conventions.load", lambda name: type("Peer", (), {"ops": Judge}))
    table = measure(["torch"])
    assert table.versions == {"torch": "1.2"}
    assert table.rows == [Row("Kinks", "relu at 0", "0", {"torch": "0.5"}, {"torch": like[0]}, failed)]


def test_markdown():
    rows = [Row("Kinks", "|x| at 0", "0", {"jax": "1"}, {"jax": "max"}), Row("Kinks", "relu", "0", {"jax": "as ours"})]
    page = markdown(Table({"jax": "0.10"}, rows))
    assert "Measured in float64 with JAX 0.10;" in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert table == [
        "| question | ours | JAX | ours gives the others by |",
        "|---|---|---|---|",
        "| \\|x\\| at 0 | 0 | 1 | JAX: max |",
        "| relu | 0 | as ours |  |",
    ]
