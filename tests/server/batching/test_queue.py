"""The ready queue: what it takes in, and what it gives as the next batch."""

from itertools import pairwise

import pytest
from flatdense_server.batching.queue import QueueLimits, ReadyQueue, Task
from flatdense_server.errors import QueueFull
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

ROOMY = QueueLimits(max_rows=1_000, max_tasks=1_000)


def task(name: str, rows: int = 1, kind: str = "a") -> Task[str, None]:
    """A task that is told from others by its payload."""
    return Task(payload=name, rows=rows, kind=kind, enqueued_s=0.0)


def filled(*tasks: Task[str, None], limits: QueueLimits = ROOMY) -> ReadyQueue:
    """A queue with tasks in it."""
    queue: ReadyQueue = ReadyQueue(limits)
    for each in tasks:
        queue.put(each)
    return queue


def names(batch: list[Task[str, None]]) -> str:
    """The payloads of a batch in one word."""
    return "".join(each.payload for each in batch)


class QueueMachine(RuleBasedStateMachine):
    """Puts and takes in every order, against a plain list of what must be waiting."""

    @initialize(max_rows=st.integers(1, 30), max_tasks=st.integers(1, 8))
    def start(self, max_rows: int, max_tasks: int) -> None:
        """An empty queue with some limits."""
        self.limits = QueueLimits(max_rows=max_rows, max_tasks=max_tasks)
        self.queue: ReadyQueue = ReadyQueue(self.limits)
        self.waiting: list[Task[str, None]] = []
        self.arrivals = 0

    @rule(rows=st.integers(1, 40), kind=st.sampled_from("ab"))
    def put(self, rows: int, kind: str) -> None:
        """A task gets in exactly where both limits allow it; an empty queue takes any size."""
        arrival = task(str(self.arrivals), rows, kind)
        self.arrivals += 1
        fits_rows = not self.waiting or self.rows() + rows <= self.limits.max_rows
        if fits_rows and len(self.waiting) < self.limits.max_tasks:
            self.queue.put(arrival)
            self.waiting.append(arrival)
        else:
            with pytest.raises(QueueFull):
                self.queue.put(arrival)

    @rule(max_rows=st.integers(1, 40))
    def take(self, max_rows: int) -> None:
        """A batch is the oldest task and all that follow it in its kind, as far as they fit."""
        waiting = list(self.waiting)
        batch = self.queue.take(max_rows)
        positions = [waiting.index(each) for each in batch]
        self.waiting = [each for each in waiting if each not in batch]
        assert len(batch) == len(set(positions))
        assert bool(batch) == bool(waiting)
        if not batch:
            return
        assert positions[0] == 0
        assert all(earlier < later for earlier, later in pairwise(positions))
        assert {each.kind for each in batch} == {waiting[0].kind}
        rows = sum(each.rows for each in batch)
        assert rows <= max_rows or len(batch) == 1
        left = [each for each in self.waiting if each.kind == batch[0].kind]
        if left:  # nothing was overtaken, and nothing that fitted stayed
            assert waiting.index(left[0]) > positions[-1]
            assert rows + left[0].rows > max_rows

    @invariant()
    def counts(self) -> None:
        """Tasks and rows are counted exactly, whatever was refused."""
        assert len(self.queue) == len(self.waiting)
        assert self.queue.rows == self.rows()

    def rows(self) -> int:
        """The rows that must be waiting."""
        return sum(each.rows for each in self.waiting)

    def teardown(self) -> None:
        """In the end everything accepted comes out, once, in order within its kind."""
        taken: list[Task[str, None]] = []
        while batch := self.queue.take(5):
            taken += batch
        for kind in "ab":
            assert [t for t in taken if t.kind == kind] == [
                t for t in self.waiting if t.kind == kind
            ]
        assert len(taken) == len(self.waiting)
        assert self.queue.rows == 0


TestQueueMachine = QueueMachine.TestCase


def test_a_big_task_is_not_overtaken_by_small_ones_behind_it() -> None:
    """take() stops at the first task of its kind that does not fit."""
    queue = filled(task("x", 3), task("B", 6), task("y", 1))
    assert names(queue.take(8)) == "x"
    assert names(queue.take(8)) == "By"


def test_a_task_bigger_than_a_batch_goes_alone() -> None:
    """The oldest task is taken whatever its size, and nothing with it."""
    queue = filled(task("B", 100), task("x"))
    assert names(queue.take(8)) == "B"
    assert names(queue.take(8)) == "x"


def test_kinds_do_not_mix_and_the_others_keep_their_places() -> None:
    """Tasks of another kind stay, in their order, and the oldest of them begins the next batch."""
    queue = filled(
        task("a"), task("1", kind="b"), task("c"), task("2", kind="b"), task("3", kind="b")
    )
    assert names(queue.take(8)) == "ac"
    assert names(queue.take(8)) == "123"


def test_an_empty_queue_gives_an_empty_batch() -> None:
    """take() of nothing is nothing."""
    assert filled().take(8) == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (QueueLimits(max_rows=5, max_tasks=9), "3 rows are waiting and the limit is 5"),
        (QueueLimits(max_rows=9, max_tasks=1), "1 requests are waiting and the limit is 1"),
    ],
)
def test_a_refusal_names_the_limit_and_changes_nothing(limits: QueueLimits, message: str) -> None:
    """QueueFull says how much waits and what the limit is; the queue is as it was."""
    queue = filled(task("x", 3), limits=limits)
    with pytest.raises(QueueFull, match=message):
        queue.put(task("y", 3))
    assert (len(queue), queue.rows) == (1, 3)
    assert names(queue.take(8)) == "x"
