"""Interceptors of the caller's own, and the trace context that they send."""

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from flatdense_client import AsyncClient, Client
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

Serve = Callable[[ClassifierServicer], str]

IMAGE = np.zeros((28, 28), np.uint8)

Continuation = Callable[..., Any]
Details = Any
"""What a call carries: gRPC gives it no type of one name."""

TRACE: ContextVar[str] = ContextVar("TRACE", default="none")


class Notes(ClassifierServicer):
    """Notes the trace of each call, and the rows of each message."""

    def __init__(self) -> None:
        self.traces: list[tuple[str, str]] = []
        self.rows: list[int] = []

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """So many rows."""
        self._note("Classify", context)
        return self._answer(request)

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """The same over one call."""
        self._note("ClassifyStream", context)
        for request in request_iterator:
            yield self._answer(request)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Of no interest."""
        self._note("GetModel", context)
        return pb.GetModelResponse(version=request.model.version)

    def _answer(self, request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        rows = len(request.images) // 784
        self.rows.append(rows)
        probabilities = np.tile(np.eye(10, dtype="<f4")[7], rows).tobytes()
        return pb.ClassifyResponse(probabilities=probabilities, classes=[7] * rows, model_version=1)

    def _note(self, method: str, context: grpc.ServicerContext) -> None:
        trace = dict(context.invocation_metadata()).get("traceparent", "")
        self.traces.append((method, str(trace)))


class Traces(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Sends the trace of the caller, as OpenTelemetry's does."""

    def intercept_unary_unary(
        self, continuation: Continuation, details: Details, request: object
    ) -> object:
        """See gRPC."""
        return continuation(self._traced(details), request)

    def intercept_stream_stream(
        self, continuation: Continuation, details: Details, requests: object
    ) -> object:
        """See gRPC."""
        return continuation(self._traced(details), requests)

    def _traced(self, details: Details) -> Details:
        return details._replace(metadata=(("traceparent", TRACE.get()),))


class AsyncTraces(grpc.aio.UnaryUnaryClientInterceptor):
    """The same for asyncio."""

    async def intercept_unary_unary(
        self, continuation: Continuation, details: Details, request: object
    ) -> object:
        """See gRPC."""
        details.metadata["traceparent"] = TRACE.get()
        return await continuation(details, request)


class AsyncStreamTraces(grpc.aio.StreamStreamClientInterceptor):
    """The same for streams; gives an iterator, as OpenTelemetry's does."""

    async def intercept_stream_stream(
        self, continuation: Continuation, details: Details, requests: object
    ) -> AsyncIterable[object]:
        """See gRPC."""
        details.metadata["traceparent"] = TRACE.get()
        call = await continuation(details, requests)

        async def each() -> AsyncIterable[object]:
            """The answers as they come."""
            async for response in call:
                yield response

        return each()


ASYNC_TRACES = (AsyncTraces(), AsyncStreamTraces())


def test_a_callers_context_reaches_the_server(serve: Serve) -> None:
    """Each method's calls pass the interceptors on the caller's thread."""
    notes = Notes()
    TRACE.set("mine")
    with Client(serve(notes), interceptors=[Traces()]) as client:
        assert client.classify(IMAGE)[0].label == "7"
        assert len(client.classify(np.zeros((700, 784), np.uint8))) == 700
        assert next(client.classify_stream([IMAGE]))[0].label == "7"
        assert client.ready() is True
    assert {method for method, _ in notes.traces} == {"Classify", "ClassifyStream", "GetModel"}
    assert {trace for _, trace in notes.traces} == {"mine"}


def test_the_same_in_asyncio(serve: Serve) -> None:
    """Each method's calls pass the interceptors in the caller's context."""
    notes = Notes()
    address = serve(notes)

    async def _law() -> None:
        TRACE.set("mine")
        async with AsyncClient(address, interceptors=ASYNC_TRACES) as client:
            assert (await client.classify(IMAGE))[0].label == "7"
            assert len(await client.classify(np.zeros((700, 784), np.uint8))) == 700
            arrays = [np.zeros((n, 784), np.uint8) for n in (1, 600, 3)]
            lengths = [len(each) async for each in client.classify_stream(arrays)]
            assert lengths == [1, 600, 3]
            assert await client.ready() is True

    asyncio.run(_law())
    assert {method for method, _ in notes.traces} == {"Classify", "ClassifyStream", "GetModel"}
    assert {trace for _, trace in notes.traces} == {"mine"}


def test_a_shared_message_goes_on_with_its_oldest_callers_trace(serve: Serve) -> None:
    """Many calls in one message are one call to interceptors, in the context of the first of them.

    The first call of all finds nobody under way, and goes alone.
    """
    notes = Notes()
    address = serve(notes)

    async def _law() -> None:
        async with AsyncClient(
            address, interceptors=ASYNC_TRACES, messages_in_flight=1, rows_per_message=4
        ) as client:
            await client.model()

            async def _call(number: int) -> None:
                TRACE.set(f"caller {number}")
                await client.classify(IMAGE)

            await asyncio.gather(*map(_call, range(13)))

    asyncio.run(_law())
    traces = [trace for method, trace in notes.traces if method == "Classify"]
    assert notes.rows == [1, 4, 4, 4]
    assert traces == ["caller 0", "caller 1", "caller 5", "caller 9"]


def test_the_first_is_outermost(serve: Serve) -> None:
    """Several interceptors stand around each other in the order in which they are given."""
    order: list[str] = []

    class Named(grpc.UnaryUnaryClientInterceptor):
        """Notes when it is passed."""

        def __init__(self, name: str) -> None:
            self._name = name

        def intercept_unary_unary(
            self, continuation: Continuation, details: Details, request: object
        ) -> object:
            """See gRPC."""
            order.append(self._name)
            return continuation(details, request)

    with Client(serve(Notes()), interceptors=(Named("outer"), Named("inner"))) as client:
        client.model()
    assert order == ["outer", "inner"]


def test_the_wrong_kind_is_refused() -> None:
    """What is no interceptor, or one of the other API, is told so when a client is made."""
    with pytest.raises(TypeError, match=r"expected a grpc\.\*ClientInterceptor$"):
        Client("localhost:1", interceptors=[print])
    with pytest.raises(TypeError, match="this one is for AsyncClient"):
        Client("localhost:1", interceptors=ASYNC_TRACES)
    with pytest.raises(TypeError, match=r"expected a grpc\.aio\.\*ClientInterceptor$"):
        AsyncClient("localhost:1", interceptors=[print])
    with pytest.raises(TypeError, match="this one is for Client"):
        AsyncClient("localhost:1", interceptors=[Traces()])


def test_both_clients_take_the_same() -> None:
    """Names, kinds, types and defaults are equal but for the interceptors' type and `coalesce`."""
    threads, tasks = (inspect.signature(kind).parameters for kind in (Client, AsyncClient))
    assert list(threads) == list(tasks)
    for name, one in threads.items():
        other = tasks[name]
        assert one.kind is other.kind
        if name != "coalesce":
            assert one.default == other.default
        if name != "interceptors":
            assert one.annotation == other.annotation
    assert (threads["coalesce"].default, tasks["coalesce"].default) == (False, True)


def test_every_parameter_is_told_of() -> None:
    """The docstring of Client has a line for each, and that of AsyncClient for what differs."""
    told = inspect.getdoc(Client.__init__) or ""
    for name in inspect.signature(Client).parameters:
        assert f"`{name}`" in told
    assert "`coalesce`" in (inspect.getdoc(AsyncClient.__init__) or "")
