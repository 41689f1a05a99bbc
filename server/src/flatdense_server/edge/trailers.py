"""What the trailer of an answer says, where the caller asked for something."""

from collections.abc import Callable, Iterable
from typing import Final

from flatdense_server.edge.refusal import Metadata
from flatdense_server.edge.timing import WANTED, describe, find_wish
from flatdense_server.request_id import HEADER
from flatdense_server.selector import Answerer
from flatdense_server.tensors import Outputs

ASKING: Final = frozenset({WANTED, HEADER})


def is_asking(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Whether the caller asks for any of it."""
    for key, _value in metadata:  # noqa: SIM110 -- any() takes twice as long, for every call
        if key in ASKING:
            return True
    return False


def write_trailers(
    metadata: Metadata,
    identify: Callable[[], str],
    outputs: Outputs,
    answerer: Answerer,
    arrived_s: float,
) -> Metadata:
    """The trailer of a call with this metadata, which came then and is about to be answered.

    `identify()` gives the call's id.
    """
    trailers: Metadata = ()
    if (wish := find_wish(metadata)) is not None:
        trailers = describe(wish, outputs, answerer, arrived_s)
    return (*trailers, *echo(metadata, identify))


def echo(metadata: Metadata, identify: Callable[[], str]) -> Metadata:
    """The id of a call, where its caller sent one."""
    if any(key == HEADER for key, _value in metadata):
        return ((HEADER, identify()),)
    return ()
