"""Rows to messages, and answers to results: what all methods have in common, without any I/O."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from flatdense_proto.v1.classifier_pb2 import (
    DATA_TYPE_FP32,
    DATA_TYPE_UINT8,
    DataType,
    ModelSelector,
)

from flatdense_client._images.pixels import ROW_PIXELS, Rows

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""The most that a gRPC server takes in one message unless it is told otherwise; a client too."""

_ENVELOPE_BYTES = 4096
"""Kept free in each message for everything beside the rows."""

_UINT8 = np.dtype(np.uint8)

Request_co = TypeVar("Request_co", covariant=True)
Response_contra = TypeVar("Response_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)
Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")


class Versioned(Protocol):
    """One message's answer, checked against the rows that were sent."""

    @property
    def version(self) -> int:
        """What answered."""
        ...


Part = TypeVar("Part", bound=Versioned)


class Method(Protocol[Request_co, Response_contra, Part, Result_co]):
    """One thing that a server can be asked about images: how it is written, and how it is read."""

    @property
    def answer_row_bytes(self) -> int:
        """The most that the answer to one row takes in a message."""
        ...

    def write(
        self, images: bytes, data_type: "DataType.ValueType", model: ModelSelector
    ) -> Request_co:
        """Writes a message of rows of pixels."""
        ...

    def read(self, response: Response_contra, rows: int, address: str, timing: str | None) -> Part:
        """Reads the answer to a message. Raises ServerError: it does not fit the rows."""
        ...

    def join(
        self, parts: Sequence[Part], class_names: Mapping[int, tuple[str, ...]], address: str
    ) -> Result_co:
        """Puts the answers to one call's messages together, in their order; the names by version.

        Raises ServerError: they do not fit each other.
        """
        ...


AnyMethod = Method[Request, Any, Any, Any]


def fit_rows(method: AnyMethod[Any], rows: Rows, rows_per_message: int) -> int:
    """How many rows of a type one message carries at most, so that it and its answer fit."""
    row_bytes = max(ROW_PIXELS * rows.dtype.itemsize, method.answer_row_bytes)
    return min(rows_per_message, (MAX_MESSAGE_BYTES - _ENVELOPE_BYTES) // row_bytes)


def message_rows(method: AnyMethod[Any], rows: Rows, rows_per_message: int) -> list[int]:
    """How many rows each message carries: `rows_per_message`, or fewer where they would not fit."""
    step = fit_rows(method, rows, rows_per_message)
    full, rest = divmod(len(rows), step)
    return [step] * full + [rest] * (rest > 0)


def cut(
    method: AnyMethod[Request], rows: Rows, counts: Sequence[int], model: ModelSelector
) -> Iterator[Request]:
    """Writes each message when it is asked for, so that a big array is never held twice."""
    data_type = _data_type(rows)
    start = 0
    for count in counts:
        yield method.write(rows.to_bytes(start, start + count), data_type, model)
        start += count


def gather(method: AnyMethod[Request], pieces: Sequence[Rows], model: ModelSelector) -> Request:
    """Writes one message of the rows of several callers, which are of one type."""
    dtype = pieces[0].dtype
    pixels = np.concatenate([rows.pixels for rows in pieces]).astype(dtype, copy=False)
    return method.write(pixels.tobytes(), _data_type(pieces[0]), model)


def _data_type(rows: Rows) -> "DataType.ValueType":
    return DATA_TYPE_UINT8 if rows.dtype == _UINT8 else DATA_TYPE_FP32
