"""The Open Inference Protocol's infer: JSON, with or without binary tensors behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.http.documents import check_parts, check_text, read_document
from flatdense_server.http.errors import RequestRefused, refuse
from flatdense_server.http.exchange import JSON, Answer, Question, encode
from flatdense_server.http.limits import MAX_ENTRIES, Limits
from flatdense_server.http.parameters import (
    Parameters,
    check_count,
    check_integer,
    read_choice,
    read_parameters,
    write_parameters,
)
from flatdense_server.http.tensors import DATATYPES, read_numbers, write_numbers, write_texts

METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"

HEADER_LENGTH: Final = "inference-header-content-length"
"""Bytes of JSON before the binary tensors. In both directions."""

BINARY_SIZE: Final = "binary_data_size"
BINARY: Final = "binary_data"
ALL_BINARY: Final = "binary_data_output"
SHARED_MEMORY: Final = "shared_memory_region"

TEXTS: Final = "BYTES"

NULL: Final = b"null"


class Input(msgspec.Struct):
    """A tensor of the request."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: msgspec.Raw = msgspec.Raw()
    """Empty where the tensor is binary."""


class RequestedOutput(msgspec.Struct):
    """A tensor that is asked for."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct):
    """The JSON of a request."""

    inputs: list[Input]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[RequestedOutput] | None = None


DECODER: Final = msgspec.json.Decoder(InferRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferReader:
    """Understands the body of one request to a model."""

    model: str
    version: str
    header_length: str
    """As the request's header has it; empty where it has none."""
    limits: Limits

    def read(self, body: bytes) -> Question:
        """The request, as a worker takes it. Raises RequestRefused."""
        split = self._read_header_length(len(body))
        document, rest = body[:split], memoryview(body)[split:]
        check_parts(document, self.limits.json_parts)
        request = read_document(document, DECODER)
        outputs = request.outputs or []
        check_count("inputs", request.inputs)
        check_count("outputs", outputs)
        message = pb.ModelInferRequest(
            model_name=self.model,
            model_version=self.version,
            id=check_text("id", request.id or ""),
            parameters=read_parameters("parameters", request.parameters, without=ALL_BINARY),
            outputs=[
                pb.ModelInferRequest.InferRequestedOutputTensor(
                    name=check_text(f"outputs[{index}].name", output.name),
                    parameters=read_parameters(
                        f"outputs[{index}].parameters", output.parameters, without=BINARY
                    ),
                )
                for index, output in enumerate(outputs)
            ],
        )
        for index, tensor in enumerate(request.inputs):
            read = read_input(f"inputs[{index}]", tensor, rest)
            rest = rest[read.binary_bytes :]
            message.inputs.append(read.described)
            message.raw_input_contents.append(read.data)
        if rest:
            raise refuse(
                "the body",
                f"expected the end after the binary tensors, got {len(rest)} bytes more.",
            )
        is_binary = choose_binary(request)
        return Question(
            METHOD, message.SerializeToString(), lambda answer: write_answer(answer, is_binary)
        )

    def _read_header_length(self, body_bytes: int) -> int:
        text = self.header_length
        if not text:
            return body_bytes
        # Digits alone: int() also takes signs, spaces and underscores.
        known = text.isascii() and text.isdecimal() and len(text) < len(str(1 << 63))
        if not known or int(text) > body_bytes:
            raise RequestRefused(
                400,
                f"Inference-Header-Content-Length: expected 0 to the {body_bytes} bytes of the "
                f"body, got {text[:100]!r}.",
            )
        return int(text)


@dataclass(frozen=True, slots=True)
class ReadInput:
    """A tensor as a worker takes it."""

    described: pb.ModelInferRequest.InferInputTensor
    data: bytes
    binary_bytes: int
    """Of the body's binary part."""


