"""Where calls come in: Serve's gRPC proxy, as a server of every method that our server has.

The proxy imports `add_to_server` by its name in `grpc_options.grpc_servicer_functions`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from flatdense_cluster.serve.envelope import (
    OK,
    Answer,
    Metadata,
    Opening,
    pack_trailers,
    read_answer,
    unpack_trailers,
)

log = logging.getLogger("ray.serve")

STREAMS: Final = frozenset(
    {
        "/flatdense.v1.Classifier/ClassifyStream",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/inference.GRPCInferenceService/ModelStreamInfer",
    }
)
"""The methods with more than one request or answer. Every other one has one of each."""

SERVES_OWN: Final = "/ray.serve."

ANSWER, CONVERSE = "/flatdense.Replica/answer", "/flatdense.Replica/converse"
"""What Serve is told: it calls the replica's method of the last name."""

ATTEMPTS: Final = 4
"""Of a call whose replica ended: classifying twice does no harm."""

PAUSE_S: Final = 0.05
"""Before the second attempt; twice as long before each further one."""

RETRY_S: Final = 0.2
"""When callers should ask again, who were refused."""

UNAVAILABLE: Final[int] = grpc.StatusCode.UNAVAILABLE.value[0]

LOST: Final = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)
"""What Serve says where a replica ended or none is there: our server's own statuses come as an
Answer."""

Unary: TypeAlias = Callable[[Opening, Any], Awaitable[bytes]]
Stream: TypeAlias = Callable[[AsyncIterator[Opening | bytes], Any], AsyncIterator[bytes]]


def add_to_server(_servicer: object, server: "grpc.aio.Server") -> None:
    """Opens the door in a proxy."""
    server.add_generic_rpc_handlers((Door(),))


class Door(grpc.GenericRpcHandler):
    """Hands each call to a replica, and its answer back, byte for byte.

    Serve puts its own functions in the place of the handlers in `_method_handlers`, which take a
    call to a replica; the door calls those. It sets deadlines, asks again where a replica ended,
    and says what Serve says in codes that callers know to retry.
    """

    def __init__(self) -> None:
        self._method_handlers: dict[str, Any] = {
            ANSWER: grpc.unary_unary_rpc_method_handler(never),
            CONVERSE: grpc.stream_stream_rpc_method_handler(never),
        }

    def service(self, handler_call_details: Any) -> Any:  # noqa: ANN401 -- as grpc has it
        """See grpc.GenericRpcHandler.service."""
        method = handler_call_details.method
        if method.startswith(SERVES_OWN):
            return None
        if method in STREAMS:
            return grpc.stream_stream_rpc_method_handler(self._make_stream(method))
        return grpc.unary_unary_rpc_method_handler(self._make_unary(method))

    def _make_unary(self, method: str) -> Callable[..., Awaitable[bytes]]:
        async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
            ask: Unary = self._method_handlers[ANSWER].unary_unary
            pause_s = PAUSE_S
            for attempt in range(1, ATTEMPTS + 1):
                serialized = await ask(open_call(method, context, body), context)
                answer = read_answer(serialized) if serialized else explain(context)
                if answer.code != UNAVAILABLE or attempt == ATTEMPTS:
                    break
                log.warning("no answer to a call (attempt %d): %s", attempt, answer.message)
                await asyncio.sleep(pause_s)
                pause_s *= 2
            return end(context, answer)

        return answer

    def _make_stream(self, method: str) -> Callable[..., AsyncIterator[bytes]]:
        async def converse(bodies: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:  # noqa: ANN401
            async def requests() -> AsyncIterator[Opening | bytes]:
                yield open_call(method, context)
                async for body in bodies:
                    yield body

            ask: Stream = self._method_handlers[CONVERSE].stream_stream
            ended = False
            async for serialized in ask(requests(), context):
                if not serialized:
                    continue
                answer = read_answer(serialized)
                if answer.body is not None:
                    yield answer.body
                if answer.code is not None:
                    ended = True
                    end(context, answer)
                    # Serve sets its own status when it is done, over none that is there.
            if not ended:
                end(context, explain(context))

        return converse


async def never(_request: Any, _context: Any) -> None:  # noqa: ANN401
    """Serve's function takes this one's place."""
    raise NotImplementedError


def open_call(method: str, context: Any, body: bytes = b"") -> Opening:  # noqa: ANN401
    """A call as the replica is told of it."""
    metadata: Metadata = tuple(
        (key, value)
        for key, value in context.invocation_metadata() or ()
        if not key.startswith(("grpc-", "user-agent"))
    )
    return Opening(method, metadata, context.time_remaining(), body)


def read_code(context: Any) -> grpc.StatusCode:  # noqa: ANN401
    """What Serve made of a call, by gRPC's number or name."""
    code = context.code()
    return code if isinstance(code, grpc.StatusCode) else find_code(code)


def end(context: Any, answer: Answer) -> bytes:  # noqa: ANN401
    """Ends a call as its server did, whatever Serve has set."""
    context.set_trailing_metadata(unpack_trailers(answer.trailers))
    context.set_code(find_code(answer.code or OK))
    context.set_details(answer.message)
    return answer.body or b""


def find_code(number: int) -> grpc.StatusCode:
    """A status code by gRPC's number."""
    found: grpc.StatusCode = next(each for each in grpc.StatusCode if each.value[0] == number)
    return found


def explain(context: Any) -> Answer:  # noqa: ANN401
    """The end of a call that no replica has answered."""
    code = read_code(context)
    if code in LOST:
        code, said = grpc.StatusCode.UNAVAILABLE, "no replica could answer. Ask again."
    elif code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        said = "the replicas are busy and so many calls wait that no more are taken. Ask later."
    else:
        return Answer(None, code.value[0], context.details() or code.name)
    status = Status(code=code.value[0], message=said)
    pause = Duration()
    pause.FromMilliseconds(round(RETRY_S * 1e3))
    status.details.add().Pack(RetryInfo(retry_delay=pause))
    trailers = (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("grpc-retry-pushback-ms", str(round(RETRY_S * 1e3))),
    )
    return Answer(None, code.value[0], said, pack_trailers(trailers))
