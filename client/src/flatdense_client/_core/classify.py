"""The method Classify: which class each image is."""

from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from flatdense_proto.v1.classifier_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    DataType,
    ExplainResponse,
    ModelSelector,
)

from flatdense_client._core.status import garbled
from flatdense_client._errors import ServerError
from flatdense_client._results.predictions import Predictions

_PROBABILITY = np.dtype("<f4")
_CLASS = np.dtype(np.int64)
_CLASS_BYTES = _CLASS.itemsize
_PROBABILITY_BYTES = _PROBABILITY.itemsize


class Answer(NamedTuple):
    """The answer to one message, or to a part of it.

    In bytes: a part of them is a copy, which does not keep the message in memory, and is made in a
    fraction of the time that a part of an array takes.
    """

    classes: bytes
    """[N] int64"""
    probabilities: bytes
    """[N, C] float32, little-endian"""
    class_count: int
    version: int
    timing: str | None
    """In the server's words."""

    @property
    def rows(self) -> int:
        """How many rows it is the answer to."""
        return len(self.classes) // _CLASS_BYTES

    def part(self, start: int, stop: int) -> "Answer":
        """The answer to the rows `start` to `stop`."""
        classes, probabilities, class_count, version, timing = self
        row_bytes = class_count * _PROBABILITY_BYTES
        return Answer(
            classes[start * _CLASS_BYTES : stop * _CLASS_BYTES],
            probabilities[start * row_bytes : stop * row_bytes],
            class_count,
            version,
            timing,
        )

    def read_classes(self) -> npt.NDArray[np.int64]:
        """[N] read-only."""
        return np.ndarray((self.rows,), _CLASS, self.classes)

    def read_probabilities(self) -> npt.NDArray[np.float32]:
        """[N, C] read-only."""
        return np.ndarray((self.rows, self.class_count), _PROBABILITY, self.probabilities)


class Classify:
    """See Method."""

    answer_row_bytes = 0
    """Nothing beside the 784 bytes or more of the row itself."""

    def write(
        self, images: bytes, data_type: "DataType.ValueType", model: ModelSelector
    ) -> ClassifyRequest:
        """See Method.write."""
        return ClassifyRequest(images=images, data_type=data_type, model=model)

    def read(
        self, response: ClassifyResponse, rows: int, address: str, timing: str | None
    ) -> Answer:
        """See Method.read."""
        return read_answer(response, rows, address, timing)

    def join(
        self, parts: Sequence[Answer], class_names: Mapping[int, tuple[str, ...]], address: str
    ) -> Predictions:
        """See Method.join."""
        if len(parts) == 1:
            return _name(parts[0], class_names)
        if len({part.class_count for part in parts}) > 1:
            numbers = sorted({part.version for part in parts})
            msg = (
                f"{address} changed its model during the call and the versions {numbers} have "
                "different numbers of classes: call again, or name a model_version"
            )
            raise ServerError(msg)
        arrays = (
            np.concatenate([part.read_classes() for part in parts]),
            np.concatenate([part.read_probabilities() for part in parts]),
            np.concatenate([_versions(part.version, part.rows) for part in parts]),
        )
        for each in arrays:
            each.setflags(write=False)
        classes, probabilities, versions = arrays
        return Predictions(
            classes=classes,
            probabilities=probabilities,
            versions=versions,
            timings=tuple(chain.from_iterable((part.timing,) * part.rows for part in parts)),
            class_names=class_names,
        )


CLASSIFY = Classify()


def read_answer(
    response: ClassifyResponse | ExplainResponse | None,
    rows: int,
    address: str,
    timing: str | None,
) -> Answer:
    """Reads what both methods answer. Raises ServerError: it is none, or does not fit the rows."""
    if response is None:
        raise garbled(address)
    size = len(response.probabilities)
    classes = response.classes[:]  # a list, which is faster than an array for few rows
    class_count, rest = divmod(size, rows * _PROBABILITY_BYTES)
    if rest or class_count == 0 or len(classes) != rows:
        msg = (
            f"{address} answered {rows} rows with {size} bytes of probabilities and "
            f"{len(classes)} classes, which do not fit: check that its version fits this "
            "client's"
        )
        raise ServerError(msg)
    check_classes(classes, class_count, address)
    return Answer(
        classes=array("q", classes).tobytes(),
        probabilities=response.probabilities,
        class_count=class_count,
        version=response.model_version,
        timing=timing,
    )


def check_classes(classes: Sequence[int], class_count: int, address: str) -> None:
    """Raises ServerError: a class is none of the model's."""
    if min(classes) < 0 or max(classes) >= class_count:
        msg = f"{address} answered with a class outside 0..{class_count - 1}"
        raise ServerError(msg)


def _name(answer: Answer, class_names: Mapping[int, tuple[str, ...]]) -> Predictions:
    rows = answer.rows
    return Predictions(
        classes=answer.read_classes(),
        probabilities=answer.read_probabilities(),
        versions=_versions(answer.version, rows),
        timings=(answer.timing,) * rows,
        class_names=class_names,
    )


@lru_cache(maxsize=256)
def _versions(version: int, rows: int) -> npt.NDArray[np.int64]:
    versions = np.full(rows, version, np.int64)
    versions.setflags(write=False)
    return versions
