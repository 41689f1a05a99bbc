"""What is counted of the batches of one version."""

import collections
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flatdense_server.engine.engine import EngineSpec
from flatdense_server.observe.metrics.instruments import Counter, tally
from flatdense_server.observe.metrics.metrics import TIME_BUCKETS_S, Metrics
from flatdense_server.selector import Answerer
from flatdense_server.tensors import Ran


@dataclass(frozen=True, slots=True)
class Shape:
    """What follows from a batch's rows alone: found once, not for each batch."""

    padding_rows: int
    batches: Counter
    batch_s: Counter


class BatchSeries:
    """The series of a version, looked up once. Thread-safe."""

    def __init__(
        self, metrics: Metrics, answerer: Answerer, spec: EngineSpec, class_names: Sequence[str]
    ) -> None:
        self._metrics = metrics
        self._answerer = answerer
        self._ladder = spec.ladder
        self._queue_duration_s = metrics.queue_duration_s.labels(*answerer)
        self._inference_duration_s = metrics.inference_duration_s.labels(*answerer, spec.name)
        self._batch_rows = metrics.batch_rows.labels(*answerer)
        self._rows = metrics.rows.labels(*answerer)
        self._answer_s = metrics.answer_s.labels(*answerer)
        self._compute_s = metrics.compute_s.labels(*answerer)
        self._last_inference_s = metrics.last_inference_s.labels(*answerer)
        self._predictions = [metrics.predictions.labels(*answerer, name) for name in class_names]
        self._shapes: dict[int, Shape] = {}

    def count(self, classes: npt.NDArray[np.int64], ran: Ran, arrived_s: Sequence[float]) -> None:
        """A batch was answered: its rows' classes, and when each of its requests came."""
        rows, requests, started_s, took_s = ran.rows, len(arrived_s), ran.started_s, ran.took_s
        self._inference_duration_s.observe(took_s)
        waited = tally(TIME_BUCKETS_S, [started_s - each_s for each_s in arrived_s])
        self._queue_duration_s.add(waited)
        self._answer_s.inc(waited.total + requests * (time.monotonic() - started_s))
        self._compute_s.inc(requests * took_s)
        self._last_inference_s.set(time.time())  # noqa: TID251 -- a date, not a duration
        self._rows.inc(rows)
        self._batch_rows.observe(rows)
        shape = self._shapes.get(rows) or self._find_shape(rows)
        if shape.padding_rows:
            self._metrics.padding_rows.inc(shape.padding_rows)
        shape.batches.inc()
        shape.batch_s.inc(took_s)
        predictions = self._predictions
        if rows == 1:
            predictions[classes.item()].inc()
            return
        for index, count in collections.Counter(classes.tolist()).items():
            predictions[index].inc(count)

    def _find_shape(self, rows: int) -> Shape:
        metrics, ladder = self._metrics, self._ladder
        labels = (*self._answerer, ladder.fit(min(rows, ladder.top)))
        shape = self._shapes[rows] = Shape(
            ladder.padding_rows(rows),
            metrics.batches.labels(*labels),
            metrics.batch_s.labels(*labels),
        )
        return shape
