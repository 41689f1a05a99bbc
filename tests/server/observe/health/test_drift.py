"""The index over a sliding window, of all processes together."""

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest
from flatdense_server.observe.health.drift import MIN_ROWS, Drift
from flatdense_server.observe.health.stability import stability_index
from flatdense_server.observe.metrics.board import Board
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.metrics.metrics import Metrics
from hypothesis import given
from hypothesis import strategies as st

MODEL = ("mnist", "1")
LABELS = {"model": "mnist", "version": "1"}
REFERENCE = {"ink_share": [50, 100, 50], "class": [100, 100]}
WINDOW_S = 60.0

Sample = Callable[..., float | None]


class Service:
    """A supervisor's boards, and workers that come and go."""

    def __init__(self) -> None:
        self.own = Metrics()
        self.boards = Boards(self.own.families)
        self.boards.add(self.own.board)
        self.drift = Drift(self.boards, self.own.health, window_s=WINDOW_S)
        self.sample = Exposition(self.boards, self.own.families).registry.get_sample_value

    def employ(self) -> Metrics:
        """A worker that serves version 1, settled."""
        worker = Metrics()
        self.boards.add(worker.board)
        self.boards.settle(worker.board)
        serve(worker)
        return worker

    def dismiss(self, worker: Metrics) -> None:
        """It ends."""
        self.boards.retire(worker.board)

    def psi(self, feature: str) -> float | None:
        """As a scraper reads it."""
        return self.sample("flatdense_drift_psi", LABELS | {"feature": feature})

    def window_rows(self) -> float | None:
        """As a scraper reads it."""
        return self.sample("flatdense_drift_window_rows", LABELS)


def serve(worker: Metrics) -> None:
    """Says what the reference of version 1 is."""
    for feature, rows in REFERENCE.items():
        for number, count in enumerate(rows):
            worker.health.drift_reference_rows.labels(*MODEL, feature, number).set(count)
            worker.health.drift_rows.labels(*MODEL, feature, number)


def count(worker: Metrics, came: Mapping[str, list[int]]) -> None:
    """So many rows came in each bin."""
    for feature, rows in came.items():
        for number, each in enumerate(rows):
            worker.health.drift_rows.labels(*MODEL, feature, number).inc(each)


@pytest.fixture
def service() -> Service:
    """Without a worker."""
    return Service()


USUAL = {"ink_share": [250, 500, 250], "class": [500, 500]}
STRANGE = {"ink_share": [1000, 0, 0], "class": [900, 100]}


def test_it_is_the_index_of_all_workers_together(service: Service) -> None:
    """Their rows are added before they are compared, each feature by itself."""
    one, other = service.employ(), service.employ()
    count(one, USUAL)
    count(other, STRANGE)
    service.drift.look(0.0)
    assert service.psi("ink_share") == stability_index([1250, 500, 250], [50, 100, 50])
    assert service.psi("class") == stability_index([1400, 600], [100, 100])
    assert service.window_rows() == 2000


def test_too_few_rows_say_nothing(service: Service) -> None:
    """Below the least number there is no index, and the number itself is there."""
    worker = service.employ()
    service.drift.look(0.0)
    assert service.window_rows() == 0
    count(worker, {"ink_share": [MIN_ROWS - 1, 0, 0], "class": [MIN_ROWS - 1, 0]})
    service.drift.look(1.0)
    assert service.psi("ink_share") is None
    assert service.window_rows() == MIN_ROWS - 1
    count(worker, {"ink_share": [0, 1, 0], "class": [0, 1]})
    service.drift.look(2.0)
    assert service.psi("ink_share") is not None


def test_it_forgets_what_left_the_window(service: Service) -> None:
    """After what is strange comes what is usual, and then nothing: the index falls, and goes."""
    worker = service.employ()
    count(worker, STRANGE)
    service.drift.look(0.0)
    assert service.psi("ink_share") > 0.25
    count(worker, USUAL)
    service.drift.look(WINDOW_S / 2)
    assert service.psi("ink_share") > 0.25
    service.drift.look(WINDOW_S + 1.1)
    assert service.psi("ink_share") < 0.1
    service.drift.look(2 * WINDOW_S)
    assert service.psi("ink_share") is None
    assert service.window_rows() == 0


