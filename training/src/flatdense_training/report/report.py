"""report.json: the figures of a version, for programs."""

from collections.abc import Sequence
from dataclasses import dataclass

from flatdense_training.fit.recipe import Epoch
from flatdense_training.judge.by_class import ClassOutcome, judge_classes
from flatdense_training.judge.calibration import ReliabilityBin, calibrate
from flatdense_training.judge.confusion import confusion_matrix
from flatdense_training.judge.hardest import HardImage, find_hardest
from flatdense_training.judge.outcome import Outcome, sum_up
from flatdense_training.judge.rejection import Rejection, reject
from flatdense_training.judge.robustness import Disturbed, disturb
from flatdense_training.report.findings import Findings

FORMAT_VERSION = 1
"""Grows when an old reader would misread a new report. New fields do not change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFigures:
    """How far confidence can be believed."""

    temperature: float
    """What logits were divided by."""
    ece: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole file. All but `epochs` and `validation` is about the test set."""

    format_version: int = FORMAT_VERSION
    epochs: Sequence[Epoch]
    validation: Outcome
    test: Outcome
    confusion: list[list[int]]
    """Rows: labels; columns: answers."""
    classes: tuple[ClassOutcome, ...]
    calibration: CalibrationFigures
    rejection: tuple[Rejection, ...]
    robustness: tuple[Disturbed, ...]
    hardest: tuple[HardImage, ...]
    """Empty where test images may not be shown."""


def make_report(findings: Findings) -> Report:
    """Judges what a run found. It takes seconds: every disturbance asks for every test image."""
    test, examples = findings.test, findings.test_examples
    confusion = confusion_matrix(test)
    calibration = calibrate(test)
    return Report(
        epochs=findings.epochs,
        validation=sum_up(findings.validation),
        test=sum_up(test),
        confusion=confusion.tolist(),
        classes=judge_classes(confusion, findings.manifest.classes),
        calibration=CalibrationFigures(
            temperature=findings.temperature, ece=calibration.ece, bins=calibration.bins
        ),
        rejection=reject(test),
        robustness=disturb(findings.classify, examples, test),
        hardest=find_hardest(examples, test) if findings.drawn_digits else (),
    )
