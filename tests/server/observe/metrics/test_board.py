"""Series come and go on a board that is read while it is written."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from flatdense_server.observe.metrics.board import CELLS, Board, BoardFull, Series
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.metrics.instruments import Counter, Histogram
from flatdense_server.observe.metrics.metrics import Metrics
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

SIZES = (1, 7, 45)


class BoardMachine(RuleBasedStateMachine):
    """Adds, writes and removes series of several sizes, beside a plain dictionary."""

    there: Bundle[Series] = Bundle("there")

    def __init__(self) -> None:
        super().__init__()
        self.board = Board()
        self.expected: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        self.added = 0

    @rule(target=there, count=st.sampled_from(SIZES))
    def add(self, count: int) -> Series:
        """A series of which every figure is 0, whatever was in its cells before."""
        self.added += 1
        labels = (str(self.added),)
        self.expected["family", labels] = [0.0] * count
        return self.board.add("family", labels, count)

    @rule(series=there, value=st.floats(-1e9, 1e9))
    def write(self, series: Series, value: float) -> None:
        """Its last figure."""
        self.board.cells[series.start + series.count - 1] = value
        self.expected[series.family, series.labels][-1] = value

    @rule(one=consumes(there), other=consumes(there))
    def remove_two(self, one: Series, other: Series) -> None:
        """Two at a time."""
        self.remove(one, other)

    @rule(one=consumes(there))
    def remove_one(self, one: Series) -> None:
        """One."""
        self.remove(one)

    def remove(self, *gone: Series) -> None:
        """All at once."""
        self.board.remove(gone)
        for series in gone:
            del self.expected[series.family, series.labels]

    @invariant()
    def says_what_is_there(self) -> None:
        """A reader finds each series that is there, with its own figures, and no other."""
        found = {(series.family, series.labels): figures for series, figures in self.board.read()}
        assert found == self.expected

    @invariant()
    def gives_no_cell_twice(self) -> None:
        """Two series share no cell, and none has one of the board's own."""
        spans = sorted((each.start, each.start + each.count) for each, _ in self.board.read())
        stops = [2, *(stop for _start, stop in spans)]
        assert all(start >= stop for (start, _), stop in zip(spans, stops, strict=False))


BoardMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBoard = BoardMachine.TestCase


class MetricsMachine(RuleBasedStateMachine):
    """Versions come and go while writers of any age go on counting."""

    held: Bundle[tuple[int, Counter, Histogram]] = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.metrics = Metrics()
        self.sample = expose(self.metrics).registry.get_sample_value

    @rule(version=st.integers(1, 4))
    def serve(self, version: int) -> None:
        """It is loaded: for the first time, again, or though it is there."""
        self.metrics.serve("mnist", version)

    @rule(version=st.integers(1, 4))
    def forget(self, version: int) -> None:
        """It is unloaded."""
        self.metrics.forget("mnist", version)
        assert version not in self.read()

    @rule(target=held, version=st.integers(1, 4))
    def hold(self, version: int) -> tuple[int, Counter, Histogram]:
        """Somebody looks its series up, and keeps them for as long as they want."""
        rows = self.metrics.rows.labels("mnist", version)
        queued = self.metrics.queue_duration_s.labels("mnist", version)
        return version, rows, queued

    @rule(held=held)
    def write_late(self, held: tuple[int, Counter, Histogram]) -> None:
        """They write: what is kept of it is in the series that they looked up, or nowhere."""
        version, rows, queued = held
        before = self.read()
        rows.inc()
        queued.observe(0.5)
        after = self.read()
        changed = {number for number in after if after[number] != before.get(number)}
        assert changed <= {version}
        assert after.keys() == before.keys()

    def read(self) -> dict[int, tuple[float | None, float | None]]:
        """Rows and queued of each version that has any."""
        found = {
            version: (
                self.sample("flatdense_rows_total", labels),
                self.sample("flatdense_queue_duration_seconds_count", labels),
            )
            for version in range(1, 5)
            for labels in [{"model": "mnist", "version": str(version)}]
        }
        return {version: figures for version, figures in found.items() if any_of(figures)}

    @invariant()
    def writes_nothing_beside(self) -> None:
        """Rows and queued requests of a version are counted together: neither has the other's."""
        for rows, queued in self.read().values():
            assert rows == queued


def any_of(figures: tuple[float | None, float | None]) -> bool:
    """Whether there is a series."""
    return any(figure is not None for figure in figures)


def expose(metrics: Metrics) -> Exposition:
    """What a scraper reads of them."""
    boards = Boards(metrics.families)
    boards.add(metrics.board)
    return Exposition(boards, metrics.families)


MetricsMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestMetrics = MetricsMachine.TestCase


def use(metrics: Metrics, version: int) -> None:
    """What a version's calls count, once each."""
    labels = ("mnist", version)
    metrics.serve(*labels)
    metrics.set_model_state("mnist", version, "ready")
    for code in ("OK", "INVALID_ARGUMENT"):
        series = metrics.call_series("s/Classify", ("mnist", str(version)), code, "unary")
        series.end([0.001], [None])
    for histogram in (metrics.queue_duration_s, metrics.batch_rows):
        histogram.labels(*labels).observe(1)
    for label in range(10):
        metrics.predictions.labels(*labels, label).inc()


