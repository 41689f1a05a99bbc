"""Bytes to messages, and what messages are called in public."""

from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from flatdense_server.errors import InvalidInput

AnyMessage = TypeVar("AnyMessage", bound=Message)

TWINS: Final = "flatdense.twin."
"""What the names of our own copies of public messages begin with."""


def parse(kind: type[AnyMessage], data: bytes) -> AnyMessage:
    """The message that `data` encodes. Raises InvalidInput where it encodes none."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidInput(
            "request",
            f"expected a {public_name(kind.DESCRIPTOR.full_name)} message, got {len(data)} bytes "
            "that are not valid protobuf of that type.",
        ) from None


def public_name(full_name: str) -> str:
    """The name of a message or service, as everybody else knows it."""
    return full_name.removeprefix(TWINS)
