"""Calls of which a second copy may be sent, on threads."""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import grpc

from flatdense_client._channel.hedging import Budget, Hedging, Metadata, is_final

Request = TypeVar("Request")
Response = TypeVar("Response")

_Copy = Any
"""A grpc.Call that is a grpc.Future: gRPC has no one type for it."""


class HedgedMethod(Generic[Request, Response]):
    """A unary method whose calls are hedged."""

    def __init__(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        hedging: Hedging,
        budget: Budget,
    ) -> None:
        self._method = method
        self._hedging = hedging
        self._budget = budget

    def __call__(
        self, request: Request, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Response:
        """Waits for the answer."""
        return self.future(request, timeout, metadata).result()

    def with_call(
        self, request: Request, timeout: float | None = None, metadata: Metadata | None = None
    ) -> "tuple[Response, HedgedCall[Response]]":
        """Waits for the answer, and gives the call too."""
        call = self.future(request, timeout, metadata)
        return call.result(), call

    def future(
        self, request: Request, timeout: float | None = None, metadata: Metadata | None = None
    ) -> "HedgedCall[Response]":
        """Sends the first copy."""

        def send(timeout_s: float | None) -> _Copy:
            return self._method.future(request, timeout=timeout_s, metadata=metadata)

        return HedgedCall(send, timeout, self._hedging, self._budget)


class HedgedCall(Generic[Response]):
    """Up to two copies of one call, of which the first to be answered counts.

    The thread that waits for the result sends the second copy: there is neither a thread nor a
    timer for it. Nobody waits, nobody hedges.
    """

    def __init__(
        self,
        send: Callable[[float | None], _Copy],
        timeout_s: float | None,
        hedging: Hedging,
        budget: Budget,
    ) -> None:
        began_s = time.monotonic()
        self._send = send
        self._budget = budget
        self._hedge_at_s: float | None = began_s + hedging.after_s
        self._deadline_s = None if timeout_s is None else began_s + timeout_s
        self._changed = threading.Condition()
        self._copies: list[_Copy] = []
        self._ended: list[_Copy] = []
        budget.earn()
        with self._changed:
            self._add(timeout_s)

    def result(self) -> Response:
        """Waits for the answer. Raises what gRPC's future raises."""
        response: Response = self._settle().result()
        return response

    def trailing_metadata(self) -> Any:  # noqa: ANN401  # as gRPC has it
        """Of the copy that counts. Waits for it."""
        return self._settle().trailing_metadata()

    def cancel(self) -> bool:
        """Cancels every copy; whether that came in time for one."""
        with self._changed:
            self._hedge_at_s = None
            cancelled = [copy.cancel() for copy in self._copies]
        return any(cancelled)

    def _settle(self) -> _Copy:
        """Waits for the copy that counts, and cancels the other."""
        with self._changed:
            while (winner := self._winner()) is None:
                wait_s = None
                if self._hedge_at_s is not None:
                    wait_s = self._hedge_at_s - time.monotonic()
                    if wait_s <= 0:
                        self._hedge()
                        continue
                self._changed.wait(wait_s)
            for copy in self._copies:
                if copy is not winner:
                    copy.cancel()
        return winner

    def _winner(self) -> _Copy | None:
        for copy in self._ended:
            if is_final(copy.code()):
                return copy
        return self._ended[-1] if len(self._ended) == len(self._copies) else None

    def _hedge(self) -> None:
        self._hedge_at_s = None
        remaining_s = None if self._deadline_s is None else self._deadline_s - time.monotonic()
        if (remaining_s is None or remaining_s > 0) and self._budget.spend():
            self._add(remaining_s)

    def _add(self, timeout_s: float | None) -> None:
        copy = self._send(timeout_s)
        self._copies.append(copy)
        copy.add_done_callback(self._note)

    def _note(self, copy: _Copy) -> None:
        with self._changed:
            self._ended.append(copy)
            self._changed.notify_all()
