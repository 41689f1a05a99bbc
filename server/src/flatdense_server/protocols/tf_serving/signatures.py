"""What a signature takes and gives."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from flatdense_server.errors import InvalidInput, NoSignature
from flatdense_server.protocols.tf_serving.tensors import FORMS, INTEGERS
from flatdense_server.tensors import CLASSES_NAME, HIDDEN_NAME, INPUT_NAME, PROBABILITIES_NAME

DEFAULT: Final = "serving_default"


@dataclass(frozen=True, slots=True)
class Served:
    """One signature, as it is served."""

    name: str
    dtypes: Sequence[int]
    """Which its input may have."""
    outputs: tuple[str, ...]

    @property
    def hidden(self) -> bool:
        """Whether the hidden activations are among its outputs."""
        return HIDDEN_NAME in self.outputs


ANSWERS: Final = (PROBABILITIES_NAME, CLASSES_NAME)

SERVED: Final = {
    served.name: served
    for served in (
        Served(DEFAULT, tuple(FORMS), ANSWERS),
        Served("serving_uint8", INTEGERS, ANSWERS),
        Served("explain", tuple(FORMS), (*ANSWERS, HIDDEN_NAME)),
    )
}


def find_signature(name: str) -> Served:
    """The signature of this name; empty is the default. Raises NoSignature."""
    served = SERVED.get(name or DEFAULT)
    if served is None:
        raise no_signature(name)
    return served


def no_signature(name: str, known: Collection[str] = SERVED) -> NoSignature:
    """What is said of a signature that a model does not have."""
    return NoSignature(
        f'Serving signature key "{name}" not found. Expected one of {", ".join(known)}.'
    )


def unexpected_inputs(names: Sequence[str]) -> InvalidInput:
    """What is said where inputs are not the one input, and all of it."""
    extra = sorted(set(names) - {INPUT_NAME})
    missing = [] if INPUT_NAME in names else [INPUT_NAME]
    return InvalidInput(
        "inputs",
        f"input size does not match signature: {len(names)}!=1 len({braced(sorted(names))}) != "
        f"len({braced([INPUT_NAME])}). Sent extra: {braced(extra)}. "
        f"Missing but required: {braced(missing)}.",
    )


def choose_outputs(served: Served, wanted: Sequence[str]) -> tuple[str, ...]:
    """The outputs that a filter lets through; an empty one lets all. Raises InvalidInput."""
    for index, name in enumerate(wanted):
        if name not in served.outputs:
            raise InvalidInput(
                "output_filter",
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {braced(sorted(served.outputs))}.",
            )
        if name in wanted[:index]:
            raise InvalidInput("output_filter", f"duplicate output tensor alias: {name}")
    return tuple(wanted) or served.outputs


def braced(names: Sequence[str]) -> str:
    """A set of names."""
    return "{" + ",".join(names) + "}"
