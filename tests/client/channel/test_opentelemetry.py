"""OpenTelemetry's own instrumentation of gRPC: a caller's trace goes on at the server."""

import asyncio
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from flatdense_client import AsyncClient, Client, Hedging
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

instrumentation = pytest.importorskip("opentelemetry.instrumentation.grpc")
trace = pytest.importorskip("opentelemetry.sdk.trace")

Serve = Callable[[ClassifierServicer], str]

IMAGE = np.zeros((28, 28), np.uint8)

HEDGED = pytest.mark.parametrize("hedging", [None, Hedging(after_s=60)], ids=["", "hedged"])


class Notes(ClassifierServicer):
    """Notes the trace of each call: its `traceparent`'s second part."""

    def __init__(self) -> None:
        self.traces: list[int] = []

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """So many rows."""
        self._note(context)
        return self._answer(request)

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """The same over one call."""
        self._note(context)
        for request in request_iterator:
            yield self._answer(request)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Of no interest."""
        self._note(context)
        return pb.GetModelResponse(version=request.model.version)

    def _answer(self, request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        rows = len(request.images) // 784
        probabilities = np.tile(np.eye(10, dtype="<f4")[7], rows).tobytes()
        return pb.ClassifyResponse(probabilities=probabilities, classes=[7] * rows, model_version=1)

    def _note(self, context: grpc.ServicerContext) -> None:
        parent = str(dict(context.invocation_metadata()).get("traceparent", "00-0-0-00"))
        self.traces.append(int(parent.split("-")[1], 16))


@HEDGED
def test_a_clients_calls_belong_to_their_callers_trace(
    serve: Serve, hedging: Hedging | None
) -> None:
    """`GrpcInstrumentorClient` instruments the channel of a client that is made after it."""
    notes, provider = Notes(), trace.TracerProvider()
    instrumentor = instrumentation.GrpcInstrumentorClient()
    instrumentor.instrument(tracer_provider=provider)
    try:
        span = provider.get_tracer("test").start_as_current_span("caller")
        with span as caller, Client(serve(notes), hedging=hedging, token="t") as client:
            assert client.classify(IMAGE)[0].label == "7"
            assert len(client.classify(np.zeros((1500, 784), np.uint8))) == 1500
            assert next(client.classify_stream([IMAGE]))[0].label == "7"
    finally:
        instrumentor.uninstrument()
    assert len(notes.traces) == 6
    assert set(notes.traces) == {caller.get_span_context().trace_id}


@HEDGED
def test_the_same_in_asyncio(serve: Serve, hedging: Hedging | None) -> None:
    """AsyncClient takes `aio_client_interceptors()`; a shared message is of its oldest caller."""
    notes, provider = Notes(), trace.TracerProvider()
    interceptors = instrumentation.aio_client_interceptors(tracer_provider=provider)
    tracer, address = provider.get_tracer("test"), serve(notes)
    callers: list[int] = []

    async def _law() -> None:
        async with AsyncClient(
            address, interceptors=interceptors, hedging=hedging, messages_in_flight=1
        ) as client:

            async def _call() -> None:
                with tracer.start_as_current_span("caller") as caller:
                    callers.append(caller.get_span_context().trace_id)
                    assert (await client.classify(IMAGE))[0].label == "7"

            await _call()
            notes.traces.clear()
            callers.clear()
            await asyncio.gather(*(_call() for _ in range(5)))
            assert notes.traces == callers[:2]  # the first goes alone, the others together
            with tracer.start_as_current_span("caller") as caller:
                lengths = [len(each) async for each in client.classify_stream([IMAGE, IMAGE])]
            assert lengths == [1, 1]
            assert notes.traces[2:] == [caller.get_span_context().trace_id]

    asyncio.run(_law())
