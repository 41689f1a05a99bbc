"""The workers, as the HTTP routes see them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Final, Self

import grpc
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1 import classifier_pb2_grpc as services

from flatdense_server.http.caller import CALLER
from flatdense_server.observe.traces.traceparent import TRACEPARENT

TIMEOUT_S: Final = 5.0
"""Of what the server itself asks."""

CALL_TIMEOUT_S: Final = 30.0
"""Of what callers ask, where they say nothing: as long as TensorFlow Serving gives them."""

OPTIONS: Final = (
    # A worker that was replaced is found again soon.
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.initial_reconnect_backoff_ms", 50),
    # Proxies are for addresses that others have.
    ("grpc.enable_http_proxy", 0),
    # They are our own workers; the outputs of the biggest request are more than gRPC's 4 MiB.
    ("grpc.max_receive_message_length", -1),
)


GONE: Final = frozenset({grpc.StatusCode.UNAVAILABLE.name, grpc.StatusCode.CANCELLED.name})
"""How calls of a worker end that ends, or is not ready. Another one may answer them."""


UNTRACED: Final = (TRACEPARENT, f"00-{1:032x}-{1:016x}-00")
"""Of what the server asks for itself: there is no trace of it."""


class BackendUnavailable(Exception):
    """No worker answers now. The message says why."""


class BackendRefused(Exception):
    """A worker did not answer the request. The message is the worker's, for the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """The name of gRPC's status."""


class Backend:
    """Asks any worker that answers. Thread-safe; a context manager, which closes connections."""

    def __init__(
        self,
        model_name: str,
        addresses: Callable[[], Sequence[str]],
        is_draining: Callable[[], bool] = lambda: False,
        token: str = "",
    ) -> None:
        """`addresses()` gives those of the workers that answer now, or refuse with a reason.

        `token` is what the workers want of their callers, where they do.
        """
        self.model_name = model_name
        self.addresses = addresses
        self._is_draining = is_draining
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._channels: dict[str, grpc.Channel] = {}
        self._turns = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for channel in self._channels.values():
            channel.close()

    def get_model(self) -> pb.GetModelResponse:
        """What is served. Raises BackendUnavailable.

        It does from the moment that draining begins: who asks whether to send calls must hear of it
        before they are refused.
        """
        reason = self._explain_absence()
        for address in () if self._is_draining() else self.addresses():
            try:
                stub = services.ClassifierStub(self._channel(address))
                metadata = (*self._metadata, UNTRACED)
                return stub.GetModel(pb.GetModelRequest(), timeout=TIMEOUT_S, metadata=metadata)
            except grpc.RpcError as error:
                reason = error.details() or error.code().name
        raise BackendUnavailable(reason)

    async def call(self, method: str, message: bytes, timeout_s: float = CALL_TIMEOUT_S) -> bytes:
        """What a worker answers to `/package.Service/Method`, without blocking the event loop.

        The workers take turns, and one that is gone is passed over. Raises BackendRefused where
        one says no, BackendUnavailable where none takes the call.
        """
        reason = self._explain_absence()
        for address in self._order_addresses():
            try:
                return await self._ask(address, method, message, timeout_s)
            except BackendRefused as error:
                if error.code not in GONE:
                    raise
                reason = str(error)
        raise BackendUnavailable(reason)

    async def _ask(self, address: str, method: str, message: bytes, timeout_s: float) -> bytes:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def tell(_call: object) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(ended.set)

        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel(address).unary_unary(method)
        caller = CALLER.get()
        metadata = (*self._metadata, *(caller.metadata if caller else ()))
        call = ask.future(message, timeout=timeout_s, metadata=metadata)
        call.add_done_callback(tell)
        try:
            await ended.wait()
        finally:
            call.cancel()  # for nothing where it has ended
        if caller:
            caller.hear(call.trailing_metadata() or ())
        if call.code() is not grpc.StatusCode.OK:
            raise BackendRefused(call.code().name, call.details() or call.code().name)
        answer: bytes = call.result()
        return answer

    def _order_addresses(self) -> list[str]:
        addresses = [*self.addresses()]
        first = next(self._turns) % max(1, len(addresses))
        return addresses[first:] + addresses[:first]

    def _explain_absence(self) -> str:
        if self._is_draining():
            return "the server is stopping. Try another one, or try again later."
        return f"the model {self.model_name!r} is still loading. Try again later."

    def _channel(self, address: str) -> grpc.Channel:
        if address not in self._channels:
            self._channels.setdefault(address, grpc.insecure_channel(address, OPTIONS))
        return self._channels[address]
