"""The access log: a line for a share of the requests."""

import logging
import random
from typing import Final

from flatdense_server.observe.traces.passage import Passage

log = logging.getLogger(__name__)

DIGITS: Final = 6
"""Of seconds: microseconds."""


class AccessLog:
    """Draws requests by lot, and writes a line of each. Thread-safe."""

    def __init__(self, sample: float) -> None:
        """`sample` is the share, from 0 to 1."""
        self._sample = sample
        self._draw = random.Random().random  # noqa: S311 -- a lot, no secret

    def is_drawn(self) -> bool:
        """Whether a request is told of."""
        return self._draw() < self._sample

    def write(self, passage: Passage, trace_id: int | None) -> None:
        """The line of a request that has ended: what is known of it, and no more."""
        model, version = passage.answerer
        told: dict[str, object] = {
            "method": passage.method,
            "model": model,
            "version": version,
            "code": passage.code,
            "rows": passage.rows or "",
            "duration_s": round(passage.ended_s - passage.arrived_s, DIGITS),
        }
        if ran := passage.ran:
            told["queue_s"] = round(max(0.0, ran.started_s - passage.arrived_s), DIGITS)
            told["compute_s"] = round(ran.took_s, DIGITS)
        told |= {"peer": passage.peer, "request_id": passage.request_id}
        if trace_id is not None:
            told["trace_id"] = f"{trace_id:032x}"
        log.info("request", extra={key: value for key, value in told.items() if value != ""})


def make_access_log(sample: float) -> AccessLog | None:
    """One for this share of the requests; None where it is 0, and nothing is to be drawn."""
    return AccessLog(sample) if sample else None
