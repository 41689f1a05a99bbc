"""What a call took, for callers who ask.

They send `flatdense-timing` in the request's metadata, and get the trailer `server-timing`, which
is written as the HTTP header of that name: https://www.w3.org/TR/server-timing/.
"""

import time
from collections.abc import Iterable
from typing import Final

from flatdense_server.selector import Answerer
from flatdense_server.tensors import Outputs

WANTED: Final = "flatdense-timing"

FULL: Final = "full"
"""What the service's own processes ask for: who answered, and how many rows."""

TRAILER: Final = "server-timing"

MS_IN_S: Final = 1e3


def find_wish(metadata: Iterable[tuple[str, str | bytes]]) -> str | bytes | None:
    """How the caller asks what its call takes, if it does."""
    return next((value for key, value in metadata if key == WANTED), None)


def describe(
    wish: str | bytes, outputs: Outputs, answerer: Answerer, arrived_s: float
) -> tuple[tuple[str, str], ...]:
    """The trailer of a call that arrived then and is about to be answered.

    `queue`, `compute` and `total` in milliseconds, and how many rows its batch had.
    """
    words = f"total;dur={(time.monotonic() - arrived_s) * MS_IN_S:.3f}"
    if (ran := outputs.ran) is not None:
        queue_ms, compute_ms = (ran.started_s - arrived_s) * MS_IN_S, ran.took_s * MS_IN_S
        before = f"queue;dur={queue_ms:.3f}, compute;dur={compute_ms:.3f}"
        words = f"{before}, {words}, batch;desc={ran.rows}"
    if wish == FULL:
        words += f", rows;desc={len(outputs.classes)}, version;desc={int(answerer[1])}"
    return ((TRAILER, words),)