def test_thousands_of_reloads_do_not_fill_the_board(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each version has its series, the last one like the first, and leaves none behind."""
    metrics = Metrics()
    sample = expose(metrics).registry.get_sample_value
    before = {series.family for series, _figures in metrics.board.read()}
    for version in range(1, 3001):
        use(metrics, version)
        if version % 500 == 0:
            labels = {"model": "mnist", "version": str(version), "method": "s/Classify"}
            assert sample("flatdense_requests_total", labels | {"code": "OK"}) == 1
        metrics.forget("mnist", version)
        metrics.forget_state("mnist", version)
    assert "a metric is not kept" not in caplog.text
    left = {series.family for series, _figures in metrics.board.read()}
    assert {family for family in left - before if not family.startswith("grpc_server_")} == set()
    assert metrics.board.cells[1] < CELLS / 10


def test_what_no_version_is_counted_by_never_falls() -> None:
    """`grpc_server_*` count on, whichever versions go."""
    metrics = Metrics()
    sample = expose(metrics).registry.get_sample_value
    for version in (1, 2, 3):
        use(metrics, version)
        metrics.forget("mnist", version)
        labels = {"grpc_type": "unary", "grpc_service": "s", "grpc_method": "Classify"}
        assert sample("grpc_server_handled_total", labels | {"grpc_code": "OK"}) == version
        assert sample("grpc_server_handling_seconds_count", labels) == 2 * version


def test_a_late_call_brings_no_version_back() -> None:
    """A call that ends after its version was forgotten is counted nowhere; loaded again, it is."""
    metrics = Metrics()
    sample = expose(metrics).registry.get_sample_value
    labels = {"method": "s/M", "model": "mnist", "version": "1", "code": "OK"}

    def end_call() -> float | None:
        """One call ends: gives how many are shown."""
        metrics.call_series("s/M", ("mnist", "1"), "OK", "unary").end([0.1], [None])
        return sample("flatdense_requests_total", labels)

    assert end_call() == 1
    metrics.forget("mnist", 1)
    assert [end_call(), end_call()] == [None, None]
    metrics.serve("mnist", 1)
    assert [end_call(), end_call()] == [1, 2]


@pytest.fixture
def writer() -> Iterator[Board]:
    """A board that another process writes without a pause."""
    board = Board()
    process = multiprocessing.get_context("spawn").Process(
        target=exec, args=(CHURN, {"board": board})
    )
    process.start()
    yield board
    process.kill()
    process.join()
    process.close()


# Series of equal figures come and go; each figure is the number of its series.
CHURN = """
there, number = [], 0
while True:
    number += 1
    series = board.add("family", (str(number),), 30)
    there.append(series)
    for cell in range(series.start, series.start + 30):
        board.cells[cell] = number
    if len(there) > 20:
        board.remove(there[:10])
        del there[:10]
"""


def test_a_reader_sees_no_series_with_figures_of_another(writer: Board) -> None:
    """While cells are reused by another process, a figure is its own series', or still 0."""
    seen: set[str] = set()
    while len(seen) < 2000:
        for series, figures in writer.read():
            seen.add(series.labels[0])
            assert set(figures) <= {0.0, float(series.labels[0])}


def test_a_full_board_has_place_again_when_something_goes() -> None:
    """What finds no place is refused, and is let in when others have gone."""
    board = Board()
    there = []
    with suppress(BoardFull):
        while True:
            there.append(board.add("family", (str(len(there)),), 1000))
    with pytest.raises(BoardFull):
        board.add("family", ("another",), 1000)
    board.remove(there[:1])
    assert board.add("family", ("another",), 1000).start == there[0].start


def test_writers_and_removal_at_once() -> None:
    """Threads that count while versions go and come write into no series but their own."""
    metrics, stop = Metrics(), threading.Event()

    def count(version: int) -> None:
        """Looks up and writes, on and on."""
        while not stop.is_set():
            metrics.call_series("s/M", ("mnist", str(version)), "OK", "unary").end([0.1], [None])

    threads = [threading.Thread(target=count, args=(version,)) for version in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        metrics.forget("mnist", 1)
        metrics.serve("mnist", 1)
    stop.set()
    for thread in threads:
        thread.join()
    sample = expose(metrics).registry.get_sample_value
    labels = [{"method": "s/M", "model": "mnist", "version": str(v)} for v in (1, 2, 3)]
    ended = [sample("flatdense_requests_total", each | {"code": "OK"}) or 0 for each in labels]
    timed = [sample("flatdense_request_duration_seconds_count", each) or 0 for each in labels]
    every = sample(
        "grpc_server_handled_total",
        {"grpc_type": "unary", "grpc_service": "s", "grpc_method": "M", "grpc_code": "OK"},
    )
    assert ended[1:] == timed[1:]
    assert every is not None
    assert sum(ended) <= every
