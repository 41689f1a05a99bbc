"""The batcher: each caller gets its own outcome, whatever happens to its batch-mates."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
from flatdense_server.batching.batcher import Batcher
from flatdense_server.batching.queue import QueueLimits, Task
from flatdense_server.errors import DeadlineExpired, Draining, QueueFull
from hypothesis import given, settings
from hypothesis import strategies as st

ROOMY = QueueLimits(max_rows=1 << 30, max_tasks=1 << 30)

Batch = Sequence[Task[int, int]]


class Echo:
    """A run() that doubles each payload, notes each batch, and waits at a gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.running = threading.Semaphore(0)
        self.batches: list[list[int]] = []

    def __call__(self, batch: Batch) -> list[int]:
        """The doubles; a negative payload makes the whole batch fail."""
        payloads = [task.payload for task in batch]
        self.batches.append(payloads)
        self.running.release()
        self.gate.wait()
        if min(payloads) < 0:
            raise ArithmeticError(min(payloads))
        return [2 * payload for payload in payloads]


@pytest.fixture
def echo() -> Echo:
    """What the batches run."""
    return Echo()


@pytest.fixture
def make_batcher(echo: Echo) -> Iterator[Callable[..., Batcher[int, int]]]:
    """Gives batchers over the echo; all are closed in the end."""
    made: list[Batcher[int, int]] = []

    def make(
        limits: QueueLimits = ROOMY, max_batch_rows: int = 8, **options: object
    ) -> Batcher[int, int]:
        made.append(Batcher(echo, max_batch_rows=max_batch_rows, limits=limits, **options))
        return made[-1]

    yield make
    echo.gate.set()
    for batcher in made:
        batcher.close()


@pytest.fixture
def held(echo: Echo, make_batcher: Callable[..., Batcher[int, int]]) -> Batcher[int, int]:
    """A batcher whose thread is inside run() with the payload 0 until the gate opens."""
    batcher = make_batcher()
    echo.gate.clear()
    submit(batcher, 0)
    echo.running.acquire()
    return batcher


def submit(batcher: Batcher[int, int], payload: int, **options: float) -> Future[int]:
    """Submits one row."""
    return batcher.submit(payload, rows=1, kind="int", deadline_s=options.get("deadline_s"))


