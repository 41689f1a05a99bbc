"""Rows to messages and answers to predictions: the native protocol without any I/O."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from flatdense_proto.v1.classifier_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    DataType,
    ModelSelector,
)

from flatdense_client._errors import ServerError
from flatdense_client._pixels import ROW_PIXELS, Rows
from flatdense_client._predictions import Predictions

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""The most that a gRPC server takes in one message unless it is told otherwise."""

_ENVELOPE_BYTES = 4096
"""Kept free in each message for everything beside the pixels."""

_PROBABILITY = np.dtype("<f4")


class Answer(NamedTuple):
    """One message's answer, checked against the rows that were sent."""

    classes: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    version: int

    def part(self, start: int, stop: int) -> "Answer":
        """The answer to the rows `start` to `stop`: views of this one's arrays."""
        return Answer(self.classes[start:stop], self.probabilities[start:stop], self.version)


def fit_rows(dtype: np.dtype[Any], rows_per_message: int) -> int:
    """How many rows of a type one message carries at most."""
    row_bytes = ROW_PIXELS * dtype.itemsize
    return min(rows_per_message, (MAX_MESSAGE_BYTES - _ENVELOPE_BYTES) // row_bytes)


def message_rows(rows: Rows, rows_per_message: int) -> list[int]:
    """How many rows each message carries: `rows_per_message`, or fewer where they would not fit."""
    step = fit_rows(rows.dtype, rows_per_message)
    full, rest = divmod(len(rows), step)
    return [step] * full + [rest] * (rest > 0)


def cut(rows: Rows, counts: Sequence[int], model: ModelSelector) -> Iterator[ClassifyRequest]:
    """Writes each message when it is asked for, so that a big array is never held twice."""
    start = 0
    for count in counts:
        images = rows.to_bytes(start, start + count)
        yield _write(images, rows.dtype, model)
        start += count


def gather(pieces: Sequence[Rows], model: ModelSelector) -> ClassifyRequest:
    """Writes one message of the rows of several callers, which are of one type."""
    images = b"".join([rows.to_bytes(0, len(rows)) for rows in pieces])
    return _write(images, pieces[0].dtype, model)


def _write(images: bytes, dtype: np.dtype[Any], model: ModelSelector) -> ClassifyRequest:
    data_type = DataType.DATA_TYPE_UINT8 if dtype == np.uint8 else DataType.DATA_TYPE_FP32
    return ClassifyRequest(images=images, data_type=data_type, model=model)


def read_answer(response: ClassifyResponse, rows: int, address: str) -> Answer:
    """Reads the answer to a message of `rows` rows.

    Raises ServerError: it does not fit the rows.
    """
    size = len(response.probabilities)
    classes = np.array(response.classes, dtype=np.int64)
    class_count, rest = divmod(size, rows * _PROBABILITY.itemsize)
    if rest or class_count == 0 or len(classes) != rows:
        msg = (
            f"{address} answered {rows} rows with {size} bytes of probabilities and "
            f"{len(classes)} classes, which do not fit: check that its version fits this client's"
        )
        raise ServerError(msg)
    if classes.min() < 0 or classes.max() >= class_count:
        msg = f"{address} answered with a class outside 0..{class_count - 1}"
        raise ServerError(msg)
    probabilities = np.frombuffer(response.probabilities, _PROBABILITY)
    return Answer(
        classes=classes,
        # On a big-endian machine this is a copy in native order; elsewhere it is a view.
        probabilities=probabilities.reshape(rows, class_count).astype(np.float32, copy=False),
        version=response.model_version,
    )


def join(
    answers: Sequence[Answer], class_names: Mapping[int, tuple[str, ...]], address: str
) -> Predictions:
    """Puts the answers to one call's messages together, in their order.

    Raises ServerError: the server changed during the call to a model with another number of
    classes.
    """
    if len(answers) == 1:
        return _keep(answers[0], class_names)
    if len({answer.probabilities.shape[1] for answer in answers}) > 1:
        numbers = sorted({answer.version for answer in answers})
        msg = (
            f"{address} changed its model during the call and the versions {numbers} have "
            "different numbers of classes: call again, or name a model_version"
        )
        raise ServerError(msg)
    return Predictions(
        classes=np.concatenate([answer.classes for answer in answers]),
        probabilities=np.concatenate([answer.probabilities for answer in answers]),
        versions=np.repeat(
            np.array([answer.version for answer in answers], dtype=np.int64),
            [len(answer.classes) for answer in answers],
        ),
        class_names=class_names,
    )


def _keep(answer: Answer, class_names: Mapping[int, tuple[str, ...]]) -> Predictions:
    versions = np.empty(answer.classes.shape, np.int64)
    versions.fill(answer.version)
    return Predictions(
        # Copies: a part must not keep the whole message in memory.
        classes=answer.classes.copy(),
        probabilities=answer.probabilities.copy(),
        versions=versions,
        class_names=class_names,
    )
