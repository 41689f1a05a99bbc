"""On whose behalf a worker is asked: known to all that happens for one request."""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias

Metadata: TypeAlias = tuple[tuple[str, str], ...]

TIMING: Final = "server-timing"
"""In which trailer a worker says what a call took, and who answered it."""

TIMING_WANTED: Final = "flatdense-timing"
"""In which header a caller asks for that."""

ASK_TIMING: Final[Metadata] = ((TIMING_WANTED, "full"),)


@dataclass(slots=True)
class Caller:
    """One request by HTTP."""

    metadata: Metadata
    """What a worker is told of it, beside its message."""
    timing: str = ""
    """What the worker said of its time, where it was asked."""

    def hear(self, trailers: Iterable[tuple[str, str | bytes]]) -> None:
        """What a worker said beside its answer."""
        for key, value in trailers:
            if key == TIMING and isinstance(value, str):
                self.timing = value


CALLER: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)
"""The one whose request this task answers; None where the server asks for itself."""
