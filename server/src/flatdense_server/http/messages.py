"""Protocol buffers as JSON writes them."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

Write: TypeAlias = Callable[[Any], Any]

WIDE: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)


def describe(message: Message, *, wide: Write = int) -> dict[str, Any]:
    """Every field under its name, those that are empty too; messages where they are set.

    Enumerations are names. `wide` writes integers of 64 bits: Triton's JSON has them as numbers,
    that of protocol buffers, and so TensorFlow Serving's, as text.
    """
    return {
        field.name: describe_field(getattr(message, field.name), field, wide)
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def describe_field(value: Any, field: Any, wide: Write) -> Any:  # noqa: ANN401
    """One field's value, as JSON has it. `field` is its descriptor."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        write = choose_write(kind.fields_by_name["value"], wide)
        return {str(key): write(value[key]) for key in sorted(value)}
    write = choose_write(field, wide)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [write(element) for element in value]
    return write(value)


def choose_write(field: Any, wide: Write) -> Write:  # noqa: ANN401
    """How values of a field are written."""
    if field.message_type is not None:
        return lambda value: describe(value, wide=wide)
    if field.enum_type is not None:
        names = {value.number: value.name for value in field.enum_type.values}
        return lambda value: names.get(value, value)
    return wide if field.type in WIDE else lambda value: value
