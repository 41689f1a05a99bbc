"""The ready tasks, and which of them make the next batch."""

from collections import deque
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from flatdense_server.errors import QueueFull

Payload = TypeVar("Payload")
Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True, eq=False)
class Task(Generic[Payload, Result]):
    """One request in the queue."""

    payload: Payload
    rows: int
    kind: Hashable
    """Only tasks of one kind can share a batch."""
    enqueued_s: float
    """On the clock of time.monotonic()."""
    deadline_s: float | None = None
    """On the same clock; None where the caller waits for ever."""
    future: Future[Result] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """When the queue says no."""

    max_rows: int
    """Waiting rows. Bounds the time that an accepted task can wait."""
    max_tasks: int
    """Waiting tasks. Bounds memory where each brings few rows."""


class Waiting(Protocol):
    """What the queue must know of whatever waits in it."""

    @property
    def rows(self) -> int:
        """How much of a batch it takes."""
        ...

    @property
    def kind(self) -> Hashable:
        """Only those of one kind can share a batch."""
        ...


Waiter = TypeVar("Waiter", bound=Waiting)


class ReadyQueue(Generic[Waiter]):
    """Tasks in the order of their arrival. Not thread-safe.

    - put() refuses with QueueFull what would pass a limit, and then changes nothing.
    - take() always begins with the oldest task, so none waits for ever; it adds the next ones of
      the same kind, in order, and stops at the first that does not fit, so that a big task is not
      overtaken again and again by small ones behind it.
    """

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._tasks: deque[Waiter] = deque()
        self._rows = 0

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def rows(self) -> int:
        """The rows of all waiting tasks."""
        return self._rows

    def put(self, task: Waiter) -> None:
        """Appends a task, or raises QueueFull."""
        limits = self._limits
        if self._tasks and self._rows + task.rows > limits.max_rows:
            raise QueueFull(
                f"the server is busy: {self._rows} rows are waiting and the limit is "
                f"{limits.max_rows}. Try again later."
            )
        if len(self._tasks) >= limits.max_tasks:
            raise QueueFull(
                f"the server is busy: {len(self._tasks)} requests are waiting and the limit is "
                f"{limits.max_tasks}. Try again later."
            )
        self._tasks.append(task)
        self._rows += task.rows

    def take(self, max_rows: int) -> list[Waiter]:
        """Removes and gives the next batch: at most `max_rows`, but always at least one task.

        Empty where nothing waits.
        """
        batch: list[Waiter] = []
        passed: list[Waiter] = []
        taken_rows = 0
        while self._tasks:
            task = self._tasks[0]
            if batch and task.kind == batch[0].kind and taken_rows + task.rows > max_rows:
                break
            self._tasks.popleft()
            if batch and task.kind != batch[0].kind:
                passed.append(task)
                continue
            batch.append(task)
            taken_rows += task.rows
        self._tasks.extendleft(reversed(passed))
        self._rows -= taken_rows
        return batch
