"""The parameters of a request: what they ask for, or why it is not offered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.errors import InvalidInput

Parameters = Mapping[str, pb.InferParameter]

NOT_OFFERED: Final = {
    "priority": "every request has the same priority here",
    "sequence_id": "the model keeps no state between requests",
    "sequence_start": "the model keeps no state between requests",
    "sequence_end": "the model keeps no state between requests",
    "shared_memory_region": "tensors travel in messages here, not in shared memory",
}


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """One output that a request names."""

    name: str
    top: int | None = None
    """So many classes in words, the most probable first, in place of the tensor."""


def read_timeout_s(parameters: Parameters) -> float | None:
    """What `timeout`, in microseconds, says. Raises InvalidInput where a parameter is not offered.

    Those that nobody here knows are for others on the way, and are passed over.
    """
    check_offered("parameters", parameters)
    if "timeout" not in parameters:
        return None
    timeout_us = read_number("parameters[timeout]", parameters["timeout"])
    if timeout_us < 0:
        raise InvalidInput("parameters[timeout]", f"expected microseconds, got {timeout_us}.")
    return timeout_us / 1e6 or None


def read_output(
    index: int, output: pb.ModelInferRequest.InferRequestedOutputTensor
) -> RequestedOutput:
    """What is asked of one output. Raises InvalidInput."""
    field = f"outputs[{index}].parameters"
    check_offered(field, output.parameters)
    if "classification" not in output.parameters:
        return RequestedOutput(output.name)
    top = read_number(f"{field}[classification]", output.parameters["classification"])
    if top < 1:
        raise InvalidInput(
            f"{field}[classification]", f"expected a number of classes from 1, got {top}."
        )
    return RequestedOutput(output.name, top)


def check_offered(field: str, parameters: Parameters) -> None:
    """Raises InvalidInput where a parameter asks for what is not offered; 0 asks for nothing."""
    for name in parameters.keys() & NOT_OFFERED.keys():
        parameter = parameters[name]
        choice = parameter.WhichOneof("parameter_choice")
        if choice and getattr(parameter, choice):
            raise InvalidInput(f"{field}[{name}]", f"not offered: {NOT_OFFERED[name]}.")


def read_number(field: str, parameter: pb.InferParameter) -> int:
    """A whole number. Raises InvalidInput."""
    choice = parameter.WhichOneof("parameter_choice")
    if choice not in ("int64_param", "uint64_param"):
        raise InvalidInput(field, f"expected an int64_param, got {choice or 'nothing'}.")
    value: int = getattr(parameter, choice)
    return value