@pytest.mark.parametrize("lost", range(4))
def test_with_one_of_four_callers_cancelled_the_other_three_get_their_own_answers(
    held: Batcher[int, int], echo: Echo, lost: int
) -> None:
    """Whichever of four batch-mates is cancelled, the others are answered and it never runs."""
    futures = [submit(held, payload) for payload in (10, 11, 12, 13)]
    assert futures.pop(lost).cancel()
    echo.gate.set()
    answers = [2 * (10 + caller) for caller in range(4) if caller != lost]
    assert [future.result() for future in futures] == answers
    assert echo.batches == [[0], [answer // 2 for answer in answers]]


def test_a_batch_whose_callers_all_left_is_not_run(held: Batcher[int, int], echo: Echo) -> None:
    """Where every task was cancelled run() is not called, and the next task is answered."""
    for future in [submit(held, 1), submit(held, 2)]:
        future.cancel()
    echo.gate.set()
    assert submit(held, 3).result() == 6
    assert echo.batches == [[0], [3]]


def test_a_running_task_cannot_be_cancelled(
    echo: Echo, make_batcher: Callable[..., Batcher[int, int]]
) -> None:
    """cancel() says False once the batch runs, and the answer still comes."""
    echo.gate.clear()
    future = submit(make_batcher(), 5)
    echo.running.acquire()
    assert not future.cancel()
    echo.gate.set()
    assert future.result() == 10


def test_an_expired_task_never_reaches_run(held: Batcher[int, int], echo: Echo) -> None:
    """A task whose deadline passed in the queue gets DeadlineExpired; its mates are answered."""
    late = submit(held, 1, deadline_s=time.monotonic())
    mates = [submit(held, 2), submit(held, 3, deadline_s=time.monotonic() + 3600)]
    echo.gate.set()
    with pytest.raises(DeadlineExpired):
        late.result()
    assert [mate.result() for mate in mates] == [4, 6]
    assert echo.batches == [[0], [2, 3]]


def test_a_task_that_cannot_make_it_never_reaches_run(
    make_batcher: Callable[..., Batcher[int, int]], echo: Echo
) -> None:
    """Where a batch takes longer than a task has left, it is dropped at once."""
    batcher = make_batcher(expected_s=lambda rows: 10.0 * rows)
    hurried = submit(batcher, 1, deadline_s=time.monotonic() + 5)
    with pytest.raises(DeadlineExpired):
        hurried.result()
    assert submit(batcher, 2, deadline_s=time.monotonic() + 3600).result() == 4
    assert echo.batches == [[2]]


def test_a_batch_that_is_not_full_waits_for_more_if_it_is_told_to(
    make_batcher: Callable[..., Batcher[int, int]], echo: Echo
) -> None:
    """Tasks that come one after the other share a batch, and a full one waits no longer."""
    batcher = make_batcher(max_batch_rows=3, wait_s=60.0)
    futures = [submit(batcher, payload) for payload in (1, 2, 3)]
    assert [future.result() for future in futures] == [2, 4, 6]
    assert echo.batches == [[1, 2, 3]]


def test_ready_tasks_share_one_batch(held: Batcher[int, int], echo: Echo) -> None:
    """What arrives while a batch runs is one batch after it, in the order of arrival."""
    futures = [submit(held, payload) for payload in range(1, 9)]
    echo.gate.set()
    assert [future.result() for future in futures] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert echo.batches == [[0], [1, 2, 3, 4, 5, 6, 7, 8]]


def test_a_lone_task_does_not_wait_for_company(
    make_batcher: Callable[..., Batcher[int, int]],
) -> None:
    """An idle batcher answers one task that nothing follows."""
    assert submit(make_batcher(), 21).result() == 42


def test_an_exception_reaches_each_caller_of_that_batch_and_no_other(
    held: Batcher[int, int], echo: Echo
) -> None:
    """Every caller of a batch whose run() raised gets that exception; the next batch works."""
    futures = [submit(held, payload) for payload in (1, -7, 3)]
    echo.gate.set()
    for future in futures:
        with pytest.raises(ArithmeticError, match="-7"):
            future.result()
    assert submit(held, 4).result() == 8


@pytest.mark.parametrize("results", [[], [1], [1, 2, 3]])
def test_a_wrong_number_of_results_is_an_error_for_each_caller(results: list[int]) -> None:
    """run() that gives not one result a task settles every future with an error, and no hang."""
    echo = Echo()
    wrong = [results]

    def run(batch: Batch) -> list[int]:
        answers = echo(batch)
        return wrong.pop() if len(answers) == 2 else answers

    batcher = Batcher(run, max_batch_rows=8, limits=ROOMY)
    echo.gate.clear()
    first = submit(batcher, 0)
    echo.running.acquire()
    futures = [submit(batcher, 1), submit(batcher, 2)]
    echo.gate.set()
    assert first.result() == 0
    for future in futures:
        assert isinstance(future.exception(), ValueError)
    assert submit(batcher, 3).result() == 6
    batcher.close()


def test_a_full_queue_refuses_at_once(
    echo: Echo, make_batcher: Callable[..., Batcher[int, int]]
) -> None:
    """submit() raises QueueFull while the batch runs, and the accepted tasks are unharmed."""
    batcher = make_batcher(QueueLimits(max_rows=2, max_tasks=2))
    echo.gate.clear()
    futures = [submit(batcher, 0)]
    echo.running.acquire()
    futures += [submit(batcher, 1), submit(batcher, 2)]
    with pytest.raises(QueueFull):
        submit(batcher, 3)
    echo.gate.set()
    assert [future.result() for future in futures] == [0, 2, 4]


def test_close_settles_everything_that_was_accepted(held: Batcher[int, int], echo: Echo) -> None:
    """close() returns after every accepted task got its outcome, and refuses what comes after."""
    futures = [submit(held, payload) for payload in range(1, 30)]
    futures[3].cancel()
    echo.gate.set()
    held.close()
    assert all(future.done() for future in futures)
    assert [f.result() for f in futures if not f.cancelled()] == [
        2 * payload for payload in range(1, 30) if payload != 4
    ]
    with pytest.raises(Draining):
        submit(held, 99)
    held.close()


def test_submit_during_close_is_answered_or_refused(
    make_batcher: Callable[..., Batcher[int, int]],
) -> None:
    """However submit() and close() race, a task gets its answer or Draining, never neither."""
    batcher = make_batcher()
    start = threading.Barrier(5)

    def submit_many() -> list[Future[int]]:
        start.wait()
        accepted: list[Future[int]] = []
        with suppress(Draining):
            while True:
                accepted.append(submit(batcher, len(accepted)))
        return accepted

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(submit_many) for _ in range(4)]
        start.wait()
        batcher.close()
        for caller in callers:
            accepted = caller.result()
            assert [f.result() for f in accepted] == [
                2 * payload for payload in range(len(accepted))
            ]


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(1, 12), max_size=12), min_size=1, max_size=6),
    max_batch_rows=st.integers(1, 16),
)
def test_many_threads_each_get_their_own_results(
    sizes: list[list[int]], max_batch_rows: int
) -> None:
    """However callers and sizes mix, each future gives the result of its own payload."""

    def run(batch: Sequence[Task[object, object]]) -> list[object]:
        rows = sum(task.rows for task in batch)
        assert rows <= max_batch_rows or len(batch) == 1
        return [task.payload for task in batch]

    batcher: Batcher[object, object] = Batcher(run, max_batch_rows=max_batch_rows, limits=ROOMY)

    def call(caller: int) -> None:
        futures = [
            (number, batcher.submit((caller, number), rows=rows, kind=rows % 2))
            for number, rows in enumerate(sizes[caller])
        ]
        for number, future in futures:
            assert future.result() == (caller, number)

    with ThreadPoolExecutor(len(sizes)) as pool:
        list(pool.map(call, range(len(sizes))))
    batcher.close()
