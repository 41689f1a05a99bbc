"""A request that ended, as the access log and traces tell of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from flatdense_server.selector import NOBODY, Answerer

if TYPE_CHECKING:  # the supervisor starts without numpy
    from flatdense_server.tensors import Ran

Kind: TypeAlias = Literal["rpc", "message", "http"]
"""A call, one message of a stream, or a request by HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What it was, and what became of it. None of what it brought."""

    kind: Kind = "rpc"
    method: str
    """`package.Service/Method`; of HTTP the method and the path."""
    answerer: Answerer = NOBODY
    code: str
    """The name of gRPC's status, or the number of HTTP's."""
    rows: int = 0
    arrived_s: float
    """On the clock of time.monotonic(), like the next."""
    ended_s: float
    ran: "Ran | None" = None
    """In which batch, where there was one."""
    peer: str
    """The caller's address, as gRPC writes it."""
    request_id: str
