"""What goes between the door and a replica: calls and answers as they are.

Serve's own context carries neither a deadline nor, with an error, trailing metadata.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

Trailers: TypeAlias = tuple[tuple[str, bytes], ...]
"""Trailing metadata, of which those texts that gRPC gives as such are in UTF-8."""

BINARY: Final = "-bin"
"""How the keys of metadata end that is no text."""

OK: Final = 0
"""As gRPC numbers its status codes."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a call begins."""

    method: str
    """Its whole path: /package.Service/Method."""
    metadata: Metadata
    remaining_s: float | None
    """Until its deadline, when it came; None where it has none."""
    body: bytes = b""
    """The request as it was sent. Of a stream, whose requests come later, nothing."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """A message of the server, or how the call ended; of a call with one answer, both."""

    body: bytes | None
    """None where this is the end alone."""
    code: int | None = None
    """How it ended, as gRPC's number; None where more may come."""
    message: str = ""
    trailers: Trailers = ()

    # As Serve, which takes every answer for a protobuf message, calls it.
    def SerializeToString(self) -> bytes:  # noqa: N802
        """The answer as bytes: never none, unlike those that Serve gives where it has no answer."""
        return msgspec.msgpack.encode(self)


def read_answer(serialized: bytes) -> Answer:
    """An answer from what SerializeToString made of it."""
    return msgspec.msgpack.decode(serialized, type=Answer)


def pack_trailers(metadata: Iterable[tuple[str, str | bytes]] | None) -> Trailers:
    """Trailing metadata as gRPC gives it, for an Answer."""
    return tuple(
        (key, value.encode() if isinstance(value, str) else value) for key, value in metadata or ()
    )


def unpack_trailers(trailers: Trailers) -> Metadata:
    """Those of an Answer, as gRPC takes them."""
    return tuple(
        (key, value if key.endswith(BINARY) else value.decode()) for key, value in trailers
    )
