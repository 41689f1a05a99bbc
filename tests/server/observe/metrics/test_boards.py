"""What processes that ended have counted stays as long as its version is served."""

from collections.abc import Callable

import pytest
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.metrics.metrics import Metrics

Sample = Callable[..., float | None]


@pytest.fixture
def boards(metrics: Metrics) -> Boards:
    """Of a service in which no process lives."""
    return Boards(metrics.families)


@pytest.fixture
def read_rows(boards: Boards, metrics: Metrics) -> Callable[[int], float | None]:
    """Gives the rows of a version that are shown."""
    sample = Exposition(boards, metrics.families).registry.get_sample_value
    return lambda version: sample(
        "flatdense_rows_total", {"model": "mnist", "version": str(version)}
    )


def begin(boards: Boards, *versions: int, settled: bool = True) -> Metrics:
    """A process that has counted a row of each of these versions."""
    metrics = Metrics()
    boards.add(metrics.board)
    for version in versions:
        metrics.serve("mnist", version)
        metrics.rows.labels("mnist", version).inc()
    if settled:
        boards.settle(metrics.board)
    return metrics


def test_a_version_goes_with_the_counts_of_processes_that_ended(
    boards: Boards, read_rows: Callable[[int], float | None]
) -> None:
    """While anybody serves it they are there; when nobody does they are gone for good."""
    ended, living = begin(boards, 1), begin(boards, 1, 2)
    boards.retire(ended.board)
    assert [read_rows(1), read_rows(2)] == [2, 1]
    living.forget("mnist", 1)
    assert [read_rows(1), read_rows(2)] == [None, 1]
    living.serve("mnist", 1)
    living.rows.labels("mnist", 1).inc()
    assert read_rows(1) == 1


def test_one_process_that_still_serves_is_enough(
    boards: Boards, read_rows: Callable[[int], float | None]
) -> None:
    """Processes change versions one after the other: until the last has, the counts are there."""
    ended, first, last = begin(boards, 1), begin(boards, 1), begin(boards, 1)
    boards.retire(ended.board)
    first.forget("mnist", 1)
    assert read_rows(1) == 2
    last.forget("mnist", 1)
    assert read_rows(1) is None


def test_nothing_follows_from_a_process_that_still_loads(
    boards: Boards, read_rows: Callable[[int], float | None]
) -> None:
    """The counts of the only process are there until its successor has told what it serves."""
    ended = begin(boards, 1, 2)
    boards.retire(ended.board)
    assert read_rows(2) == 1
    successor = begin(boards, 1, settled=False)
    assert [read_rows(1), read_rows(2)] == [2, 1]
    boards.settle(successor.board)
    assert [read_rows(1), read_rows(2)] == [2, None]


def test_a_state_alone_keeps_no_counts(
    boards: Boards, read_rows: Callable[[int], float | None]
) -> None:
    """A version that was refused, or unloaded, is not served."""
    ended, living = begin(boards, 1), begin(boards, 2)
    boards.retire(ended.board)
    living.set_model_state("mnist", 1, "failed")
    assert [read_rows(1), read_rows(2)] == [None, 1]


def test_what_is_of_no_version_stays(boards: Boards, metrics: Metrics) -> None:
    """Calls that ended before their version was known, and those of `grpc_server_*`."""
    sample = Exposition(boards, metrics.families).registry.get_sample_value
    ended = begin(boards, 1)
    ended.call_series("s/M", ("", ""), "NOT_FOUND", "unary").end([0.1], [None])
    boards.retire(ended.board)
    begin(boards, 2)
    labels = {"method": "s/M", "model": "", "version": "", "code": "NOT_FOUND"}
    grpc = {"grpc_type": "unary", "grpc_service": "s", "grpc_method": "M"}
    assert sample("flatdense_requests_total", labels) == 1
    assert sample("grpc_server_handled_total", grpc | {"grpc_code": "NOT_FOUND"}) == 1
