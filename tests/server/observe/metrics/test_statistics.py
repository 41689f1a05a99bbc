"""What a version has done is read out of the figures of all processes."""

from collections.abc import Callable

import numpy as np
import pytest
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.observe.metrics.statistics import Total, VersionStatistics, read_statistics
from flatdense_server.tensors import Rows

METHODS = ["s/Infer", "s/Predict"]


def statistics(boards: Boards, version: int = 1) -> VersionStatistics:
    """Those of one version."""
    return read_statistics(boards.read(), "mnist", str(version), METHODS)


def test_nothing_has_been_done_yet(service_boards: Boards) -> None:
    """A version that never answered has zeros, and no batch sizes."""
    found = statistics(service_boards)
    assert found.answered == found.failed == found.queued == found.computed == Total()
    assert (found.rows, found.last_inference_s, found.batches) == (0, 0.0, {})


def test_a_batch_counts_for_each_of_its_requests(
    service_boards: Boards,
    make_servable: Callable[..., Servable],
    draw_rows: Callable[..., Rows],
) -> None:
    """Three requests of six rows in one batch of eight: its time is the time of each."""
    servable = make_servable()
    computed = servable.compute([draw_rows(count) for count in (1, 2, 3)])
    servable.record(computed, [computed.ran.started_s - waited for waited in (1.0, 2.0, 3.0)])
    found = statistics(service_boards)
    assert found.rows == 6
    assert found.queued == Total(3, pytest.approx(6.0))
    assert found.computed == Total(3, pytest.approx(3 * computed.ran.took_s))
    assert found.batches == {8: Total(1, pytest.approx(computed.ran.took_s))}
    assert found.answered.count == 3
    assert found.answered.took_s >= found.queued.took_s + found.computed.took_s
    assert found.last_inference_s > 1e9
    assert statistics(service_boards, 2).rows == 0


def test_a_batch_above_the_ladder_is_one_of_its_top(
    service_boards: Boards,
    make_servable: Callable[..., Servable],
    draw_rows: Callable[..., Rows],
) -> None:
    """It is cut into such ones."""
    servable = make_servable()
    servable.record(servable.compute([draw_rows(20)]), [0.0])
    assert list(statistics(service_boards).batches) == [8]


def test_failures_are_those_of_the_methods_that_classify(
    metrics: Metrics, service_boards: Boards
) -> None:
    """By whatever code; what ended well, or asked for something else, is no failure."""
    for method, code, count in [
        ("s/Infer", "INVALID_ARGUMENT", 2),
        ("s/Predict", "DEADLINE_EXCEEDED", 3),
        ("s/Infer", "OK", 50),
        ("s/ModelReady", "NOT_FOUND", 50),
    ]:
        metrics.requests.labels(method, "mnist", "1", code).inc(count)
    metrics.failure_s.labels("mnist", "1").inc(0.5)
    assert statistics(service_boards).failed == Total(5, 0.5)


def test_processes_are_added_up(metrics: Metrics, service_boards: Boards) -> None:
    """A connection reaches one worker; what is told is of all."""
    other = Metrics()
    service_boards.add(other.board)
    for one in (metrics, other):
        one.rows.labels("mnist", "1").inc(4)
        one.batches.labels("mnist", "1", 64).inc()
        one.batch_s.labels("mnist", "1", 64).inc(0.25)
    found = statistics(service_boards)
    assert (found.rows, found.batches) == (8, {64: Total(2, 0.5)})
    assert np.isclose(found.batches[64].took_s, 0.5)
