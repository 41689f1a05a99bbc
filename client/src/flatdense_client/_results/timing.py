"""What the server says a message took, in the trailer that it sends to who asks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

ASKING = (("flatdense-timing", "1"),)
"""The metadata of a call that asks."""

_TRAILER = "server-timing"

_WRITTEN = re.compile(
    r"queue;dur=(\d+\.\d+), compute;dur=(\d+\.\d+), total;dur=(\d+\.\d+), batch;desc=(\d+)"
)

_S_IN_MS = 1e-3


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one message took on the server, beside the way there and back."""

    queue_s: float
    """From the arrival of the call until its batch began."""
    compute_s: float
    """In the engine."""
    total_s: float
    """From the arrival until the answer was written."""
    batch_rows: int
    """The rows that were computed together, those of other callers too."""

    def __repr__(self) -> str:
        spans = (
            f"{name}={span_s / _S_IN_MS:.3f} ms"
            for name, span_s in (
                ("queue", self.queue_s),
                ("compute", self.compute_s),
                ("total", self.total_s),
            )
        )
        return f"Timing({', '.join(spans)}, batch_rows={self.batch_rows})"


def find_timing(trailers: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    """The server's words on the timing, among a call's trailers; None where there are none.

    They are read when somebody asks: to read them takes a while.
    """
    for key, value in trailers or ():
        if key == _TRAILER and isinstance(value, str):
            return value
    return None


@lru_cache(maxsize=128)
def read_timing(words: str | None) -> Timing | None:
    """The timing that the server's words tell; None where they cannot be read."""
    written = _WRITTEN.fullmatch(words or "")
    if written is None:
        return None
    queue_ms, compute_ms, total_ms = map(float, written.groups()[:3])
    return Timing(
        queue_s=queue_ms * _S_IN_MS,
        compute_s=compute_ms * _S_IN_MS,
        total_s=total_ms * _S_IN_MS,
        batch_rows=int(written[4]),
    )
