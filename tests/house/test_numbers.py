"""The figures of the documents are the measured ones."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import report
from flatdense_artifact import read_manifest


@pytest.mark.parametrize(
    ("file", "page", "render"),
    [
        (report.SERVING, report.SERVING_PAGE, report.render_serving),
        (report.ENGINES, report.ENGINES_PAGE, report.render_engines),
        (report.PEERS, report.PEERS_PAGE, report.render_peers),
        (report.HTTP2, report.HTTP2_PAGE, report.render_http2),
        (report.PROTOCOLS, report.PROTOCOLS_PAGE, report.render_protocols),
        (report.STREAMS, report.STREAMS_PAGE, report.render_streams),
        (report.BOUNDS, report.BOUNDS_PAGE, report.render_bounds),
        (report.TRACES, report.TRACES_PAGE, report.render_traces),
        (report.SDK, report.SDK_PAGE, report.render_sdk),
        (report.METRICS, report.METRICS_PAGE, report.render_metrics),
        (report.DRIFT, report.DRIFT_PAGE, report.render_drift),
        (report.OVERLOAD, report.OVERLOAD_PAGE, report.render_overload),
        (report.PAGE, report.PAGE_PAGE, report.render_page),
    ],
)
def test_each_table_is_what_was_measured(
    file: Path, page: Path, render: Callable[[report.Results], str]
) -> None:
    """A table in a document is the rendering of a benchmark's results."""
    written = report.SECTION.search(page.read_text())
    assert written
    assert written[0] == render(json.loads(file.read_text()))


def test_capacity_is_what_was_measured() -> None:
    """The second table of docs/operations.md is the rendering of its benchmark's results."""
    written = report.CAPACITY_SECTION.search(report.CAPACITY_PAGE.read_text())
    assert written
    assert written[0] == report.render_capacity(json.loads(report.CAPACITY.read_text()))


@pytest.mark.parametrize(
    ("file", "section", "render"),
    [
        (report.SCALING, report.SCALING_SECTION, report.render_scaling),
        (report.REPLICAS, report.REPLICAS_SECTION, report.render_replicas),
    ],
)
def test_scaling_is_what_was_measured(
    file: Path, section: re.Pattern[str], render: Callable[[report.Results], str]
) -> None:
    """The tables of docs/scaling.md are the renderings of their benchmarks' results."""
    written = section.search(report.SCALING_PAGE.read_text())
    assert written
    assert written[0] == render(json.loads(file.read_text()))


def test_the_accuracy_is_the_manifests(repository: Path) -> None:
    """The README states the test accuracy of the exported model."""
    metrics = read_manifest(repository / "exported_model" / "1").metrics
    text = " ".join((repository / "README.md").read_text().split())
    assert f"answers {100 * metrics.test_accuracy:.2f} % of the 10,000 test images" in text


def test_workers_are_what_was_measured() -> None:
    """The second table of docs/training.md is the rendering of its benchmark's results."""
    written = report.DISTRIBUTE_SECTION.search(report.TRAINING_PAGE.read_text())
    assert written
    assert written[0] == report.render_distribute(json.loads(report.DISTRIBUTE.read_text()))
