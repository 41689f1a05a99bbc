"""Groups ready tasks into batches and hands each batch to one callback."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic

from flatdense_server.batching.queue import Payload, QueueLimits, ReadyQueue, Result, Task
from flatdense_server.errors import DeadlineExpired, Draining

RunBatch = Callable[[Sequence[Task[Payload, Result]]], Sequence[Result]]


class Batcher(Generic[Payload, Result]):
    """Runs what is ready as one batch, while the next batch gathers by itself.

    - submit() never blocks: it gives a Future, or raises QueueFull or Draining.
    - run(batch) is called on one thread, one batch at a time, and gives one result for each task.
    - A task that was cancelled, or whose deadline would pass before its batch is over, is dropped.
    - Whatever happens to a batch, each of its futures is settled exactly once: with its own
      result, or with the exception that run() raised.
    - close() refuses new tasks, lets every accepted one be settled, and then ends the thread.
    - on_idle() is called on that thread each time that nothing is left to do. It must not block.
    """

    def __init__(
        self,
        run: RunBatch[Payload, Result],
        *,
        max_batch_rows: int,
        limits: QueueLimits,
        on_idle: Callable[[], None] = lambda: None,
        expected_s: Callable[[int], float] = lambda _rows: 0.0,
        wait_s: float = 0.0,
    ) -> None:
        """`expected_s(rows)` is how long a batch of so many rows takes at best.

        A batch that is not full waits for `wait_s`: for engines that gain by bigger ones.
        """
        self._wait_s = wait_s
        self._run = run
        self._expected_s = expected_s
        self._on_idle = on_idle
        self._idle = True
        self._max_batch_rows = max_batch_rows
        self._queue: ReadyQueue[Task[Payload, Result]] = ReadyQueue(limits)
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return self._idle

    def submit(
        self, payload: Payload, *, rows: int, kind: Hashable, deadline_s: float | None = None
    ) -> Future[Result]:
        """Queues one task. `deadline_s` is on the clock of time.monotonic()."""
        task: Task[Payload, Result] = Task(
            payload=payload,
            rows=rows,
            kind=kind,
            enqueued_s=time.monotonic(),
            deadline_s=deadline_s,
        )
        with self._changed:
            if self._closed:
                raise Draining("the server is stopping. Try another one, or try again later.")
            self._queue.put(task)
            self._changed.notify()
        return task.future

    def close(self) -> None:
        """Settles what was accepted, then ends the thread. Calling it again changes nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            over_s = time.monotonic() + self._expected_s(sum(task.rows for task in batch))
            live = [task for task in batch if claim(task, over_s=over_s)]
            if live:
                self._settle(live)

    def _next_batch(self) -> list[Task[Payload, Result]]:
        """Waits for ready tasks; empty only when closed and drained."""
        with self._changed:
            if not self._queue:
                self._idle = True
                self._on_idle()
            self._changed.wait_for(lambda: self._closed or len(self._queue) > 0)
            self._idle = False
            if self._wait_s:
                full = self._max_batch_rows
                self._changed.wait_for(
                    lambda: self._closed or self._queue.rows >= full, self._wait_s
                )
            return self._queue.take(self._max_batch_rows)

    def _settle(self, batch: list[Task[Payload, Result]]) -> None:
        try:
            results = self._run(batch)
            answers = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the callers are told
            for task in batch:
                task.future.set_exception(error)
            return
        for task, result in answers:
            task.future.set_result(result)


def claim(task: Task[Payload, Result], *, over_s: float) -> bool:
    """Whether a task goes into a batch that is over then. One that does not is settled here."""
    if not task.future.set_running_or_notify_cancel():
        return False
    if task.deadline_s is not None and task.deadline_s <= over_s:
        task.future.set_exception(
            DeadlineExpired("the deadline came before the request could be answered.")
        )
        return False
    return True
