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
    spans_s = {"total": time.monotonic() - arrived_s}
    described = {}
    if (ran := outputs.ran) is not None:
        spans_s = {"queue": ran.started_s - arrived_s, "compute": ran.took_s, **spans_s}
        described["batch"] = ran.rows
    if wish == FULL:
        described |= {"rows": len(outputs.classes), "version": int(answerer[1])}
    spans = [f"{name};dur={span_s * MS_IN_S:.3f}" for name, span_s in spans_s.items()]
    facts = [f"{name};desc={fact}" for name, fact in described.items()]
    return ((TRAILER, ", ".join((*spans, *facts))),)
