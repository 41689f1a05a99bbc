"""The codec of flatdense.v1.Classifier."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from flatdense_artifact import Layer
from flatdense_proto.v1 import classifier_pb2 as pb
from google.protobuf.message import DecodeError

from flatdense_server.errors import InvalidInput
from flatdense_server.explanation import Explanation
from flatdense_server.protocols.messages import parse
from flatdense_server.protocols.outlines import Outlines
from flatdense_server.protocols.pixels import view_rows
from flatdense_server.protocols.wire import encode_field
from flatdense_server.selector import Selector
from flatdense_server.summary import Identity, ModelFacts, ModelSummary
from flatdense_server.tensors import (
    CLASSES_NAME,
    FLOAT32,
    INPUT_NAME,
    PIXELS,
    PROBABILITIES_NAME,
    UINT8,
    Outputs,
    Rows,
)

SERVICE: Final[str] = pb.DESCRIPTOR.services_by_name["Classifier"].full_name

DTYPES: Final = {pb.DATA_TYPE_UINT8: UINT8, pb.DATA_TYPE_FP32: FLOAT32.newbyteorder("<")}

ANY: Final = Selector()

PROBABILITIES, CLASSES = 1, 2
"""Fields of ClassifyResponse."""

IMAGES: Final = 1
"""Field of ClassifyRequest."""


@dataclass(slots=True)  # not frozen: those take longer to make
class NativeQuestion:
    """A ClassifyRequest. See Question.

    Answers are written by hand, byte for byte as protobuf would: that is faster.
    """

    message: pb.ClassifyRequest
    """Perhaps without its pixels."""
    images: bytes | memoryview

    hidden = False
    timeout_s = None

    @property
    def selector(self) -> Selector:
        """See Question.selector."""
        return read_selector(self.message)

    def rows(self, *, max_rows: int) -> Rows:
        """See Question.rows."""
        message = self.message
        dtype = DTYPES.get(message.data_type)
        if dtype is None:
            raise unknown_type(message.data_type)
        return view_rows("images", self.images, dtype, max_rows=max_rows)

    def answer(self, outputs: Outputs, answerer: Identity) -> bytes:
        """See Question.answer."""
        probabilities = outputs.probabilities.astype("<f4", copy=False).tobytes()
        # Packed: a class is below 128, so one byte each.
        classes = bytes(outputs.classes.tolist())
        return b"".join(
            (
                encode_field(PROBABILITIES, probabilities),
                encode_field(CLASSES, classes),
                encode_answerer(answerer.model, answerer.version),
            )
        )


def read_rows(message: pb.ClassifyRequest | pb.ExplainRequest, *, max_rows: int) -> Rows:
    """The rows of a request whose pixels protobuf holds. Raises InvalidInput."""
    dtype = DTYPES.get(message.data_type)
    if dtype is None:
        raise unknown_type(message.data_type)
    return view_rows("images", message.images, dtype, max_rows=max_rows)


def unknown_type(data_type: int) -> InvalidInput:
    """What is said of a type that is not stated, or not known."""
    return InvalidInput(
        "data_type", f"expected DATA_TYPE_UINT8 (1) or DATA_TYPE_FP32 (2), got {data_type}."
    )


def read_class(message: pb.ExplainRequest, classes: int) -> int | None:
    """The class that is to be explained; None for each row's own. Raises InvalidInput."""
    if not message.HasField("class_index"):
        return None
    if not 0 <= message.class_index < classes:
        raise InvalidInput(
            "class_index", f"expected a class of 0 to {classes - 1}, got {message.class_index}."
        )
    return message.class_index


def describe_explanation(
    outputs: Outputs, explained: Explanation, answerer: Identity
) -> pb.ExplainResponse:
    """The answer to Explain, of outputs that have the hidden activations."""
    return pb.ExplainResponse(
        probabilities=write_floats(outputs.probabilities),
        classes=outputs.classes.tolist(),
        model_name=answerer.model,
        model_version=answerer.version,
        logits=write_floats(explained.logits),
        hidden=write_floats(outputs.hidden),
        explained_classes=explained.classes.tolist(),
        contributions=write_floats(explained.contributions),
        bias_contributions=write_floats(explained.bias_contributions),
    )


