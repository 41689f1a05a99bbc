"""What requests say beside their values, remembered."""

from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from flatdense_server.protocols.wire import Lifted, lift

Outline = TypeVar("Outline")

MOST_OUTLINES: Final = 256
"""A caller's requests are alike; those of many callers are of a few kinds."""

LONGEST_OUTLINE_BYTES: Final = 1 << 10
"""Longer ones are not remembered: strangers fill no memory."""


class Values(NamedTuple):
    """The values of a request, where they lie in its bytes."""

    number: int
    """Of their field."""
    contents: memoryview


class Outlines(Generic[Outline]):
    """Finds the values in a request's bytes, and reads the rest once for all requests alike.

    Values are not copied. Two messages of one length, with the same bytes before the values and
    the same after, differ in the values alone: the length of these is among the bytes before. So
    what was read of the one holds for the other. Any thread may ask; what is given is shared by
    all, and not to be changed.
    """

    def __init__(
        self, read: Callable[[bytes], Outline | None], *path: int, last: Sequence[int]
    ) -> None:
        """`path` and `last` are lift()'s. `read` gets a message without its values.

        It gives None where protobuf must parse the whole, and may raise.
        """
        self._read = read
        self._path = path
        self._last = last
        self._spans: dict[int, tuple[int, int]] = {}
        """Where the values were in the last message of each length."""
        self._known: dict[tuple[int, bytes, bytes], tuple[Outline, int]] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def find(self, data: bytes) -> tuple[Outline, Values] | None:
        """What a request says, and its values; None where protobuf must parse the whole.

        Raises what `read` raises.
        """
        length = len(data)
        if span := self._spans.get(length):
            start, stop = span
            if known := self._known.get((length, data[:start], data[stop:])):
                outline, number = known
                return outline, Values(number, memoryview(data)[start:stop])
        lifted = lift(data, *self._path, last=self._last)
        if lifted is None:
            return None
        read = self._read(lifted.rest)
        if read is None:
            return None
        self._remember(data, lifted, read)
        return read, Values(lifted.number, lifted.contents)

    def _remember(self, data: bytes, lifted: Lifted, outline: Outline) -> None:
        if len(data) - len(lifted.contents) > LONGEST_OUTLINE_BYTES:
            return
        if len(self._known) >= MOST_OUTLINES or len(self._spans) >= MOST_OUTLINES:
            self._known.clear()
            self._spans.clear()
        start, stop = lifted.start, lifted.start + len(lifted.contents)
        self._spans[len(data)] = start, stop
        self._known[len(data), data[:start], data[stop:]] = outline, lifted.number
