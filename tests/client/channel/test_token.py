"""The token that calls carry: where it goes, and where it must not."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing

import grpc
import numpy as np
import pytest
from flatdense_client import AsyncClient, Client, Hedging, Tls, Unauthenticated
from flatdense_client._channel.channel import Connector
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer, ClassifierStub

Serve = Callable[[ClassifierServicer], str]

IMAGE = np.zeros((28, 28), np.uint8)


class Doorkeeper(ClassifierServicer):
    """Notes who calls, and lets in who says `Bearer good` or, later, `Bearer better`."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.password = "Bearer good"

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One row."""
        del request
        self._check("Classify", context)
        probabilities = np.eye(10, dtype="<f4")[7].tobytes()
        return pb.ClassifyResponse(probabilities=probabilities, classes=[7], model_version=1)

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """The same over one call."""
        self._check("ClassifyStream", context)
        for request in request_iterator:
            yield self.Classify(request, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Of no interest."""
        self._check("GetModel", context)
        return pb.GetModelResponse(version=request.model.version)

    def _check(self, method: str, context: grpc.ServicerContext) -> None:
        said = str(dict(context.invocation_metadata()).get("authorization", ""))
        self.said.append((method, said))
        if said != self.password:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")


def _label(client: Client) -> str:
    return client.classify(IMAGE)[0].label


@pytest.mark.parametrize("hedging", [None, Hedging(after_s=60)])
def test_each_call_carries_the_token(serve: Serve, hedging: Hedging | None) -> None:
    """Every method of a client says who calls, hedged or not."""
    doorkeeper = Doorkeeper()
    with Client(serve(doorkeeper), token="good", hedging=hedging) as client:
        assert _label(client) == "7"
        assert next(client.classify_stream([IMAGE]))[0].label == "7"
        client.model()
        assert client.ready() is True
    assert {method for method, _ in doorkeeper.said} == {"Classify", "ClassifyStream", "GetModel"}
    assert {said for _, said in doorkeeper.said} == {"Bearer good"}


@pytest.mark.parametrize("hedging", [None, Hedging(after_s=60)])
def test_the_same_in_asyncio(serve: Serve, hedging: Hedging | None) -> None:
    """AsyncClient's methods do too."""
    doorkeeper = Doorkeeper()
    address = serve(doorkeeper)

    async def _law() -> None:
        async with AsyncClient(address, token="good", hedging=hedging) as client:
            assert (await client.classify(IMAGE))[0].label == "7"
            async for predictions in client.classify_stream([IMAGE]):
                assert predictions[0].label == "7"
            await client.model()
            assert await client.ready() is True

    asyncio.run(asyncio.wait_for(_law(), 60))
    assert {method for method, _ in doorkeeper.said} == {"Classify", "ClassifyStream", "GetModel"}
    assert {said for _, said in doorkeeper.said} == {"Bearer good"}


def test_without_the_token_the_server_refuses(serve: Serve) -> None:
    """No token, or a wrong one, is Unauthenticated, whose words do not repeat it."""
    address = serve(Doorkeeper())
    for token in (None, "secret-but-wrong"):
        with Client(address, token=token) as client, pytest.raises(Unauthenticated) as caught:
            client.classify(IMAGE)
        assert "secret" not in str(caught.value)
        assert "secret" not in repr(client)


def test_a_function_gives_the_token_of_the_moment(serve: Serve) -> None:
    """It is asked for each call, so that tokens may be changed while a client lives."""
    doorkeeper, token = Doorkeeper(), "good"
    with Client(serve(doorkeeper), token=lambda: token) as client:
        assert _label(client) == "7"
        doorkeeper.password = "Bearer better"
        with pytest.raises(Unauthenticated):
            client.classify(IMAGE)
        token = "better"
        assert _label(client) == "7"


def test_what_the_function_raises_the_call_raises(address: str) -> None:
    """The caller's own trouble comes back as it is, and nothing is sent."""

    def fail() -> str:
        raise OSError("the vault is closed")

    with Client(address, token=fail) as client, pytest.raises(OSError, match="vault"):
        client.classify(IMAGE)

    async def _law() -> None:
        async with AsyncClient(address, token=fail) as client:
            with pytest.raises(OSError, match="vault"):
                await client.classify(IMAGE)

    asyncio.run(asyncio.wait_for(_law(), 60))


@pytest.mark.parametrize("token", ["", "two words", "end\n", "é", b"bytes"])
def test_what_is_no_token(address: str, token: str) -> None:
    """A token that no header may carry is refused, when it is known, without its being repeated."""
    with pytest.raises(ValueError, match="the token") as caught:
        Client(address, token=token)
    assert not token or str(token) not in str(caught.value)
    with Client(address, token=lambda: token) as client, pytest.raises(ValueError, match="token"):
        client.classify(IMAGE)


@pytest.mark.parametrize("address", ["digits.example:8500", "dns:///10.0.0.1:1", "[::2]:1"])
def test_a_token_does_not_travel_in_the_clear(address: str) -> None:
    """To another machine it goes over TLS or not at all."""
    for kind in (Client, AsyncClient):
        for given in (address, ["localhost:1", "10.0.0.1:2"]):
            with pytest.raises(ValueError, match=r"a token must not travel to .* in the clear"):
                kind(given, token="good")
        kind(address, token="good", tls=Tls())
    with Client("unix:/run/flatdense.sock", token="good"):
        pass


@pytest.mark.parametrize("hedging", [None, Hedging(after_s=60)])
def test_the_token_joins_what_a_call_carries_already(serve: Serve, hedging: Hedging | None) -> None:
    """Metadata of the SDK's own goes out beside the token, and trailers come back, either way."""

    class Echo(Doorkeeper):
        """Sends back what it was sent."""

        def Classify(  # noqa: N802  # gRPC's name
            self, request: pb.ClassifyRequest, context: grpc.ServicerContext
        ) -> pb.ClassifyResponse:
            """One row."""
            sent = dict(context.invocation_metadata())
            context.set_trailing_metadata((("told", str(sent.get("mine"))),))
            return super().Classify(request, context)

    address, request = serve(Echo()), pb.ClassifyRequest(images=bytes(784))
    connector = Connector(address, token="good", hedging=hedging)
    metadata = (("mine", "this"),)
    with closing(connector.open(())) as channel:
        classify = ClassifierStub(channel).Classify
        assert classify(request, timeout=30, metadata=metadata).classes == [7]
        for call in (
            classify.with_call(request, timeout=30, metadata=metadata)[1],
            classify.future(request, timeout=30, metadata=metadata),
        ):
            assert dict(call.trailing_metadata())["told"] == "this"

    async def _law() -> None:
        channel = connector.open_async()
        call = ClassifierStub(channel).Classify(request, timeout=30, metadata=metadata)
        assert (await call).classes == [7]
        assert dict(await call.trailing_metadata())["told"] == "this"
        await channel.close()

    asyncio.run(_law())
