"""Looks at what was answered, now and then, on a thread of its own."""

import logging
import threading
from typing import Final

from flatdense_server.observe.health.health import Health
from flatdense_server.observe.health.health_metrics import HealthMetrics
from flatdense_server.summary import ModelFacts

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""Between two looks. One takes about a millisecond."""

JOIN_S: Final = 1.0


class Observer:
    """Has the health of every version counted, until it is closed. Thread-safe.

    Whatever happens to it, calls do not notice: it is told of them when they are answered. Its
    thread has the priority of the others: one that must wait for the processor while it holds
    Python's lock would hold up calls.
    """

    def __init__(self, metrics: HealthMetrics, *, low_confidence: float) -> None:
        """A row is of low confidence where its answer is less probable than that."""
        self._metrics = metrics
        self._low_confidence = low_confidence
        self._watched: list[Health] = []
        self._failed = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="observer", daemon=True)
        self._thread.start()

    def watch(self, model: str, version: int, facts: ModelFacts) -> Health:
        """What the batches of a version are to be offered to, until it is closed."""
        health = Health(model, version, facts, self._metrics, low_confidence=self._low_confidence)
        self._watched.append(health)
        return health

    def look(self) -> None:
        """Counts what was offered so far. A failure is logged once, and costs its rows alone."""
        for health in tuple(self._watched):
            if health.closed:
                self._watched.remove(health)
                continue
            try:
                health.look()
            except Exception:
                if not self._failed:
                    log.exception("prediction health failed; calls are answered as before")
                self._failed = True

    def close(self) -> None:
        """Counts what was offered last, and ends the thread."""
        self._closing.set()
        self._thread.join(JOIN_S)

    def _work(self) -> None:
        while not self._closing.wait(LOOK_S):
            self.look()
        self.look()
