"""MODEL_CARD.md: what the model is for, what it is not for, and what it can do.

Its chapters are those of Mitchell and others, "Model Cards for Model Reporting", FAT* 2019.
"""

from string import Template

from flatdense_training.data.pixels import SIDE
from flatdense_training.report.findings import Findings
from flatdense_training.report.notation import count, percent
from flatdense_training.report.report import Report
from flatdense_training.report.resource import resource
from flatdense_training.report.summary import headline, sentences, strengths, weaknesses
from flatdense_training.report.tables import (
    Table,
    bin_table,
    class_table,
    layer_table,
    library_table,
    method_table,
    outcome_table,
    robustness_table,
    source_table,
)

LICENCE = "Apache-2.0"


def make_card(findings: Findings, report: Report) -> str:
    """The whole file, in Markdown."""
    manifest = findings.manifest
    training = manifest.training
    return Template(resource("card.md")).substitute(
        title=findings.data_title,
        headline=headline(report),
        sentences="\n".join(f"- {sentence}" for sentence in sentences(report)),
        side=SIDE,
        pixels=SIDE * SIDE,
        classes=len(manifest.classes),
        names=", ".join(manifest.classes),
        layers=as_markdown(layer_table(findings)),
        parameters=count(manifest.architecture.parameters),
        date=f"{manifest.created_at:%Y-%m-%d}",
        train_rows=count(training.train_rows),
        validation_rows=count(training.validation_rows),
        test_rows=count(training.test_rows),
        sources=as_markdown(source_table(findings)),
        recipe=as_markdown(method_table(findings)),
        libraries=as_markdown(library_table(findings)),
        outcomes=as_markdown(outcome_table(report)),
        class_outcomes=as_markdown(class_table(report)),
        ece=percent(report.calibration.ece),
        temperature=f"{report.calibration.temperature:.4g}",
        bins=as_markdown(bin_table(report)),
        robustness=as_markdown(robustness_table(report)),
        weaknesses=weaknesses(report),
        strengths=strengths(report),
        command=findings.command,
        licence=LICENCE,
    )


def as_markdown(table: Table) -> str:
    """The table in Markdown; numbers stand at the right."""
    rules = ["---" if place < table.words else "---:" for place in range(len(table.head))]
    cells = [table.head, rules, *table.rows]
    return "\n".join(f"| {' | '.join(map(escape, row))} |" for row in cells)


def escape(cell: str) -> str:
    """The text as one cell."""
    return cell.replace("\n", " ").replace("|", r"\|")
