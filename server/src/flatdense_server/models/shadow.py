"""A candidate that sees live batches and answers nobody."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flatdense_server.models.loader import LoadedVersion
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.tensors import Outputs, Rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveBatch:
    """A batch that was answered."""

    version: int
    parts: Sequence[Rows]
    outputs: Outputs
    took_s: float
    """In the engine."""


class Shadow:
    """Compares a candidate with what is served, on a share of the batches, while nothing waits.

    At most one batch is kept for it: where the server is busy, most are let go. Its methods may be
    called by any thread, and none but begin() and end() waits.
    """

    def __init__(
        self,
        model_name: str,
        version: int,
        *,
        fraction: float,
        is_idle: Callable[[], bool],
        statuses: Statuses,
        metrics: Metrics,
    ) -> None:
        """Shows the version a `fraction` of the batches, when `is_idle` says that it is time."""
        self.version = version
        self._model_name = model_name
        self._fraction = fraction
        self._is_idle = is_idle
        self._statuses = statuses
        self._metrics = metrics
        self._changed = threading.Condition()
        self._candidate: LoadedVersion | None = None
        self._sample: LiveBatch | None = None
        self._credit = 0.0
        self._largest: dict[int, float] = {}
        self._failed = False
        self._running = threading.Lock()
        threading.Thread(target=self._work, name="shadow", daemon=True).start()

    @property
    def runs(self) -> bool:
        """Whether the candidate was loaded; one that failed since then too."""
        return self._candidate is not None

    def begin(self, candidate: LoadedVersion) -> None:
        """From now on the candidate is compared. The one before it has ended."""
        self._statuses.put(self.version, "shadow")
        log.info(
            "comparing",
            extra={
                "model": self._model_name,
                "version": self.version,
                "fraction": self._fraction,
            },
        )
        self._candidate, self._failed, self._largest = candidate, False, {}

    def end(self) -> None:
        """Lets go of the candidate, when the batch that it is in is over."""
        with self._running:
            candidate, self._candidate = self._candidate, None
            self._sample = None
        if candidate:
            candidate.engine.close()

    def offer(self, batch: LiveBatch) -> None:
        """Keeps the batch for the candidate, if it is its turn."""
        if self._candidate is None or self._failed or batch.version == self.version:
            return
        with self._changed:
            self._credit += self._fraction
            if self._credit >= 1:
                self._credit -= 1
                self._sample = self._sample or batch

    def wake(self) -> None:
        """A queue is empty now: it may be time."""
        if self._sample:
            with self._changed:
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._sample and self._is_idle())
            with self._running:
                candidate, batch, self._sample = self._candidate, self._sample, None
                if candidate and batch:
                    self._try(candidate, batch)

    def _try(self, candidate: LoadedVersion, batch: LiveBatch) -> None:
        try:
            self._compare(candidate, batch)
        except Exception as error:
            log.exception(
                "the shadow failed", extra={"model": self._model_name, "version": self.version}
            )
            self._statuses.put(self.version, "failed", f"it fails on live batches: {error}")
            self._failed = True

    def _compare(self, candidate: LoadedVersion, live: LiveBatch) -> None:
        # Once for warm caches: the served version had them.
        candidate.engine.run(live.parts)
        started_s = time.monotonic()
        outputs = candidate.engine.run(live.parts)
        took_s = time.monotonic() - started_s
        if outputs.probabilities.shape != live.outputs.probabilities.shape:
            raise ValueError(
                f"it gives {outputs.probabilities.shape[1]} classes, and version {live.version} "
                f"{live.outputs.probabilities.shape[1]}."
            )
        difference = float(np.abs(outputs.probabilities - live.outputs.probabilities).max())
        self._largest[live.version] = max(difference, self._largest.get(live.version, 0.0))
        agreeing = int(np.count_nonzero(outputs.classes == live.outputs.classes))
        metrics, labels = self._metrics, (self._model_name, live.version, self.version)
        metrics.shadow_rows.labels(*labels).inc(len(outputs.classes))
        metrics.shadow_agreeing_rows.labels(*labels).inc(agreeing)
        metrics.shadow_largest_difference.labels(*labels).set(self._largest[live.version])
        metrics.shadow_latency_ratio.labels(*labels).observe(took_s / live.took_s)
