"""Calls are let in by their tokens, before their messages are read; on either lane."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import unquote

import grpc
from grpc_health.v1 import health

from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.refusal import Metadata, Refusal, refusal_of
from flatdense_server.edge.scribe import Scribe
from flatdense_server.observe.traces.passage import Passage
from flatdense_server.protocols.open_inference.infer import SERVICE
from flatdense_server.request_id import find_request_id
from flatdense_server.security.access import FORBIDDEN, UNAUTHENTICATED, Access, find_header
from flatdense_server.security.tokens import Scope

OPEN: Final = frozenset(
    {
        *(f"{health.SERVICE_NAME}/{rpc}" for rpc in ("Check", "Watch")),
        *(f"{SERVICE}/{rpc}" for rpc in ("ServerLive", "ServerReady", "ModelReady")),
    }
)
"""Probes, which have no tokens: they hear yes or no."""

ADMINISTRATIVE: Final = frozenset(
    f"{SERVICE}/{rpc}"
    for rpc in ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload")
)

LaneGate: TypeAlias = Callable[[Metadata], Refusal | None]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def scope_of(method: str) -> Scope | None:
    """What a token must be for, for `package.Service/Method`; None where none is needed.

    What is not known needs one: a method that is added later is not open by mistake.
    """
    if method in OPEN:
        return None
    return "admin" if method in ADMINISTRATIVE else "inference"


def make_lane_gate(access: Access) -> LaneGate:
    """For the express lane, whose methods all classify."""
    refusals = {error: refusal_of(error) for error in (UNAUTHENTICATED, FORBIDDEN)}

    def judge(metadata: Metadata) -> Refusal | None:
        """How a call with this metadata is refused."""
        error = access.judge(find_header(metadata), "inference")
        return refusals[error] if error else None

    return judge


class Gate(grpc.ServerInterceptor):
    """For what goes by grpc's public API: every service but the open RPCs."""

    def __init__(self, access: Access, ledger: Ledger) -> None:
        self._access = access
        self._ledger = ledger
        self._refusals = {error: refusal_of(error) for error in (UNAUTHENTICATED, FORBIDDEN)}

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """See grpc.ServerInterceptor."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method.removeprefix("/")
        scope = scope_of(method)
        if handler is None or scope is None:
            return handler
        header = find_header(handler_call_details.invocation_metadata)
        error = self._access.judge(header, scope)
        if error is None:
            return handler
        refusal = self._refusals[error]
        self._ledger.refuse(method, refusal)
        return make_refuser(method, refusal, self._ledger.scribe)


def make_refuser(method: str, refusal: Refusal, scribe: Scribe | None) -> Handler:
    """Ends a call so. It is of streams, because grpc reads no message of those by itself."""
    code = grpc.StatusCode[refusal.name]

    def refuse(_requests: Iterator[bytes], context: grpc.ServicerContext) -> NoReturn:
        """The one status, with the id of the call."""
        metadata: Metadata = tuple(context.invocation_metadata() or ())
        request_id, arrived_s = find_request_id(metadata), time.monotonic()
        if scribe:
            passage = Passage(
                method=method,
                code=refusal.name,
                arrived_s=arrived_s,
                ended_s=time.monotonic(),
                peer=unquote(context.peer()),
                request_id=request_id,
            )
            scribe.end(lambda: passage, metadata, scribe.begin(method, metadata))
        context.set_trailing_metadata(refusal.trailers(request_id))
        context.abort(code, refusal.text.decode())

    handler: Handler = grpc.stream_stream_rpc_method_handler(refuse)
    return handler
