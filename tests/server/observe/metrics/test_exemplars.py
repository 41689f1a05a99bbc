"""Exemplars go through a board: whole or not at all, the latest of each bucket."""

from collections.abc import Callable

import pytest
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.exemplars import (
    CELLS_EACH,
    decode_exemplar,
    decode_exemplars,
    encode_exemplar,
    latest,
)
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.metrics.metrics import TIME_BUCKETS_S, Metrics
from flatdense_server.observe.traces.traceparent import TraceContext
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

TRACES = st.builds(
    TraceContext, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.sampled_from([True])
)

Read = Callable[[], dict[str, Exemplar]]


@pytest.fixture
def read(service_boards: Boards, metrics: Metrics) -> Read:
    """Gives the exemplars of request durations that a scraper reads, by their buckets."""
    exposition = Exposition(service_boards, metrics.families)

    def read_all() -> dict[str, Exemplar]:
        """Of all methods and versions."""
        text = exposition.expose(OPENMETRICS)[0].decode()
        return {
            sample.labels["le"]: sample.exemplar
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.exemplar
        }

    return read_all


def end_call(metrics: Metrics, took_s: float, trace: TraceContext | None) -> None:
    """A call ends that took so long."""
    metrics.call_series("s/M", ("mnist", "1"), "OK", "unary").end([took_s], [trace])


@given(st.floats(0, 100), TRACES)
def test_ids_come_out_as_they_went_in(value: float, trace: TraceContext) -> None:
    """All 128 and 64 bits, and the value."""
    found = decode_exemplar(encode_exemplar(value, trace))
    assert found
    assert (found.value, found.trace) == (value, trace)


@given(TRACES, TRACES, st.integers(1, CELLS_EACH - 1))
def test_a_torn_exemplar_is_none(one: TraceContext, other: TraceContext, torn: int) -> None:
    """Half of one and half of another, wherever the tear is, is not shown."""
    before, after = encode_exemplar(0.1, one), encode_exemplar(0.2, other)
    mixed = [*after[:torn], *before[torn:]]
    if mixed not in (before, after):
        assert decode_exemplar(mixed) is None


def test_cells_that_were_never_written_are_none() -> None:
    """A bucket without a traced call has no exemplar."""
    assert decode_exemplars([0.0] * CELLS_EACH * 3) == [None, None, None]


def test_a_process_that_was_torn_hides_nobody_elses() -> None:
    """The latest that is whole is shown."""
    whole = encode_exemplar(0.1, TraceContext(1, 2, sampled=True))
    torn = [whole[0] + 100, *whole[1:]]
    assert latest([torn, whole]) == latest([whole, torn]) == whole


def test_each_bucket_shows_its_latest_call(metrics: Metrics, read: Read) -> None:
    """Its trace and span, its time, and a value that is within the bucket."""
    for number, took_s in enumerate((1e-5, 0.5, 0.5, 7.0), 1):
        end_call(metrics, took_s, TraceContext(number, number << 8, sampled=True))
    found = read()
    fitting = [str(TIME_BUCKETS_S[0]), str(min(b for b in TIME_BUCKETS_S if b >= 0.5)), "+Inf"]
    assert list(found) == fitting
    assert [int(each.labels["trace_id"], 16) for each in found.values()] == [1, 3, 4]
    assert [int(each.labels["span_id"], 16) >> 8 for each in found.values()] == [1, 3, 4]
    assert [each.value for each in found.values()] == [1e-5, 0.5, 7.0]
    assert all(float(each.timestamp) > 1.7e9 for each in found.values())
    assert {len(text) for each in found.values() for text in each.labels.values()} == {32, 16}


def test_only_sampled_calls_are_examples(metrics: Metrics, read: Read) -> None:
    """A call without a trace, or with one that nobody keeps, leaves none, and takes no cells."""
    end_call(metrics, 0.5, None)
    before = metrics.board.cells[1]
    end_call(metrics, 0.5, TraceContext(1, 2, sampled=False))
    assert read() == {}
    assert metrics.board.cells[1] == before


def test_they_go_with_their_version(metrics: Metrics, read: Read) -> None:
    """A version that is forgotten leaves no exemplar, and one that is loaded again has none yet."""
    end_call(metrics, 0.5, TraceContext(1, 2, sampled=True))
    assert len(read()) == 1
    metrics.forget("mnist", 1)
    assert read() == {}
    metrics.serve("mnist", 1)
    end_call(metrics, 0.5, None)
    assert read() == {}


def test_the_plain_format_has_none(metrics: Metrics, exposition: Exposition) -> None:
    """The text format knows no exemplars."""
    end_call(metrics, 0.5, TraceContext(1, 2, sampled=True))
    assert b"trace_id" not in exposition.expose("text/plain")[0]
    assert b"trace_id" in exposition.expose(OPENMETRICS)[0]
