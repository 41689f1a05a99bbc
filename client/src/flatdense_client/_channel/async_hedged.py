"""Calls of which a second copy may be sent, on an event loop."""

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio

from flatdense_client._channel.hedging import Budget, Hedging, Metadata, is_final

Request = TypeVar("Request")
Response = TypeVar("Response")

_Send = Callable[[float | None], "grpc.aio.UnaryUnaryCall[Any, Response]"]


class AsyncHedgedMethod(Generic[Request, Response]):
    """A unary method whose calls are hedged."""

    def __init__(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        hedging: Hedging,
        budget: Budget,
    ) -> None:
        self._method = method
        self._hedging = hedging
        self._budget = budget

    def __call__(
        self, request: Request, timeout: float | None = None, metadata: Metadata | None = None
    ) -> "AsyncHedgedCall[Response]":
        """Sends the first copy."""

        def send(timeout_s: float | None) -> "grpc.aio.UnaryUnaryCall[Request, Response]":
            return self._method(request, timeout=timeout_s, metadata=metadata)

        return AsyncHedgedCall(send, timeout, self._hedging, self._budget)


class AsyncHedgedCall(Generic[Response]):
    """Up to two copies of one call, of which the first to be answered counts.

    Awaiting it gives the answer, or raises what gRPC's call raises. Cancelling whoever awaits it
    cancels every copy, and no copy outlives it.
    """

    def __init__(
        self,
        send: "_Send[Response]",
        timeout_s: float | None,
        hedging: Hedging,
        budget: Budget,
    ) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._hedging = hedging
        self._budget = budget
        self._winner: grpc.aio.UnaryUnaryCall[Any, Response] | None = None
        self._copies: dict[asyncio.Future[Response], grpc.aio.UnaryUnaryCall[Any, Response]] = {}
        budget.earn()
        self._add(timeout_s)
        self._race = asyncio.get_running_loop().create_task(self._run())

    def __await__(self) -> Generator[Any, None, Response]:
        return self._race.__await__()

    def cancel(self) -> bool:
        """Cancels every copy; whether that came in time."""
        return self._race.cancel()

    async def trailing_metadata(self) -> Any:  # noqa: ANN401  # as gRPC has it
        """Of the copy that counts. Waits for it."""
        await asyncio.wait({self._race})
        return None if self._winner is None else await self._winner.trailing_metadata()

    async def _run(self) -> Response:
        began_s = time.monotonic()
        try:
            ended, _ = await asyncio.wait(set(self._copies), timeout=self._hedging.after_s)
            if not ended:
                self._hedge(time.monotonic() - began_s)
            return (await self._settle()).result()
        finally:
            await self._end_others()

    def _hedge(self, elapsed_s: float) -> None:
        remaining_s = None if self._timeout_s is None else self._timeout_s - elapsed_s
        if (remaining_s is None or remaining_s > 0) and self._budget.spend():
            self._add(remaining_s)

    def _add(self, timeout_s: float | None) -> None:
        call = self._send(timeout_s)
        self._copies[asyncio.ensure_future(call)] = call

    async def _settle(self) -> asyncio.Future[Response]:
        """Waits for the copy that counts."""
        pending = set(self._copies)
        while True:
            ended, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            winner = next(filter(_is_final, ended), None)
            if winner is None and not pending:
                winner = next(iter(ended))
            if winner is not None:
                self._winner = self._copies[winner]
                return winner

    async def _end_others(self) -> None:
        pending = {copy for copy in self._copies if not copy.done()}
        for copy in pending:
            copy.cancel()
        if pending:
            await asyncio.wait(pending)
        for copy in self._copies:
            if not copy.cancelled():
                copy.exception()  # a loser's error is of no interest, and is not reported as lost


def _is_final(copy: "asyncio.Future[Any]") -> bool:
    if copy.cancelled():  # by the closing of the channel: so is the other
        return False
    error = copy.exception()
    return not isinstance(error, grpc.aio.AioRpcError) or is_final(error.code())
