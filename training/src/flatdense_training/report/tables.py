"""What the page and the model card say in tables: the figures, and where the version came from."""

from collections.abc import Sequence
from dataclasses import dataclass

from flatdense_training.judge.robustness import without_untouched
from flatdense_training.report.findings import Findings
from flatdense_training.report.notation import count, duration, percent, span
from flatdense_training.report.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Plain text in rows, the first column of which says what a row is about."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int
    """The columns after so many hold numbers."""
    code: bool = False
    """Whether the last column is for machines."""


def class_table(report: Report) -> Table:
    """Recall and precision of each class on the test images."""
    return Table(
        head=["Class", "Images", "Recall", "Between", "Precision", "Between"],
        rows=[
            [
                each.name,
                count(each.rows),
                percent(each.recall),
                span(each.recall_low, each.recall_high),
                percent(each.precision),
                span(each.precision_low, each.precision_high),
            ]
            for each in report.classes
        ],
        words=1,
    )


def outcome_table(report: Report) -> Table:
    """How often it is right about validation and test images."""
    return Table(
        head=["Images", "Right", "Accuracy", "Between", "Loss in nats"],
        rows=[
            [
                name,
                f"{count(outcome.correct)} of {count(outcome.rows)}",
                percent(outcome.accuracy),
                span(outcome.accuracy_low, outcome.accuracy_high),
                f"{outcome.loss:.4f}",
            ]
            for name, outcome in (("validation", report.validation), ("test", report.test))
        ],
        words=1,
    )


def bin_table(report: Report) -> Table:
    """The reliability diagram in numbers."""
    return Table(
        head=["This sure", "Answers", "Sure on average", "Right"],
        rows=[
            [
                span(each.low, each.high),
                count(each.rows),
                percent(each.confidence),
                percent(each.accuracy),
            ]
            for each in report.calibration.bins
        ],
        words=1,
    )


def robustness_table(report: Report) -> Table:
    """The accuracy under each disturbance; undisturbed once, at the top."""
    disturbed = [
        [step.disturbance, f"{step.amount:g} {step.unit}", percent(step.accuracy)]
        for step in without_untouched(report.robustness)
    ]
    return Table(
        head=["Disturbance", "Amount", "Right"],
        rows=[["none", "", percent(report.test.accuracy)], *disturbed],
        words=1,
    )


def method_table(findings: Findings) -> Table:
    """How the network was trained."""
    training = findings.manifest.training
    return Table(
        head=["What", "How"],
        rows=[
            *findings.recipe,
            ("Passes that were made", count(len(findings.epochs))),
            ("Seed", str(training.seed)),
            ("Time", duration(training.duration_s)),
        ],
        words=2,
    )


def source_table(findings: Findings) -> Table:
    """The checksums that tell the data from anything else."""
    return Table(
        head=["File", "SHA-256 of its unpacked bytes"],
        rows=list(findings.manifest.training.sources.items()),
        words=2,
        code=True,
    )


def layer_table(findings: Findings) -> Table:
    """The network."""
    return Table(
        head=["Layer", "Kind", "Activation", "Output", "Parameters"],
        rows=[
            [
                layer.name,
                layer.kind,
                layer.activation or "none",
                " x ".join(map(str, layer.output_shape)),
                count(layer.parameters),
            ]
            for layer in findings.manifest.architecture.layers
        ],
        words=3,
    )


def library_table(findings: Findings) -> Table:
    """What trained it."""
    return Table(
        head=["Library", "Version"], rows=list(findings.manifest.libraries.items()), words=2
    )
