"""The Open Inference Protocol's parameters, in JSON and in a worker's words."""

from collections.abc import Mapping, Sized
from typing import Any, TypeAlias

from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.http.documents import check_text
from flatdense_server.http.errors import refuse
from flatdense_server.http.exchange import encode
from flatdense_server.http.limits import MAX_ENTRIES
from flatdense_server.http.messages import describe

Parameter: TypeAlias = bool | int | float | str
Parameters: TypeAlias = dict[str, Parameter]


def read_parameters(
    field: str, parameters: Parameters | None, *, without: str = ""
) -> dict[str, pb.InferParameter]:
    """Parameters as a worker takes them, but for one that is HTTP's own."""
    parameters = parameters or {}
    check_count(field, parameters)
    return {
        check_text(field, name): read_parameter(f"{field}.{name}", value)
        for name, value in parameters.items()
        if name != without
    }


def read_parameter(field: str, value: Parameter) -> pb.InferParameter:
    """One parameter; integers are signed ones."""
    match value:
        case bool():
            return pb.InferParameter(bool_param=value)
        case int():
            return pb.InferParameter(int64_param=check_integer(field, value))
        case float():
            return pb.InferParameter(double_param=value)
        case str():
            return pb.InferParameter(string_param=check_text(field, value))


def read_choice(field: str, parameters: Parameters | None, name: str, *, default: bool) -> bool:
    """A parameter that is true or false. Raises RequestRefused where it is something else."""
    value = (parameters or {}).get(name, default)
    if not isinstance(value, bool):
        got = encode(value).decode()[:100]
        raise refuse(f"{field}.{name}", f"expected true or false, got {got}.")
    return value


def write_parameters(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    """Parameters as JSON has them."""
    return {
        name: value
        for name, parameter in sorted(parameters.items())
        for value in describe(parameter).values()
    }


def check_count(field: str, entries: Sized) -> None:
    """Raises RequestRefused where there are more than any request needs."""
    if len(entries) > MAX_ENTRIES:
        raise refuse(field, f"expected at most {MAX_ENTRIES}, got {len(entries)}.")


def check_integer(field: str, value: int) -> int:
    """The number. Raises RequestRefused where it takes more than 64 bits."""
    if not -(1 << 63) <= value < 1 << 63:
        raise refuse(field, "expected an integer of 64 bits, got a longer one.")
    return value
