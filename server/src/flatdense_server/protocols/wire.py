"""Protobuf's wire format, as far as big fields are found in it without copying them.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

ONE_BYTE_TAGS: Final = 1 << 7

LONGEST_VARINT_BYTES: Final = 5
"""Of a length that can be in a message."""

LENGTHS: Final = [bytes((length,)) for length in range(1 << 7)]


@dataclass(frozen=True, slots=True)
class Lifted:
    """A field that was taken out of a message."""

    rest: bytes
    """The message without it."""
    number: int
    start: int
    """Where its contents began in the message."""
    contents: memoryview


def lift(data: bytes, *path: int, last: Sequence[int]) -> Lifted | None:
    """Takes one field out of a message; its contents are not copied.

    It is the first one whose number is in `last`, in the message that `path` leads to by the first
    field of each number; all are below 16. None where it is not found, or something before it is
    unusual: then protobuf must parse the whole. Whether there are more such fields is for the
    caller to look.
    """
    tags = [*([number << 3 | LENGTH] for number in path), [number << 3 | LENGTH for number in last]]
    lifted = lift_span(data, tags, 0, len(data))
    if lifted is None:
        return None
    rest, tag, (start, stop) = lifted
    return Lifted(rest, tag >> 3, start, memoryview(data)[start:stop])


def lift_span(
    data: bytes, tags: Sequence[Sequence[int]], start: int, stop: int
) -> tuple[bytes, int, tuple[int, int]] | None:
    """See lift(): the same for the message in data[start:stop], by the tags of fields."""
    found = find_field(data, tags[0], start, stop)
    if found is None:
        return None
    tag_at, field_start, field_stop = found
    if len(tags) == 1:
        rest = data[start:tag_at] + data[field_stop:stop]
        return rest, data[tag_at], (field_start, field_stop)
    inner = lift_span(data, tags[1:], field_start, field_stop)
    if inner is None:
        return None
    rest, tag, span = inner
    head = data[start : tag_at + 1]
    return b"".join((head, encode_length(len(rest)), rest, data[field_stop:stop])), tag, span


def find_field(
    data: bytes, tags: Sequence[int], start: int, stop: int
) -> tuple[int, int, int] | None:
    """Where the first field with such a tag is: (its tag, its contents' start and stop)."""
    at = start
    while at < stop:
        tag, tag_at = data[at], at
        at += 1
        if tag >= ONE_BYTE_TAGS:
            return None
        wire_type = tag & 7
        if wire_type == FIXED32:
            at += 4
        elif wire_type == FIXED64:
            at += 8
        else:
            value = read_varint(data, at, stop)
            if value is None or wire_type not in (VARINT, LENGTH):
                return None
            length, at = value
            if wire_type == LENGTH:
                if at + length > stop:
                    return None
                if tag in tags:
                    return tag_at, at, at + length
                at += length
    return None


def read_packed_varints(contents: memoryview) -> npt.NDArray[np.int32] | None:
    """The numbers of a packed field; None where one of them is not in 0..16383."""
    data = np.frombuffer(contents, np.uint8)
    ends = np.flatnonzero(data < 1 << 7)
    values = data[ends].astype(np.int32)
    long = np.flatnonzero(np.diff(ends, prepend=-1) == 2)  # noqa: PLR2004 -- bytes of a number
    if len(values) + len(long) != len(data):
        return None
    values[long] = values[long] << 7 | data[ends[long] - 1] & 0x7F
    return values


def read_varint(data: bytes, at: int, stop: int) -> tuple[int, int] | None:
    """A base-128 number, and where it ends."""
    value = 0
    for index in range(LONGEST_VARINT_BYTES):
        if at + index >= stop:
            return None
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 1 << 7:
            return value, at + index + 1
    return None


def encode_length(length: int) -> bytes:
    """A base-128 number."""
    if length < 1 << 7:
        return LENGTHS[length]
    return bytes((length & 0x7F | 0x80,)) + encode_length(length >> 7)


def begin_field(number: int, contents_bytes: int) -> bytes:
    """What stands before the contents of a field, of a number below 16, of a stated length."""
    return LENGTHS[number << 3 | LENGTH] + encode_length(contents_bytes)


def encode_field(number: int, contents: bytes) -> bytes:
    """A field, of a number below 16, of a stated length."""
    return begin_field(number, len(contents)) + contents
