"""One set of metrics for several processes."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest
from flatdense_server.observe.metrics.board import CELLS
from flatdense_server.observe.metrics.exposition import Boards, Exposition
from flatdense_server.observe.metrics.metrics import Metrics
from hypothesis import given
from hypothesis import strategies as st

MODEL = ("mnist", "1")
LABELS = {"model": "mnist", "version": "1"}

Sample = Callable[..., float | None]


@pytest.fixture
def two() -> tuple[Metrics, Metrics]:
    """The metrics of two processes."""
    return Metrics(), Metrics()


@pytest.fixture
def boards(two: tuple[Metrics, Metrics]) -> Boards:
    """The boards of both."""
    boards = Boards(two[0].families)
    for metrics in two:
        boards.add(metrics.board)
    return boards


@pytest.fixture
def both(two: tuple[Metrics, Metrics], boards: Boards) -> Sample:
    """Gives a sample of both together."""
    return Exposition(boards, two[0].families).registry.get_sample_value


def test_what_processes_count_is_added(two: tuple[Metrics, Metrics], both: Sample) -> None:
    """Counters, histograms and the calls in flight are those of all."""
    for number, metrics in enumerate(two, 1):
        metrics.rows.labels(*MODEL).inc(number)
        metrics.queue_duration_s.labels(*MODEL).observe(number)
        metrics.inflight.inc(number)
    assert both("flatdense_rows_total", LABELS) == 3
    assert both("flatdense_queue_duration_seconds_sum", LABELS) == 3
    assert both("flatdense_queue_duration_seconds_count", LABELS) == 2
    assert both("flatdense_inflight_requests") == 3


def test_what_processes_are_is_not_added(two: tuple[Metrics, Metrics], both: Sample) -> None:
    """A version that is ready in two processes is ready; a file that one refuses is refused."""
    one, other = two
    for metrics in two:
        metrics.set_model_state("mnist", 1, "ready")
    one.policy_valid.labels("mnist").set(1)
    other.policy_valid.labels("mnist").set(0)
    assert both("flatdense_model_state", LABELS | {"state": "ready"}) == 1
    assert both("flatdense_policy_valid", {"model": "mnist"}) == 0


def test_a_process_that_ends_leaves_its_counts_alone(
    two: tuple[Metrics, Metrics], boards: Boards, both: Sample
) -> None:
    """What it counted stays, once; what it was, and its calls in flight, are gone."""
    for metrics in two:
        metrics.rows.labels(*MODEL).inc(5)
        metrics.queue_duration_s.labels(*MODEL).observe(0.5)
    two[0].inflight.inc(7)
    two[0].set_model_state("mnist", 1, "failed")
    boards.retire(two[0].board)
    assert both("flatdense_rows_total", LABELS) == 10
    assert both("flatdense_queue_duration_seconds_count", LABELS) == 2
    assert both("flatdense_inflight_requests") == 0
    assert both("flatdense_model_state", LABELS | {"state": "failed"}) is None


COUNT_AND_DIE = """
import os, signal
from flatdense_server.observe.metrics.metrics import Metrics
rows = Metrics(board).rows.labels("mnist", "1")
rows.inc(41)
rows.inc()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_no_count() -> None:
    """What it counted up to its last moment is read after it."""
    metrics = Metrics()
    process = multiprocessing.get_context("spawn").Process(
        target=exec, args=(COUNT_AND_DIE, {"board": metrics.board})
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    boards = Boards(metrics.families)
    boards.add(metrics.board)
    sample = Exposition(boards, metrics.families).registry.get_sample_value
    assert sample("flatdense_rows_total", LABELS) == 42


def test_each_process_is_measured() -> None:
    """Memory and the like come with the name of the process."""
    metrics = Metrics()
    exposition = Exposition(
        Boards(metrics.families), metrics.families, lambda: {"here": os.getpid()}
    )
    here = {"process": "here"}
    resident = exposition.registry.get_sample_value("process_resident_memory_bytes", here)
    assert resident
    assert resident > 1_000_000


@given(
    st.lists(
        st.floats(0, 2, width=32) | st.sampled_from([1e-3, 20e-6, 1.0]), min_size=1, max_size=50
    )
)
def test_many_values_at_once_are_the_same_as_one_by_one(values: list[float]) -> None:
    """Each value falls into the first bucket whose bound is not below it."""
    at_once, one_by_one = Metrics(), Metrics()
    at_once.queue_duration_s.labels(*MODEL).observe(*values)
    for value in values:
        one_by_one.queue_duration_s.labels(*MODEL).observe(value)
    (one,) = [f for s, f in at_once.board.read() if s.family.endswith("queue_duration_seconds")]
    (other,) = [
        f for s, f in one_by_one.board.read() if s.family.endswith("queue_duration_seconds")
    ]
    assert one[:-1] == other[:-1]
    assert one[-1] == pytest.approx(other[-1])
    assert sum(one[:-1]) == len(values)


def test_a_full_board_costs_nothing_but_the_new_series(
    metrics: Metrics, sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    """Series that have no place are named in the log; the others go on, and no call fails."""
    for number in range(CELLS):
        metrics.rows.labels("mnist", number).inc()
    assert sample("flatdense_rows_total", {"model": "mnist", "version": "0"}) == 1
    assert sample("flatdense_rows_total", {"model": "mnist", "version": str(CELLS - 1)}) is None
    assert "a metric is not kept" in caplog.text
