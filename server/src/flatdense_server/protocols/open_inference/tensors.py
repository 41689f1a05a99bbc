"""An input tensor of the protocol, to rows."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.pixels import convert_rows, count_rows, view_tensor
from flatdense_server.protocols.wire import encode_field, read_packed_varints
from flatdense_server.tensors import INPUT_NAME, PIXELS, Rows

InputTensor = pb.ModelInferRequest.InferInputTensor

RAW_DTYPES: Final[dict[str, "np.dtype[Any]"]] = {
    "UINT8": np.dtype("u1"),
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "FP64": np.dtype("<f8"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
}

CONTENTS: Final = {
    "UINT8": "uint_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
}
"""The field of the values of each type, where they are not raw."""

FIELDS: Final = {
    field.number: field.name
    for field in pb.InferTensorContents.DESCRIPTOR.fields
    if field.name in CONTENTS.values()
}
"""Their numbers."""

VARINTS: Final = ("UINT8", "INT32", "INT64")
"""Types whose values are varints there."""

DATATYPE_FIELD: Final = "inputs[0].datatype"
SHAPE_FIELD: Final = "inputs[0].shape"
RAW_FIELD: Final = "raw_input_contents[0]"


def find_input(message: pb.ModelInferRequest) -> InputTensor:
    """The one input. Raises InvalidInput where there is another number of them, or another one."""
    inputs = message.inputs
    if len(inputs) != 1:
        raise InvalidInput("inputs", f"expected one input, {INPUT_NAME!r}, got {len(inputs)}.")
    tensor = inputs[0]
    if tensor.name != INPUT_NAME:
        raise InvalidInput("inputs[0].name", f"expected {INPUT_NAME!r}, got {tensor.name!r}.")
    return tensor


def read_raw(tensor: InputTensor, data: bytes | memoryview, *, max_rows: int) -> Rows:
    """The rows of a tensor whose values are raw. Raises InvalidInput."""
    dtype = RAW_DTYPES.get(tensor.datatype)
    if dtype is None:
        raise unknown_datatype(tensor, list(RAW_DTYPES))
    rows = count_rows(SHAPE_FIELD, tensor.shape, max_rows=max_rows)
    return convert_rows(RAW_FIELD, view_tensor(RAW_FIELD, data, dtype, rows))


def read_contents(tensor: InputTensor, *, max_rows: int) -> Rows:
    """The rows of a tensor whose values stand in it. Raises InvalidInput."""
    rows, where = begin_contents(
        tensor, [field.name for field, _ in tensor.contents.ListFields()], max_rows=max_rows
    )
    listed = getattr(tensor.contents, CONTENTS[tensor.datatype])
    dtype = np.dtype("<i8") if tensor.datatype in VARINTS else RAW_DTYPES[tensor.datatype]
    return shape_values(where, np.fromiter(listed, dtype, len(listed)), rows)


def read_packed(tensor: InputTensor, number: int, data: memoryview, *, max_rows: int) -> Rows:
    """The rows of a tensor whose packed values were lifted out of it. Raises InvalidInput.

    Floats are not copied. Numbers below 0 are read by protobuf, since they are rare.
    """
    rows, where = begin_contents(tensor, [FIELDS[number]], max_rows=max_rows)
    values: npt.NDArray[Any] | None
    if tensor.datatype in VARINTS:
        values = read_packed_varints(data)
        if values is None:
            contents = pb.InferTensorContents.FromString(encode_field(number, bytes(data)))
            listed = getattr(contents, FIELDS[number])
            values = np.fromiter(listed, "<i8", len(listed))
    else:
        dtype = RAW_DTYPES[tensor.datatype]
        values = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    return shape_values(where, values, rows)


def begin_contents(tensor: InputTensor, fields: list[str], *, max_rows: int) -> tuple[int, str]:
    """How many rows there must be, and where the values stand.

    Raises InvalidInput where they stand in other fields.
    """
    expected = CONTENTS.get(tensor.datatype)
    if expected is None:
        raise unknown_datatype(tensor, list(CONTENTS))
    rows = count_rows(SHAPE_FIELD, tensor.shape, max_rows=max_rows)
    for field in fields:
        if field != expected:
            raise InvalidInput(
                f"inputs[0].contents.{field}",
                f"expected the values of {tensor.datatype} in {expected}.",
            )
    return rows, f"inputs[0].contents.{expected}"


def shape_values(where: str, values: npt.NDArray[Any], rows: int) -> Rows:
    """Values that stand one by one, as rows. Raises InvalidInput."""
    if len(values) != rows * PIXELS:
        raise InvalidInput(
            where, f"expected {rows} x {PIXELS} values or raw_input_contents, got {len(values)}."
        )
    return convert_rows(where, values.reshape(rows, PIXELS))


def unknown_datatype(tensor: InputTensor, known: list[str]) -> InvalidInput:
    """What is said of a type that cannot be read."""
    got = tensor.datatype or "none"
    return InvalidInput(DATATYPE_FIELD, f"expected one of {', '.join(known)}, got {got}.")
