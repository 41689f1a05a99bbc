"""One version that is being served."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate

from flatdense_server.batching.batcher import Batcher
from flatdense_server.batching.queue import QueueLimits, Task
from flatdense_server.errors import Draining, InferenceFailed
from flatdense_server.models.batch_series import BatchSeries
from flatdense_server.models.loader import LoadedVersion
from flatdense_server.models.shadow import LiveBatch, Shadow
from flatdense_server.observe.health.observer import Observer
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.observe.traces.journey import Journey, Tracer
from flatdense_server.summary import Identity
from flatdense_server.tensors import Outputs, Ran, Rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request puts in a batch."""

    rows: Rows
    hidden: bool
    journey: Journey | None = None
    """Its own, where its trace is kept."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A batch that ran."""

    parts: Sequence[Rows]
    outputs: Outputs
    """Of all parts, in order."""
    ran: Ran

    def split(self) -> list[Outputs]:
        """The outputs of each part."""
        if len(self.parts) == 1:
            return [self.outputs]
        stops = list(accumulate(map(len, self.parts)))
        return [
            self.outputs.cut(start, stop) for start, stop in zip([0, *stops], stops, strict=False)
        ]


class Servable:
    """A version with its engine, warm, and a queue in front of it. Thread-safe."""

    def __init__(
        self,
        name: str,
        loaded: LoadedVersion,
        *,
        limits: QueueLimits,
        metrics: Metrics,
        shadow: Shadow | None = None,
        observer: Observer | None = None,
        tracer: Tracer | None = None,
        batch_wait_s: float = 0.0,
    ) -> None:
        """Takes a loaded version over; its batches are shown to `shadow` and `observer`.

        A batch of submit() that is not full waits for `batch_wait_s`, and is told to `tracer`.
        """
        self.name = name
        self.version = loaded.number
        self.answerer = (name, str(loaded.number))
        """Name and version, as metrics have them."""
        self.identity = Identity(name, loaded.number, tuple(loaded.facts.class_names))
        self.facts = loaded.facts
        self.weights = loaded.weights
        """Of the two dense layers, where they are known."""
        self.engine_spec = spec = loaded.engine.spec
        self._engine = loaded.engine
        self._shadow = shadow
        self._tracer = tracer
        self._health = observer.watch(name, loaded.number, loaded.facts) if observer else None
        self._running = threading.Lock()
        self._best_s: dict[int, float] = {}
        self._closed = False
        self._series = BatchSeries(metrics, self.answerer, spec, loaded.facts.class_names)
        self._batcher: Batcher[Asked, Outputs] = Batcher(
            self._run,
            max_batch_rows=spec.ladder.top,
            limits=limits,
            on_idle=self.rest,
            expected_s=self.expected_s,
            wait_s=batch_wait_s,
        )

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return self._batcher.idle and not self._running.locked()

    def submit(
        self,
        rows: Rows,
        *,
        deadline_s: float | None,
        hidden: bool = False,
        journey: Journey | None = None,
    ) -> Future[Outputs]:
        """Queues rows that a codec has judged; `deadline_s` is on the clock of time.monotonic().

        The future gives their Outputs, or raises DeadlineExpired or InferenceFailed; cancelling it
        takes the rows out of the queue. Raises QueueFull or Draining at once.
        """
        return self._batcher.submit(
            Asked(rows, hidden, journey),
            rows=len(rows),
            kind=(rows.dtype, hidden),
            deadline_s=deadline_s,
        )

    def expected_s(self, rows: int) -> float:
        """How long a batch of so many rows takes at best; 0 where none has run yet."""
        ladder = self.engine_spec.ladder
        return sum(
            self._best_s.get(ladder.fit(stop - start), 0.0) for start, stop in ladder.cut(rows)
        )

    def compute(self, parts: Sequence[Rows], *, hidden: bool = False) -> Computed:
        """Runs one batch now: the rows of some requests, of one dtype.

        For threads that have a queue of their own; one batch runs at a time. record() is theirs to
        call when they have answered. Raises Draining where the version was let go of, and
        InferenceFailed.
        """
        with self._running:
            if self._closed:
                raise Draining("the version is not served any more. Try again.")
            started_s = time.monotonic()
            try:
                outputs = self._engine.run(parts, hidden=hidden)
            except Exception as error:
                log.exception(
                    "inference failed", extra={"model": self.name, "version": self.version}
                )
                raise InferenceFailed("the engine failed on this batch.") from error
            took_s = time.monotonic() - started_s
        rows, ladder = len(outputs.classes), self.engine_spec.ladder
        if len(ladder.cut(rows)) == 1:
            size = ladder.fit(rows)
            self._best_s[size] = min(took_s, self._best_s.get(size, took_s))
        outputs.ran = ran = Ran(started_s, took_s, rows)
        return Computed(parts, outputs, ran)

    def record(self, batch: Computed, enqueued_s: Iterable[float]) -> None:
        """Counts a batch that was answered, and shows it to the shadow and the observer.

        `enqueued_s` is when each request came.
        """
        self._series.count(batch.outputs.classes, batch.ran, list(enqueued_s))
        if self._health:
            self._health.offer(batch.parts, batch.outputs)
        if self._shadow:
            self._shadow.offer(
                LiveBatch(self.version, batch.parts, batch.outputs, batch.ran.took_s)
            )

    def close(self) -> None:
        """Answers what was accepted, then lets go of the engine."""
        self._batcher.close()
        with self._running:
            self._closed = True
            self._engine.close()
        if self._health:
            self._health.close()

    def rest(self) -> None:
        """Says that callers wait for nothing now: the shadow may have its turn."""
        if self._shadow:
            self._shadow.wake()

    def _run(self, batch: Sequence[Task[Asked, Outputs]]) -> list[Outputs]:
        computed = self.compute(
            [task.payload.rows for task in batch], hidden=batch[0].payload.hidden
        )
        self.record(computed, (task.enqueued_s for task in batch))
        if self._tracer:
            self._trace(self._tracer, computed.ran, [task.payload.journey for task in batch])
        return computed.split()

    def _trace(self, tracer: Tracer, ran: Ran, journeys: Iterable[Journey | None]) -> None:
        if riders := [journey for journey in journeys if journey]:
            tracer.batch(riders, ran, self.answerer, self.engine_spec.name)
