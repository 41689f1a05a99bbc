"""The workers, as the HTTP routes see them."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import grpc
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1 import classifier_pb2_grpc as services

TIMEOUT_S: Final = 5.0

OPTIONS: Final = (
    # A worker that was replaced is found again soon.
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.initial_reconnect_backoff_ms", 50),
    # Proxies are for addresses that others have.
    ("grpc.enable_http_proxy", 0),
)


class BackendUnavailable(Exception):
    """No worker answers now. The message says why."""


class Backend:
    """Asks any worker that answers. Thread-safe; a context manager, which closes connections."""

    def __init__(
        self,
        model_name: str,
        addresses: Callable[[], Sequence[str]],
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        """`addresses()` gives those of the workers that answer now."""
        self.model_name = model_name
        self.addresses = addresses
        self._is_draining = is_draining
        self._channels: dict[str, grpc.Channel] = {}

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
        """What is served. Raises BackendUnavailable."""
        reason = f"the model {self.model_name!r} is still loading. Try again later."
        if self._is_draining():
            reason = "the server is stopping. Try another one, or try again later."
        for address in self.addresses():
            try:
                stub = services.ClassifierStub(self._channel(address))
                return stub.GetModel(pb.GetModelRequest(), timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                reason = error.details() or error.code().name
        raise BackendUnavailable(reason)

    def _channel(self, address: str) -> grpc.Channel:
        if address not in self._channels:
            self._channels.setdefault(address, grpc.insecure_channel(address, OPTIONS))
        return self._channels[address]
