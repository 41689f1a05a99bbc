"""MODEL_CARD.md."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
from flatdense_training.report.card import as_markdown, make_card
from flatdense_training.report.findings import Findings
from flatdense_training.report.report import Report
from flatdense_training.report.tables import Table

pytestmark = pytest.mark.xdist_group("report")  # the files are written once


@pytest.fixture(scope="module")
def card(folder: Path) -> str:
    """The file."""
    return (folder / "MODEL_CARD.md").read_text()


def tables(text: str) -> Iterator[list[str]]:
    """The lines of each table."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("|"):
            yield [line, *takewhile(lambda other: other.startswith("|"), lines)]


def test_chapters(card: str) -> None:
    """It says what the model is, what for and what not, from what, how good, and on what terms."""
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings == [
        "# flatdense on scikit-learn's digits",
        "## What it is",
        "## What it is for",
        "## What it is not for",
        "## Data",
        "## Training",
        "## How good it is",
        "## Calibration",
        "## Robustness",
        "## Limits",
        "## To have the same again",
        "## Licence",
    ]


def test_figures(card: str, report: Report, findings: Findings) -> None:
    """Its figures are those of the report, with intervals; its checksums those of the manifest."""
    test = report.test
    assert f"{100 * test.accuracy:.2f}" in card
    assert f"{100 * test.accuracy_low:.2f} to {100 * test.accuracy_high:.2f}" in card
    assert f"{100 * report.calibration.ece:.2f}" in card
    assert all(f"| {sha}" in card for sha in findings.manifest.training.sources.values())
    assert "    flatdense-train --dataset digits --seed 7\n" in card
    assert "$" not in card


def test_tables_are_even(card: str) -> None:
    """Every row of a table has as many cells as its head, whatever the cells hold."""
    found = list(tables(card))
    assert len(found) == 8
    for table in found:
        assert len({line.replace(r"\|", "").count("|") for line in table}) == 1
    assert r"least squares <once> \| twice" in card


def test_a_cell_stays_a_cell() -> None:
    """A bar or a new line in a cell begins neither another cell nor another row."""
    table = Table(head=["a", "b"], rows=[["x|y", "1\n2"]], words=1)
    assert as_markdown(table).splitlines() == ["| a | b |", "| --- | ---: |", r"| x\|y | 1 2 |"]


def test_dollars_are_words(findings: Findings, report: Report) -> None:
    """A name that looks like a placeholder stands as it is."""
    assert "# flatdense on $command" in make_card(replace(findings, data_title="$command"), report)
