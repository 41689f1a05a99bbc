"""A run that never was, and its report: with the test images drawn, and without."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flatdense_training.report.findings import Findings
from flatdense_training.report.folder import write_report
from flatdense_training.report.report import Report, make_report
from made_run import make_findings


@pytest.fixture(scope="session")
def findings() -> Findings:
    """What a run on the embedded digits found; their test images may be drawn."""
    return make_findings()


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