def test_a_worker_that_is_replaced_takes_nothing_with_it(service: Service) -> None:
    """The only one is killed: its rows stay in the window, and none is counted twice."""
    worker = service.employ()
    count(worker, STRANGE)
    service.drift.look(0.0)
    before = service.psi("ink_share")
    service.dismiss(worker)
    service.drift.look(1.0)
    assert service.psi("ink_share") == before
    service.employ()
    service.drift.look(2.0)
    assert service.psi("ink_share") == before
    assert service.window_rows() == 1000


def test_what_was_asked_long_before_a_worker_was_replaced_stays_out(service: Service) -> None:
    """Counts of those that ended are in the sum; they are not new for that."""
    worker = service.employ()
    count(worker, STRANGE)
    service.drift.look(0.0)
    service.drift.look(WINDOW_S + 2)
    service.dismiss(worker)
    service.drift.look(WINDOW_S + 3)
    service.employ()
    service.drift.look(WINDOW_S + 4)
    assert service.window_rows() == 0


def test_nothing_is_left_of_a_version_that_is_gone(service: Service) -> None:
    """When no process has it any more: neither series nor memory; what a dead one counted, too."""
    dead, worker = service.employ(), service.employ()
    for each in (dead, worker):
        count(each, STRANGE)
    service.drift.look(0.0)
    service.dismiss(dead)
    worker.forget("mnist", 1)
    for now_s in (1.0, 2.0):
        service.drift.look(now_s)
    assert service.psi("ink_share") is None
    assert service.window_rows() is None
    assert not service.drift._windows
    assert not service.drift._references


def test_a_version_that_comes_again_begins_anew(service: Service) -> None:
    """Whether or not somebody looked while it was gone, no row is negative or counted twice."""
    worker = service.employ()
    count(worker, STRANGE)
    service.drift.look(0.0)
    worker.forget("mnist", 1)
    service.drift.look(1.0)
    worker.serve("mnist", 1)
    serve(worker)
    count(worker, USUAL)
    service.drift.look(2.0)
    assert service.window_rows() == 1000
    assert service.psi("ink_share") < 0.1


@given(st.lists(st.sampled_from(["usual", "strange", "kill", "reload", "wait"]), max_size=15))
def test_whatever_happens_it_is_never_negative(events: list[str]) -> None:
    """Rows, killed workers, reloads and pauses in any order: both gauges are 0 or more."""
    service = Service()
    worker, now_s = service.employ(), 0.0
    for event in events:
        now_s += 1
        match event:
            case "usual" | "strange":
                count(worker, USUAL if event == "usual" else STRANGE)
            case "kill":
                service.dismiss(worker)
                worker = service.employ()
            case "reload":
                worker.forget("mnist", 1)
                worker.serve("mnist", 1)
                serve(worker)
            case "wait":
                now_s += WINDOW_S / 2
        service.drift.look(now_s)
        for feature in REFERENCE:
            index = service.psi(feature)
            assert index is None or index >= 0
        rows = service.window_rows()
        assert rows is not None
        assert rows >= 0


class FailingBoards(Boards):
    """They cannot be read, and say how often somebody tried."""

    def __init__(self) -> None:
        super().__init__({})
        self.tried = threading.Semaphore(0)

    def read(self) -> dict[str, dict[tuple[str, ...], list[float]]]:
        """See Boards.read."""
        self.tried.release()
        raise MemoryError("no memory for figures")


@pytest.fixture
def failing() -> Iterator[FailingBoards]:
    """Looked at by a Drift that goes on."""
    boards = FailingBoards()
    drift = Drift(boards, Metrics(Board()).health, window_s=1.0)
    drift.start()
    yield boards
    drift.stop()


def test_a_failure_is_logged_once(failing: FailingBoards, caplog: pytest.LogCaptureFixture) -> None:
    """It goes on looking, and does not fill the log."""
    for _ in range(3):
        assert failing.tried.acquire(timeout=30)
    assert sum("drift is not told" in record.message for record in caplog.records) == 1


def test_one_that_never_began_can_be_stopped() -> None:
    """As where prediction health is off."""
    Drift(Boards({}), Metrics(Board()).health, window_s=1.0).stop()
