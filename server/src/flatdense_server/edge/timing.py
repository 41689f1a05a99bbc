"""What a call took, for callers who ask.

They send `flatdense-timing` in the request's metadata, and get the trailer `server-timing`, which
is written as the HTTP header of that name: https://www.w3.org/TR/server-timing/.
"""

import time
from collections.abc import Iterable
from typing import Final

from flatdense_server.tensors import Ran

WANTED: Final = "flatdense-timing"

TRAILER: Final = "server-timing"

MS_IN_S: Final = 1e3


def is_wanted(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Whether the caller asks what its call takes."""
    return any(key == WANTED for key, _value in metadata)


def describe(ran: Ran | None, arrived_s: float) -> tuple[tuple[str, str], ...]:
    """The trailer of a call that arrived then and is about to be answered.

    `queue`, `compute` and `total` in milliseconds, and how many rows its batch had.
    """
    spans_s = {"total": time.monotonic() - arrived_s}
    batch = ""
    if ran is not None:
        spans_s = {"queue": ran.started_s - arrived_s, "compute": ran.took_s, **spans_s}
        batch = f", batch;desc={ran.rows}"
    spans = ", ".join(f"{name};dur={span_s * MS_IN_S:.3f}" for name, span_s in spans_s.items())
    return ((TRAILER, spans + batch),)
