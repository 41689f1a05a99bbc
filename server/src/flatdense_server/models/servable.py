"""One version that is being served."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np

from flatdense_server.batching.batcher import Batcher
from flatdense_server.batching.queue import QueueLimits, Task
from flatdense_server.errors import InferenceFailed
from flatdense_server.models.loader import LoadedVersion
from flatdense_server.models.shadow import LiveBatch, Shadow
from flatdense_server.observe.metrics import Metrics
from flatdense_server.tensors import Outputs, Rows

log = logging.getLogger(__name__)


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
    ) -> None:
        """Takes a loaded version over; its batches are shown to `shadow`."""
        self.name = name
        self.version = loaded.number
        self.facts = loaded.facts
        self.engine_spec = spec = loaded.engine.spec
        self._engine = loaded.engine
        self._shadow = shadow
        labels = (name, self.version)
        self._queue_duration_s = metrics.queue_duration_s.labels(*labels)
        self._inference_duration_s = metrics.inference_duration_s.labels(*labels, spec.name)
        self._batch_rows = metrics.batch_rows.labels(*labels)
        self._rows = metrics.rows.labels(*labels)
        self._padding_rows = metrics.padding_rows
        self._predictions = [
            metrics.predictions.labels(*labels, class_name) for class_name in self.facts.class_names
        ]
        self._batcher: Batcher[Rows, Outputs] = Batcher(
            self._run,
            max_batch_rows=spec.ladder.top,
            limits=limits,
            on_idle=self._rest,
        )

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return self._batcher.idle

    def submit(self, rows: Rows, *, deadline_s: float | None) -> Future[Outputs]:
        """Queues rows that a codec has judged; `deadline_s` is on the clock of time.monotonic().

        The future gives their Outputs, or raises DeadlineExpired or InferenceFailed; cancelling it
        takes the rows out of the queue. Raises QueueFull or Draining at once.
        """
        return self._batcher.submit(rows, rows=len(rows), kind=rows.dtype, deadline_s=deadline_s)

    def close(self) -> None:
        """Answers what was accepted, then lets go of the engine."""
        self._batcher.close()
        self._engine.close()

    def _rest(self) -> None:
        if self._shadow:
            self._shadow.wake()

    def _run(self, batch: Sequence[Task[Rows, Outputs]]) -> list[Outputs]:
        started_s = time.monotonic()
        try:
            outputs = self._engine.run([task.payload for task in batch])
        except Exception as error:
            log.exception("inference failed", extra={"model": self.name, "version": self.version})
            raise InferenceFailed("the engine failed on this batch.") from error
        took_s = time.monotonic() - started_s
        self._inference_duration_s.observe(took_s)
        for task in batch:
            self._queue_duration_s.observe(started_s - task.enqueued_s)
        self._count(outputs.classes)
        if self._shadow:
            self._shadow.offer(
                LiveBatch(self.version, [task.payload for task in batch], outputs, took_s)
            )
        stops = np.cumsum([task.rows for task in batch]).tolist()
        starts = [0, *stops[:-1]]
        return [outputs.cut(start, stop) for start, stop in zip(starts, stops, strict=True)]

    def _count(self, classes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        rows = len(classes)
        self._rows.inc(rows)
        self._batch_rows.observe(rows)
        self._padding_rows.inc(self.engine_spec.ladder.padding_rows(rows))
        counts = np.bincount(classes, minlength=len(self._predictions))
        for index in np.flatnonzero(counts):
            self._predictions[index].inc(int(counts[index]))
