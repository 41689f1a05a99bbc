"""The method Classify: which class each image is."""

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


class Answer(NamedTuple):
    """The answer to one message."""

    classes: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    version: int
    timing: str | None
    """In the server's words."""

    def part(self, start: int, stop: int) -> "Answer":
        """The answer to the rows `start` to `stop`: views of this one's arrays."""
        return Answer(
            self.classes[start:stop], self.probabilities[start:stop], self.version, self.timing
        )


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
            return _keep(parts[0], class_names)
        if len({part.probabilities.shape[1] for part in parts}) > 1:
            numbers = sorted({part.version for part in parts})
            msg = (
                f"{address} changed its model during the call and the versions {numbers} have "
                "different numbers of classes: call again, or name a model_version"
            )
            raise ServerError(msg)
        return Predictions(
            classes=np.concatenate([part.classes for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
            versions=np.repeat(
                np.array([part.version for part in parts], dtype=np.int64),
                [len(part.classes) for part in parts],
            ),
            timings=tuple(chain.from_iterable(map(_timings, parts))),
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
    classes = np.array(response.classes, dtype=np.int64)
    class_count, rest = divmod(size, rows * _PROBABILITY.itemsize)
    if rest or class_count == 0 or len(classes) != rows:
        msg = (
            f"{address} answered {rows} rows with {size} bytes of probabilities and "
            f"{len(classes)} classes, which do not fit: check that its version fits this "
            "client's"
        )
        raise ServerError(msg)
    check_classes(classes, class_count, address)
    probabilities = np.frombuffer(response.probabilities, _PROBABILITY)
    return Answer(
        classes=classes,
        # On a big-endian machine this is a copy in native order; elsewhere it is a view.
        probabilities=probabilities.reshape(rows, class_count).astype(np.float32, copy=False),
        version=response.model_version,
        timing=timing,
    )


def check_classes(classes: npt.NDArray[np.int64], class_count: int, address: str) -> None:
    """Raises ServerError: a class is none of the model's."""
    if classes.min() < 0 or classes.max() >= class_count:
        msg = f"{address} answered with a class outside 0..{class_count - 1}"
        raise ServerError(msg)


def _keep(answer: Answer, class_names: Mapping[int, tuple[str, ...]]) -> Predictions:
    return Predictions(
        # Copies: a part must not keep the whole message in memory.
        classes=answer.classes.copy(),
        probabilities=answer.probabilities.copy(),
        versions=_versions(answer.version, len(answer.classes)),
        timings=_timings(answer),
        class_names=class_names,
    )


@lru_cache(maxsize=256)
def _versions(version: int, rows: int) -> npt.NDArray[np.int64]:
    versions = np.full(rows, version, np.int64)
    versions.setflags(write=False)
    return versions


def _timings(answer: Answer) -> tuple[str | None, ...]:
    return (answer.timing,) * len(answer.classes)