def read_input(field: str, tensor: Input, rest: memoryview) -> ReadInput:
    """One tensor, from JSON or from the start of `rest`. Raises RequestRefused."""
    parameters = dict(tensor.parameters or {})
    size = parameters.pop(BINARY_SIZE, None)
    check_shape(f"{field}.shape", tensor.shape)
    described = pb.ModelInferRequest.InferInputTensor(
        name=check_text(f"{field}.name", tensor.name),
        datatype=check_text(f"{field}.datatype", tensor.datatype),
        shape=tensor.shape,
        parameters=read_parameters(f"{field}.parameters", parameters),
    )
    in_json = bytes(memoryview(tensor.data)[: len(NULL) + 1]) not in {b"", NULL}
    if size is not None:
        place = f"{field}.parameters.{BINARY_SIZE}"
        if in_json:
            raise refuse(field, f"expected data or {BINARY_SIZE}, got both.")
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise refuse(place, f"expected a number of bytes, got {encode(size).decode()[:100]}.")
        if size > len(rest):
            raise refuse(
                place, f"expected at most the {len(rest)} bytes that are left, got {size}."
            )
        return ReadInput(described, bytes(rest[:size]), size)
    if in_json:
        return ReadInput(described, read_data(field, tensor), 0)
    if SHARED_MEMORY in parameters:  # for the worker to say what it thinks of that
        return ReadInput(described, b"", 0)
    raise refuse(field, f"expected data, or parameters with {BINARY_SIZE}, got neither.")


def read_data(field: str, tensor: Input) -> bytes:
    """The bytes of a tensor whose values stand in JSON: flat, or nested as its shape is."""
    dtype = DATATYPES.get(tensor.datatype)
    if dtype is None:
        raise refuse(
            f"{field}.datatype",
            f"expected one of {', '.join(DATATYPES)} for data in JSON, got {tensor.datatype!r}.",
        )
    numbers = read_numbers(f"{field}.data", tensor.data, dtype)
    if numbers.ndim != 1 and list(numbers.shape) != tensor.shape:
        raise refuse(
            f"{field}.data",
            f"expected a flat list, or lists nested as the shape {tensor.shape}, got them nested "
            f"as {list(numbers.shape)}.",
        )
    return numbers.tobytes()


def check_shape(field: str, shape: list[int]) -> None:
    """Raises RequestRefused for what is no list of a few integers of 64 bits."""
    if len(shape) > MAX_ENTRIES:
        raise refuse(field, f"expected at most {MAX_ENTRIES} dimensions, got {len(shape)}.")
    for index, size in enumerate(shape):
        check_integer(f"{field}[{index}]", size)


def choose_binary(request: InferRequest) -> Callable[[str], bool]:
    """Whether an output, by its name, is to be binary."""
    default = read_choice("parameters", request.parameters, ALL_BINARY, default=False)
    chosen = {
        output.name: read_choice(
            f"outputs[{index}].parameters", output.parameters, BINARY, default=default
        )
        for index, output in enumerate(request.outputs or [])
    }
    return lambda name: chosen.get(name, default)


def write_answer(data: bytes, is_binary: Callable[[str], bool]) -> Answer:
    """The response to a worker's answer, whose tensors are raw."""
    response = pb.ModelInferResponse.FromString(data)
    outputs, binary = [], []
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        parameters = write_parameters(tensor.parameters)
        output: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
        }
        if is_binary(tensor.name):
            parameters[BINARY_SIZE] = len(raw)
            binary.append(raw)
        else:
            output["data"] = write_data(tensor.datatype, raw)
        outputs.append({**output, "parameters": parameters} if parameters else output)
    described = {
        "model_name": response.model_name,
        "model_version": response.model_version,
        "id": response.id,
        "parameters": write_parameters(response.parameters),
        "outputs": outputs,
    }
    document = encode({name: value for name, value in described.items() if value})
    if not binary:
        return Answer(document, JSON)
    return Answer(
        b"".join((document, *binary)),
        {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(document))},
    )


def write_data(datatype: str, raw: bytes) -> list[Any]:
    """A tensor's values, flat and row-major."""
    if datatype == TEXTS:
        return write_texts(raw)
    values: list[Any] = write_numbers(raw, DATATYPES[datatype]).tolist()
    return values
