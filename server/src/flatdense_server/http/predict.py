"""TensorFlow Serving's predict: tensors as rows or as columns of JSON."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb

from flatdense_server.http.documents import check_parts, check_text, read_document
from flatdense_server.http.errors import refuse
from flatdense_server.http.exchange import Answer, Question, encode
from flatdense_server.http.limits import Limits
from flatdense_server.http.parameters import check_count
from flatdense_server.http.tensors import Numbers, NumberType, read_numbers, write_numbers
from flatdense_server.tensors import FLOAT32, INPUT_NAME, UINT8

METHOD: Final = "/tensorflow.serving.PredictionService/Predict"

UINT8_SIGNATURE: Final = "serving_uint8"

LIST_OF_OBJECTS: Final = re.compile(rb"\s*\[\s*\{")
OBJECT: Final = re.compile(rb"\s*\{")

OUTPUT_TYPES: Final[Mapping[int, NumberType]] = {
    tf.DT_FLOAT: np.dtype("<f4"),
    tf.DT_DOUBLE: np.dtype("<f8"),
    tf.DT_INT32: np.dtype("<i4"),
    tf.DT_UINT8: np.dtype("<u1"),
    tf.DT_INT64: np.dtype("<i8"),
}


class PredictRequest(msgspec.Struct):
    """The JSON of a request."""

    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    signature_name: str = ""


DECODER: Final = msgspec.json.Decoder(PredictRequest)
ROWS_DECODER: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
COLUMNS_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_predict(body: bytes, spec: pb.ModelSpec, limits: Limits) -> Question:
    """The request, as a worker takes it. Raises RequestRefused."""
    check_parts(body, limits.json_parts)
    request = read_document(body, DECODER)
    in_rows, in_columns = bool(memoryview(request.instances)), bool(memoryview(request.inputs))
    if in_rows == in_columns:
        got = "both" if in_rows else "neither"
        raise refuse("the body", f'expected "instances" or "inputs", got {got}.')
    signature = check_text("signature_name", request.signature_name)
    dtype = UINT8 if signature == UINT8_SIGNATURE else FLOAT32.newbyteorder("<")
    read, text = (read_rows, request.instances) if in_rows else (read_columns, request.inputs)
    inputs = read(text, dtype)
    message = pb.PredictRequest(
        model_spec=spec, inputs={name: make_tensor(array) for name, array in inputs.items()}
    )
    message.model_spec.signature_name = signature
    return Question(METHOD, message.SerializeToString(), write_rows if in_rows else write_columns)


def read_rows(text: msgspec.Raw, dtype: NumberType) -> dict[str, Numbers]:
    """The inputs of a list with one entry for each row: values, or values by name."""
    if not LIST_OF_OBJECTS.match(memoryview(text)):
        rows = read_numbers("instances", text, dtype)
        if not rows.ndim:
            raise refuse("instances", "expected a list, got a number.")
        return {INPUT_NAME: rows}
    objects = read_document(text, ROWS_DECODER, "instances")
    names = objects[0].keys()
    check_count("instances[0]", objects[0])
    for index, row in enumerate(objects):
        if row.keys() != names:
            raise refuse(
                f"instances[{index}]",
                f"expected the names of the first, {describe_names(names)}, "
                f"got {describe_names(row)}.",
            )
    return {
        check_text("instances", name): join(
            name,
            [
                read_numbers(f"instances[{i}].{name}", row[name], dtype)
                for i, row in enumerate(objects)
            ],
        )
        for name in names
    }


def join(name: str, rows: list[Numbers]) -> Numbers:
    """The rows as one array. Raises RequestRefused where they differ in shape."""
    for index, row in enumerate(rows):
        if row.shape != rows[0].shape:
            raise refuse(
                f"instances[{index}].{name}",
                f"expected the shape of the first, {list(rows[0].shape)}, got {list(row.shape)}.",
            )
    return np.stack(rows)


def read_columns(text: msgspec.Raw, dtype: NumberType) -> dict[str, Numbers]:
    """The inputs by name, or the only one."""
    if not OBJECT.match(memoryview(text)):
        return {INPUT_NAME: read_numbers("inputs", text, dtype)}
    columns = read_document(text, COLUMNS_DECODER, "inputs")
    check_count("inputs", columns)
    return {
        check_text("inputs", name): read_numbers(f"inputs.{name}", column, dtype)
        for name, column in columns.items()
    }


def make_tensor(array: Numbers) -> tf.TensorProto:
    """The array as TensorFlow has it, in bytes: the answer comes in bytes then."""
    return tf.TensorProto(
        dtype=tf.DT_UINT8 if array.dtype == UINT8 else tf.DT_FLOAT,
        tensor_shape=tf.TensorShapeProto(
            dim=[tf.TensorShapeProto.Dim(size=size) for size in array.shape]
        ),
        tensor_content=array.tobytes(),
    )


def read_outputs(data: bytes) -> dict[str, list[Any]]:
    """The values of each output, nested as its shape is."""
    response = pb.PredictResponse.FromString(data)
    outputs = {}
    for name, tensor in sorted(response.outputs.items()):
        numbers = write_numbers(tensor.tensor_content, OUTPUT_TYPES[tensor.dtype])
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        outputs[name] = numbers.reshape(shape).tolist()
    return outputs


def write_rows(data: bytes) -> Answer:
    """One entry for each row; by name where there are several outputs."""
    outputs = read_outputs(data)
    if len(outputs) == 1:
        (rows,) = outputs.values()
    else:
        rows = [
            dict(zip(outputs, values, strict=True))
            for values in zip(*outputs.values(), strict=True)
        ]
    return Answer(encode({"predictions": rows}))


def write_columns(data: bytes) -> Answer:
    """The outputs by name, or the only one."""
    outputs = read_outputs(data)
    only = next(iter(outputs.values())) if len(outputs) == 1 else None
    return Answer(encode({"outputs": only or outputs}))


def describe_names(names: Iterable[str]) -> str:
    """The first few of them."""
    return ", ".join(sorted(names)[:5])[:100] or "none"
