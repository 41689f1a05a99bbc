"""RPCs that do not classify: each is a function, on a thread of grpc's pool."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from flatdense_server.edge.call import Call
from flatdense_server.edge.ledger import Ledger

Rpc: TypeAlias = Callable[[bytes, Call], Message]
"""Answers a request, as the bytes that were sent. Whatever it raises is the RPC's status."""


def make_handlers(
    service: str, rpcs: Mapping[str, Rpc], ledger: Ledger
) -> dict[str, "grpc.RpcMethodHandler[Any, Any]"]:
    """The handlers of a service's unary RPCs, by name."""

    def make(name: str, rpc: Rpc) -> "grpc.RpcMethodHandler[Any, Any]":
        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            with Call(context, f"{service}/{name}", ledger) as call:
                return rpc(request, call).SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)

    return {name: make(name, rpc) for name, rpc in rpcs.items()}
