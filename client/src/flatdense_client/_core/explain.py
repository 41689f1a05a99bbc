"""The method Explain: which class each image is, and what each pixel contributes to one class."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from flatdense_proto.v1.classifier_pb2 import (
    DataType,
    ExplainRequest,
    ExplainResponse,
    ModelSelector,
)

from flatdense_client._core.classify import CLASSIFY, Answer, check_classes, read_answer
from flatdense_client._errors import InvalidInput, ServerError, Violation
from flatdense_client._images.pixels import ROW_PIXELS, SIDE_PIXELS
from flatdense_client._results.explanations import Explanations

_MOST_CLASS = 2**63 - 1

Float32 = npt.NDArray[np.float32]


class Explained(NamedTuple):
    """The answer to one message."""

    answer: Answer
    logits: Float32
    hidden: Float32
    explained_classes: npt.NDArray[np.int64]
    contributions: Float32
    bias_contributions: Float32

    @property
    def version(self) -> int:
        """What answered."""
        return self.answer.version


class Explain:
    """See Method. `class_index`: the class that is taken apart; None: each image's own.

    Raises InvalidInput: it is no index.
    """

    answer_row_bytes = 8192
    """Enough for 1,200 hidden units; here they are 256."""

    def __init__(self, class_index: int | None) -> None:
        self._class_index = class_index
        if class_index is not None and not (
            isinstance(class_index, int | np.integer) and 0 <= class_index <= _MOST_CLASS
        ):
            told = f"class_index is {class_index!r}; expected an index from 0, or None"
            raise InvalidInput(told, (Violation("class_index", told),))

    def write(
        self, images: bytes, data_type: "DataType.ValueType", model: ModelSelector
    ) -> ExplainRequest:
        """See Method.write."""
        return ExplainRequest(
            images=images, data_type=data_type, model=model, class_index=self._class_index
        )

    def read(
        self, response: ExplainResponse, rows: int, address: str, timing: str | None
    ) -> Explained:
        """See Method.read."""
        answer = read_answer(response, rows, address, timing)
        class_count = answer.class_count
        explained_classes = response.explained_classes[:]
        if len(explained_classes) != rows:
            msg = f"{address} answered {rows} rows and explained {len(explained_classes)} of them"
            raise ServerError(msg)
        check_classes(explained_classes, class_count, address)
        return Explained(
            answer=answer,
            logits=_floats(response.logits, rows, class_count, address),
            hidden=_floats(response.hidden, rows, None, address),
            explained_classes=np.array(explained_classes, dtype=np.int64),
            contributions=_floats(response.contributions, rows, ROW_PIXELS, address),
            bias_contributions=_floats(response.bias_contributions, rows, 1, address),
        )

    def join(
        self, parts: Sequence[Explained], class_names: Mapping[int, tuple[str, ...]], address: str
    ) -> Explanations:
        """See Method.join."""
        predictions = CLASSIFY.join([part.answer for part in parts], class_names, address)
        if len({part.hidden.shape[1] for part in parts}) > 1:
            msg = (
                f"{address} changed its model during the call to one with another hidden layer: "
                "call again, or name a model_version"
            )
            raise ServerError(msg)
        contributions = np.concatenate([part.contributions for part in parts])
        return Explanations(
            predictions=predictions,
            logits=np.concatenate([part.logits for part in parts]),
            hidden=np.concatenate([part.hidden for part in parts]),
            explained_classes=np.concatenate([part.explained_classes for part in parts]),
            contributions=contributions.reshape(-1, SIDE_PIXELS, SIDE_PIXELS),
            bias_contributions=np.concatenate([part.bias_contributions for part in parts])[:, 0],
        )


def _floats(data: bytes, rows: int, columns: int | None, address: str) -> Float32:
    """Reads [rows, columns]. Raises ServerError: the bytes are not so many."""
    values, rest = divmod(len(data), 4)
    found, over = divmod(values, rows)
    if rest or over or found != (columns or found) or found == 0:
        msg = (
            f"{address} explained {rows} rows with {len(data)} bytes, which do not fit: "
            "check that its version fits this client's"
        )
        raise ServerError(msg)
    return np.frombuffer(data, "<f4").reshape(rows, found).astype(np.float32, copy=False)
