"""One HTTP connection: those that say nothing are not waited for, nor are there too many."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from flatdense_server.http.limits import IDLE_S, MAX_CONNECTIONS


class Connection(H11Protocol):
    """uvicorn's own, which would wait for ever for the end of a request's headers."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 -- uvicorn narrows asyncio's
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self.transport.abort()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._patience:
            self._patience.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """See H11Protocol."""
        super().on_response_complete()
        self._await_request()

    def _await_request(self) -> None:
        if self._patience:
            self._patience.cancel()
        self._patience = self.loop.call_later(IDLE_S, self._give_up)

    def _give_up(self) -> None:
        # A request that came meanwhile is bounded by itself, and another wait follows it.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
