"""Outputs to the answer's message, byte for byte as protobuf would write it: that is faster."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.open_inference.parameters import RequestedOutput
from flatdense_server.protocols.wire import encode_field
from flatdense_server.summary import Identity
from flatdense_server.tensors import CLASSES_NAME, PROBABILITIES_NAME, Outputs

DATATYPES: Final = {PROBABILITIES_NAME: "FP32", CLASSES_NAME: "INT64"}

ALL: Final = tuple(map(RequestedOutput, DATATYPES))

ID, OUTPUTS, RAW_OUTPUT_CONTENTS = 3, 5, 6
"""Fields of ModelInferResponse."""

CONTENTS: Final = 5
"""Field of InferOutputTensor."""

INT64_CONTENTS, FP32_CONTENTS, BYTES_CONTENTS = 3, 6, 8
"""Fields of InferTensorContents."""

LENGTH_BYTES: Final = 4
"""Of the length before each string of a raw tensor."""


def check_outputs(requested: Sequence[RequestedOutput]) -> None:
    """Raises InvalidInput where there is no such output, or no such form of it."""
    for index, output in enumerate(requested):
        if output.name not in DATATYPES:
            raise InvalidInput(
                f"outputs[{index}].name",
                f"expected one of {', '.join(DATATYPES)}, got {output.name!r}.",
            )
        if output.top and output.name != PROBABILITIES_NAME:
            raise InvalidInput(
                f"outputs[{index}].parameters[classification]",
                f"expected on {PROBABILITIES_NAME}, got on {output.name}.",
            )


def encode_answer(
    outputs: Outputs,
    answerer: Identity,
    *,
    request_id: str,
    requested: tuple[RequestedOutput, ...],
    raw: bool,
    final: bool,
) -> bytes:
    """A ModelInferResponse. Its values are raw, or stand in the tensors.

    `final` is for the answers of streams.
    """
    shape = outputs.probabilities.shape
    if raw:
        tensors = [encode_raw(output, outputs, answerer) for output in requested]
        body = (
            describe_tensors(requested, *shape),
            *(encode_field(RAW_OUTPUT_CONTENTS, tensor) for tensor in tensors),
        )
    else:
        body = tuple(
            encode_field(
                OUTPUTS,
                describe_tensor(output, *shape)
                + encode_field(CONTENTS, encode_contents(output, outputs, answerer)),
            )
            for output in requested
        )
    return b"".join(
        (
            encode_answerer(answerer.model, answerer.version),
            encode_field(ID, request_id.encode()) if request_id else b"",
            FINAL if final else b"",
            *body,
        )
    )


def encode_raw(output: RequestedOutput, outputs: Outputs, answerer: Identity) -> bytes:
    """The raw values of one output."""
    if output.top:
        words = classify(outputs, output.top, answerer)
        return b"".join(len(word).to_bytes(LENGTH_BYTES, "little") + word for word in words)
    if output.name == PROBABILITIES_NAME:
        return outputs.probabilities.astype("<f4", copy=False).tobytes()
    return outputs.classes.astype("<i8", copy=False).tobytes()


def encode_contents(output: RequestedOutput, outputs: Outputs, answerer: Identity) -> bytes:
    """An InferTensorContents."""
    if output.top:
        words = classify(outputs, output.top, answerer)
        return b"".join(encode_field(BYTES_CONTENTS, word) for word in words)
    if output.name == PROBABILITIES_NAME:
        return encode_field(
            FP32_CONTENTS, outputs.probabilities.astype("<f4", copy=False).tobytes()
        )
    # Packed: a class is below 128, so one byte each.
    return encode_field(INT64_CONTENTS, bytes(outputs.classes.tolist()))


def classify(outputs: Outputs, top: int, answerer: Identity) -> list[bytes]:
    """The most probable classes of each row, as `probability:index:name`, in their order."""
    probabilities = outputs.probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    names = answerer.class_names
    return [
        f"{row[index]:f}:{index}:{names[index]}".encode()
        for row, best in zip(probabilities, order.tolist(), strict=True)
        for index in best
    ]


@lru_cache(maxsize=64)
def encode_answerer(model: str, version: int) -> bytes:
    """The beginning of every answer of one version."""
    return pb.ModelInferResponse(model_name=model, model_version=str(version)).SerializeToString()


@lru_cache(maxsize=4096)
def describe_tensors(requested: tuple[RequestedOutput, ...], rows: int, classes: int) -> bytes:
    """The output tensors without their values."""
    return b"".join(
        encode_field(OUTPUTS, describe_tensor(output, rows, classes)) for output in requested
    )


def describe_tensor(output: RequestedOutput, rows: int, classes: int) -> bytes:
    """An InferOutputTensor without its values."""
    shapes = {PROBABILITIES_NAME: [rows, classes], CLASSES_NAME: [rows]}
    return pb.ModelInferResponse.InferOutputTensor(
        name=output.name,
        datatype="BYTES" if output.top else DATATYPES[output.name],
        shape=[rows, min(output.top, classes)] if output.top else shapes[output.name],
    ).SerializeToString()


FINAL: Final = pb.ModelInferResponse(
    parameters={"triton_final_response": pb.InferParameter(bool_param=True)}
).SerializeToString()
"""What Triton's clients look for in the answers of streams: there is one for each request."""
