"""Calls that are ended before their message is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from flatdense_server.edge.status import add_request_id, status_of
from flatdense_server.errors import (
    Draining,
    Forbidden,
    NotReady,
    QueueFull,
    RequestError,
    Unauthenticated,
)

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

REASONS: Final[Mapping[type[RequestError], str]] = MappingProxyType(
    {
        QueueFull: "queue_full",
        NotReady: "not_ready",
        Draining: "draining",
        Unauthenticated: "unauthenticated",
        Forbidden: "forbidden",
    }
)
"""What operators see of requests that are not answered though nothing is wrong with them."""


@dataclass(frozen=True, slots=True, eq=False)
class Refusal:
    """How such a call ends, and how it is counted."""

    code: int
    """The number of gRPC's status."""
    name: str
    """And its name."""
    text: bytes
    metadata: Metadata
    """Of any such call: trailers() are those of one."""
    reason: str
    """One of REASONS."""

    def trailers(self, request_id: str) -> Metadata:
        """What the call of this id ends with."""
        return add_request_id(self.metadata, request_id)


def refusal_of(error: RequestError) -> Refusal:
    """Says what this error says, which has its reason among REASONS."""
    status = status_of(error, "")
    return Refusal(
        code=status.code.value[0],
        name=status.code.name,
        text=status.message.encode(),
        metadata=status.metadata,
        reason=REASONS[type(error)],
    )
