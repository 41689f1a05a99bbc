"""One HTTP connection: who says or takes nothing is not waited for; nor are there too many."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from flatdense_server.http.limits import IDLE_S, MAX_CONNECTIONS, TAKE_S


class Connection(H11Protocol):
    """uvicorn's own, which would wait for ever for the end of a request's headers."""

    _patience: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 -- uvicorn narrows asyncio's
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self.transport.abort()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        for timer in (self._patience, self._taking):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol: the caller takes less than it is sent."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._taking:
            self._taking.cancel()
        super().resume_writing()

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
            self.transport.close()  # once what is left was sent
            self._await_taking()

    def _await_taking(self) -> None:
        if self._taking:
            self._taking.cancel()
        self._taking = self.loop.call_later(TAKE_S, self.transport.abort)
