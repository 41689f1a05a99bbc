"""Metrics of several replicas as one exposition."""

import logging

import pytest
from flatdense_cluster.serve.meter import GONE_S, MIXED_S, Meter
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families


class Clock:
    """Goes as it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def expose(requests: int, version: int = 1) -> str:
    """What a replica's server says."""
    return (
        "# HELP flatdense_requests_total RPCs.\n# TYPE flatdense_requests_total counter\n"
        f'flatdense_requests_total{{code="OK"}} {requests}\n'
        "# HELP flatdense_model_state Whether.\n# TYPE flatdense_model_state gauge\n"
        f'flatdense_model_state{{model="mnist",version="{version}",state="ready"}} 1\n'
        f'flatdense_model_state{{model="mnist",version="{version}",state="failed"}} 0\n'
    )


def read(meter: Meter) -> dict[str, float]:
    """The requests of each replica, as a scraper reads them."""
    return {
        sample.labels["replica"]: sample.value
        for family in text_string_to_metric_families(meter.expose().decode())
        for sample in family.samples
        if sample.name == "flatdense_requests_total"
    }


@given(st.dictionaries(st.from_regex(r"[a-z0-9]{8}", fullmatch=True), st.integers(0, 1 << 40)))
def test_every_series_of_every_replica_is_there_once(requests: dict[str, int]) -> None:
    """With the replica's name, whatever their number."""
    meter = Meter(Clock())
    for replica, count in requests.items():
        meter.report(replica, expose(count))
    assert read(meter) == requests


def test_the_last_report_counts() -> None:
    """Earlier ones of the same replica are gone."""
    meter = Meter(Clock())
    meter.report("a", expose(1))
    meter.report("a", expose(2))
    assert read(meter) == {"a": 2}


def test_a_replica_that_reports_no_more_is_left_out() -> None:
    """Its series end, as those of a server that is gone."""
    clock = Clock()
    meter = Meter(clock)
    meter.report("a", expose(1))
    clock.now_s = GONE_S / 2
    meter.report("b", expose(2))
    clock.now_s = GONE_S + 1
    assert read(meter) == {"b": 2}


def test_replicas_of_different_versions_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """When it lasts: in between, each takes up a new version by itself."""
    clock = Clock()
    meter = Meter(clock)
    with caplog.at_level(logging.ERROR):
        for clock.now_s in range(0, int(3 * MIXED_S), 2):
            meter.report("a", expose(1, version=1))
            meter.report("b", expose(1, version=2))
            assert bool(caplog.records) == (clock.now_s >= MIXED_S)
    (record,) = caplog.records
    assert "1: 1, 2: 1" in record.getMessage()


def test_a_new_version_that_comes_everywhere_is_not_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Though one replica has it before another."""
    clock = Clock()
    meter = Meter(clock)
    with caplog.at_level(logging.ERROR):
        for clock.now_s in range(0, int(4 * MIXED_S), 2):
            meter.report("a", expose(1, version=2))
            late = 2 if clock.now_s > MIXED_S / 2 else 1
            meter.report("b", expose(1, version=late))
    assert not caplog.records