def write_floats(values: npt.NDArray[np.float32] | None) -> bytes:
    """Row after row, little-endian; nothing where there are none."""
    return b"" if values is None else values.astype("<f4", copy=False).tobytes()


class NativeCodec:
    """Classify, or each message of ClassifyStream. See Codec.

    The pixels are found by hand, and not copied; all else is protobuf's.
    """

    def __init__(self, rpc: str) -> None:
        self.method: Final = f"{SERVICE}/{rpc}"
        self._outlines = Outlines(read_rest, last=(IMAGES,))

    def parse(self, data: bytes) -> NativeQuestion:
        """See Codec.parse."""
        if found := self._outlines.find(data):
            message, values = found
            return NativeQuestion(message, values.contents)
        whole = parse(pb.ClassifyRequest, data)
        return NativeQuestion(whole, whole.images)

    def refusal(self, data: bytes, text: str) -> None:  # noqa: ARG002 -- see Codec
        """See Codec.refusal."""
        return


def read_rest(rest: bytes) -> pb.ClassifyRequest | None:
    """A request without its pixels.

    None where there are other pixels, or what protobuf would write in another way.
    """
    with suppress(DecodeError):
        message = pb.ClassifyRequest.FromString(rest)
        if not message.images and message.ByteSize() == len(rest):
            return message
    return None


@lru_cache(maxsize=64)
def encode_answerer(model_name: str, model_version: int) -> bytes:
    """The end of every answer of one version."""
    return pb.ClassifyResponse(
        model_name=model_name, model_version=model_version
    ).SerializeToString()


def read_selector(
    message: pb.ClassifyRequest | pb.ExplainRequest | pb.GetModelRequest,
) -> Selector:
    """Which version a message names."""
    if not message.HasField("model"):
        return ANY
    selector = message.model
    version = selector.version if selector.HasField("version") else None
    return Selector(selector.name, version, selector.label)


def describe(model: ModelSummary) -> pb.GetModelResponse:
    """The answer to GetModel."""
    facts = model.facts
    classes = len(facts.class_names)
    return pb.GetModelResponse(
        name=model.name,
        version=model.version,
        available_versions=model.available_versions,
        layers=describe_layers(facts.layers),
        parameters=facts.parameters,
        class_names=facts.class_names,
        inputs=[
            pb.Tensor(name=INPUT_NAME, data_type=data_type, shape=[-1, PIXELS])
            for data_type in ("UINT8", "FP32")
        ],
        outputs=[
            pb.Tensor(name=PROBABILITIES_NAME, data_type="FP32", shape=[-1, classes]),
            pb.Tensor(name=CLASSES_NAME, data_type="INT64", shape=[-1]),
        ],
        training=describe_training(facts),
        serving=pb.Serving(
            engine=model.engine,
            device=model.device,
            ladder_rows=model.ladder_rows,
            max_request_rows=model.max_request_rows,
        ),
        versions=[
            pb.VersionStatus(
                version=status.version,
                state=status.state,
                reason=status.reason,
                labels=status.labels,
            )
            for status in model.versions
        ],
        unchecked=facts.unchecked,
    )


def describe_layers(layers: Sequence[Layer]) -> list[pb.Layer]:
    """The layers in the order of the forward pass."""
    return [
        pb.Layer(
            name=layer.name,
            kind=layer.kind,
            activation=layer.activation or "",
            output_shape=layer.output_shape,
            parameters=layer.parameters,
        )
        for layer in layers
    ]


def describe_training(facts: ModelFacts) -> pb.Training | None:
    """The run that made the version; None where it does not say."""
    run = facts.training
    if run is None:
        return None
    training = pb.Training(
        dataset=run.dataset,
        seed=run.seed,
        epochs=run.epochs,
        train_rows=run.train_rows,
        validation_rows=run.validation_rows,
        test_rows=run.test_rows,
        metrics=msgspec.structs.asdict(facts.metrics) if facts.metrics else {},
    )
    if facts.created_at:
        training.created_at.FromDatetime(facts.created_at)
    return training
