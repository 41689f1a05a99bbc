"""The HTTP server, on a thread of its own."""

import ssl
import threading
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from flatdense_server.http.connection import Connection
from flatdense_server.http.limits import MAX_HEADER_BYTES

END_S: Final = 5
"""For what was begun, once the server stops: an upload may take longer than anybody waits."""


class HttpServer:
    """Serves an application on a listening socket: start -> stop.

    It knows no signals: whoever owns the process does.
    """

    def __init__(
        self, app: ASGIApp, listener: socket, context: ssl.SSLContext | None = None
    ) -> None:
        """Without a context nothing is encrypted."""
        # Connections have it from the listener. Without it a response waits 40 ms in the kernel for
        # the caller's word that it has the headers; asyncio does not see that this is TCP.
        listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._listener = listener
        config = uvicorn.Config(
            app,
            http=Connection,
            # Not whatever else is installed: uvloop accepts connections in its own way.
            loop="asyncio",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            timeout_graceful_shutdown=END_S,
        )
        config.load()
        config.ssl = context
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        """Answers requests from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answers what was begun, then ends."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])
