"""A run that never was, and its report: with the test images drawn, and without."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flatdense_training.data.datasets import DIGITS
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.split import split
from flatdense_training.fit.recipe import Epoch
from flatdense_training.judge.evaluate import evaluate
from flatdense_training.judge.forward import classifier
from flatdense_training.report.findings import Findings
from flatdense_training.report.folder import write_report
from flatdense_training.report.report import Report, make_report
from made_run import describe_run, draw_weights, fit_output

HIDDEN = 30
COMMAND = "flatdense-train --dataset digits --seed 7"


@pytest.fixture(scope="session")
def findings() -> Findings:
    """What a run on the embedded digits found; their test images may be drawn."""
    splits = split(DIGITS, read_embedded(), seed=0)
    initial = draw_weights(hidden=HIDDEN)
    trained = fit_output(initial, splits.train)
    classify = classifier(trained)
    return Findings(
        manifest=describe_run(hidden=HIDDEN),
        data_title=DIGITS.title,
        recipe=[("Optimiser", "least squares <once> | twice")],
        command=COMMAND,
        epochs=[
            Epoch(
                number=number,
                loss=1 / number,
                accuracy=1 - 0.5 / number,
                validation_loss=0.9 / number,
                validation_accuracy=1 - 0.4 / number,
                learning_rate=0.001 / number,
                duration_s=1.5,
                waited_s=0.25,
            )
            for number in (1, 2, 3)
        ],
        validation=evaluate(classify, splits.validation),
        test=evaluate(classify, splits.test),
        test_examples=splits.test,
        initial=initial,
        trained=trained,
        classify=classify,
        temperature=1.25,
    )


@pytest.fixture(scope="session")
def report(findings: Findings) -> Report:
    """Its figures."""
    return make_report(findings)


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Findings], Path]:
    """Writes a report into a new folder."""

    def write_into_new(findings: Findings) -> Path:
        """One more."""
        folder = tmp_path_factory.mktemp("version") / "report"
        write_report(folder, findings)
        return folder

    return write_into_new


@pytest.fixture(scope="session")
def folder(findings: Findings, write: Callable[[Findings], Path]) -> Path:
    """The report with the hardest test images drawn; for reading only."""
    return write(findings)


@pytest.fixture(scope="session")
def public_folder(findings: Findings, write: Callable[[Findings], Path]) -> Path:
    """The report that holds no test image; for reading only."""
    return write(replace(findings, drawn_digits=False))
