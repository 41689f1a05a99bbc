"""The figures of the README are the measured ones."""

import json
from pathlib import Path

import report
from flatdense_artifact import read_manifest


def test_the_table_is_what_was_measured() -> None:
    """The README's table is the rendering of bench/results/serving.json."""
    results = json.loads(report.RESULTS.read_text())
    written = report.SECTION.search(report.README.read_text())
    assert written
    assert written[0] == report.render(results)


def test_the_accuracy_is_the_manifests(repository: Path) -> None:
    """The README states the test accuracy of the exported model."""
    metrics = read_manifest(repository / "exported_model" / "1").metrics
    text = " ".join((repository / "README.md").read_text().split())
    assert f"answers {100 * metrics.test_accuracy:.2f} % of the 10,000 test images" in text
