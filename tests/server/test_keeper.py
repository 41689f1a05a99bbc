"""A worker process that is kept running."""

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue

import pytest
from flatdense_server.keeper import MAX_FALSE_STARTS, Keeper
from flatdense_server.observe.metrics.board import Board
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.post import Ended, Failed, Ready, Report

LIVE = """
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.post import Ready
Metrics(board).padding_rows.inc()
pipe.send(Ready({}))
pipe.recv()
"""

DIE = "import sys; sys.exit(7)"

Reports = SimpleQueue[tuple[int, Report]]


@pytest.fixture
def reports() -> Reports:
    """What the keeper passes on: get() waits for the next one."""
    return SimpleQueue()


@pytest.fixture
def metrics() -> Metrics:
    """Names the families of the workers' boards."""
    return Metrics()


@pytest.fixture
def boards(metrics: Metrics) -> Boards:
    """Where workers' metrics are read."""
    return Boards(metrics.families)


@pytest.fixture
def keep(reports: Reports, boards: Boards) -> Iterator[Callable[[str], Keeper]]:
    """Keeps a process running that runs a program. All are ended in the end."""
    keepers: list[Keeper] = []

    def start(program: str) -> Keeper:
        """With `board` and `pipe` in its reach."""

        def make(board: Board, pipe: Connection) -> SpawnProcess:
            return get_context("spawn").Process(
                target=exec, args=(program, {"board": board, "pipe": pipe}), daemon=True
            )

        keeper = Keeper(
            3, make, boards=boards, tell=lambda number, report: reports.put((number, report))
        )
        keeper.start()
        keepers.append(keeper)
        return keeper

    yield start
    for keeper in keepers:
        keeper.drain()
        assert keeper.join(30)


def test_a_worker_that_is_killed_is_replaced(
    keep: Callable[[str], Keeper], reports: Reports
) -> None:
    """Its reports come with its number, then how it ended, then those of the next one."""
    keeper = keep(LIVE)
    assert reports.get() == (3, Ready({}))
    first = keeper.pid
    assert first
    os.kill(first, signal.SIGKILL)
    number, ended = reports.get()
    assert number == 3
    assert isinstance(ended, Ended)
    assert ended.cause == "killed by SIGKILL"
    assert reports.get() == (3, Ready({}))
    assert keeper.pid != first


def test_what_a_killed_worker_counted_stays(
    keep: Callable[[str], Keeper], reports: Reports, boards: Boards
) -> None:
    """Once: it is neither lost nor counted again with its successor's."""
    keeper = keep(LIVE)
    for lives in (1, 2, 3):
        assert isinstance(reports.get()[1], Ready)
        assert boards.read()["flatdense_padding_rows"] == {(): [lives]}
        assert keeper.pid
        os.kill(keeper.pid, signal.SIGKILL)
        assert isinstance(reports.get()[1], Ended)


def test_what_a_ready_worker_does_not_serve_is_not_served(
    keep: Callable[[str], Keeper], reports: Reports, boards: Boards
) -> None:
    """What another one counted of a version goes, once a worker is ready without that version."""
    gone = Metrics()
    gone.rows.labels("mnist", 1).inc()
    boards.add(gone.board)
    boards.retire(gone.board)
    assert boards.read()["flatdense_rows"] == {("mnist", "1"): [1]}
    keep(LIVE)
    assert isinstance(reports.get()[1], Ready)
    assert boards.read()["flatdense_rows"] == {}


def test_one_that_is_never_ready_is_given_up_with_a_sentence(
    keep: Callable[[str], Keeper], reports: Reports
) -> None:
    """After some attempts, each after a longer pause, there is no hope to report."""
    keep(DIE)
    pauses = []
    for _ in range(MAX_FALSE_STARTS - 1):
        ended = reports.get()[1]
        assert isinstance(ended, Ended)
        assert ended.cause == "exit status 7"
        pauses.append(ended.backoff_s)
    assert pauses == sorted(set(pauses))
    failed = reports.get()[1]
    assert isinstance(failed, Failed)
    assert failed.reason == (
        f"worker 3 ended {MAX_FALSE_STARTS} times before it was ready, the last time like this: "
        "exit status 7."
    )


def test_after_drain_there_is_no_other(keep: Callable[[str], Keeper], reports: Reports) -> None:
    """The process gets SIGTERM, and its end is not reported: it was asked for."""
    keeper = keep(LIVE)
    assert isinstance(reports.get()[1], Ready)
    keeper.drain()
    assert keeper.join(30)
    assert reports.empty()
    assert keeper.pid
    with pytest.raises(ProcessLookupError):
        os.kill(keeper.pid, 0)


def test_one_that_cannot_be_started_is_tried_again(reports: Reports, boards: Boards) -> None:
    """A machine that has no process left today may have one in a moment."""
    attempts = 0

    def make(_board: Board, pipe: Connection) -> SpawnProcess:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise BlockingIOError("Resource temporarily unavailable")
        return get_context("spawn").Process(
            target=exec, args=(LIVE, {"board": _board, "pipe": pipe}), daemon=True
        )

    keeper = Keeper(1, make, boards=boards, tell=lambda *told: reports.put(told))
    keeper.start()
    ended = reports.get()[1]
    assert isinstance(ended, Ended)
    assert "Resource temporarily unavailable" in ended.cause
    assert isinstance(reports.get()[1], Ready)
    keeper.drain()
    assert keeper.join(30)
