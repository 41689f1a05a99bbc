"""TensorProto to rows, and outputs to TensorProto."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from flatdense_proto.twin import tensorflow_pb2 as tf

from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.outlines import Values
from flatdense_server.protocols.pixels import convert_rows, count_rows, view_tensor
from flatdense_server.protocols.wire import encode_field, read_packed_varints
from flatdense_server.tensors import FLOAT32, PIXELS, Rows

Tensor: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.int64]
"""An output."""

CONTENT, FLOAT_VAL, DOUBLE_VAL, INT_VAL, INT64_VAL = 4, 5, 6, 7, 10
"""Fields of TensorProto."""

BIG_FIELDS: Final = (CONTENT, FLOAT_VAL, DOUBLE_VAL, INT_VAL, INT64_VAL)
"""Those that may be taken out of it."""

FLOATS: Final[dict[int, "np.dtype[Any]"]] = {
    FLOAT_VAL: np.dtype("<f4"),
    DOUBLE_VAL: np.dtype("<f8"),
}
"""As what they are packed. The others are varints."""


@dataclass(frozen=True, slots=True)
class Form:
    """How the values of one type are written."""

    dtype: "np.dtype[Any]"
    """In tensor_content."""
    field: str
    """Where they stand one by one."""
    number: int
    stored: "np.dtype[Any]"
    """As what they stand there."""


def make_form(dtype: str, field: str, stored: str = "") -> Form:
    """One line of FORMS."""
    number = tf.TensorProto.DESCRIPTOR.fields_by_name[field].number
    return Form(np.dtype(dtype), field, number, np.dtype(stored or dtype))


FORMS: Final[dict[int, Form]] = {
    tf.DT_FLOAT: make_form("<f4", "float_val"),
    tf.DT_UINT8: make_form("u1", "int_val", "<i4"),
    tf.DT_HALF: make_form("<f2", "half_val", "<i4"),
    tf.DT_DOUBLE: make_form("<f8", "double_val"),
    tf.DT_INT32: make_form("<i4", "int_val"),
    tf.DT_INT64: make_form("<i8", "int64_val"),
}

INTEGERS: Final = (tf.DT_UINT8, tf.DT_INT32, tf.DT_INT64)


def read_tensor(
    where: str,
    tensor: tf.TensorProto,
    *,
    dtypes: Sequence[int],
    max_rows: int,
    content: bytes | memoryview,
    found: Values | None,
) -> Rows:
    """The rows of a tensor of one of these types; `where` names it in errors.

    `content` is what read_content() gave. One of BIG_FIELDS may have been taken out of the tensor.
    Raises InvalidInput.
    """
    if tensor.dtype not in dtypes:
        expected = ", ".join(map(name_dtype, dtypes))
        raise InvalidInput(
            f"{where}.dtype", f"expected one of {expected}, got {name_dtype(tensor.dtype)}."
        )
    form = FORMS[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    rows = count_rows(f"{where}.tensor_shape", shape, max_rows=max_rows)
    if content:
        field = f"{where}.tensor_content"
        return convert_rows(field, view_tensor(field, content, form.dtype, rows))
    field = f"{where}.{form.field}"
    values = None
    if found and found.number == form.number:
        values = read_packed(found)
    if values is None:
        whole = merge(tensor, found)
        listed = getattr(whole, form.field)
        values = np.fromiter(listed, form.stored, len(listed))
    return convert_rows(field, fill(field, values, tensor.dtype, rows))


def read_content(tensor: tf.TensorProto, found: Values | None) -> bytes | memoryview:
    """The tensor_content, which may be empty."""
    return found.contents if found and found.number == CONTENT else tensor.tensor_content


def read_packed(found: Values) -> npt.NDArray[Any] | None:
    """Packed values, of which floats are not copied; None where protobuf must read them."""
    dtype = FLOATS.get(found.number)
    if dtype is None:
        return read_packed_varints(found.contents)
    whole = len(found.contents) // dtype.itemsize * dtype.itemsize
    return np.frombuffer(found.contents[:whole], dtype)


def merge(tensor: tf.TensorProto, found: Values | None) -> tf.TensorProto:
    """The tensor as it was before something was taken out of it."""
    if found is None:
        return tensor
    whole = tf.TensorProto()
    whole.CopyFrom(tensor)
    whole.MergeFromString(encode_field(found.number, bytes(found.contents)))
    return whole


def fill(field: str, values: npt.NDArray[Any], dtype: int, rows: int) -> npt.NDArray[Any]:
    """Values that stand one by one, as rows: the last one stands for all that are missing."""
    expected = rows * PIXELS
    if not 0 < len(values) <= expected:
        raise InvalidInput(field, f"expected {rows} x {PIXELS} values, got {len(values)}.")
    if dtype == tf.DT_HALF:
        values = values.astype("<u2").view("<f2")
    if len(values) < expected:
        values = np.concatenate((values, np.broadcast_to(values[-1:], expected - len(values))))
    return values.reshape(rows, PIXELS)


def name_dtype(dtype: int) -> str:
    """DT_FLOAT and so on."""
    return tf.DataType.Name(dtype) if dtype in tf.DataType.values() else f"type {dtype}"  # type: ignore[arg-type]


def encode_values(values: Tensor, *, as_content: bool) -> tuple[int, bytes]:
    """Into which field of a TensorProto values go, and as which bytes: faster than protobuf."""
    is_float = values.dtype == FLOAT32
    if is_float or as_content:
        raw = values.astype("<f4" if is_float else "<i8", copy=False).tobytes()
        return CONTENT if as_content else FLOAT_VAL, raw
    # Packed: a class is below 128, so one byte each.
    return INT64_VAL, bytes(values.tolist())


def describe_tensor(dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> bytes:
    """A TensorProto without its values."""
    dims = [tf.TensorShapeProto.Dim(size=size) for size in shape]
    return tf.TensorProto(
        dtype=tf.DT_FLOAT if dtype == FLOAT32 else tf.DT_INT64,
        tensor_shape=tf.TensorShapeProto(dim=dims),
    ).SerializeToString()
