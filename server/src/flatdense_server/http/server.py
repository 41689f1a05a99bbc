"""The HTTP server, on a thread of its own."""

import threading
from socket import socket

import uvicorn
from starlette.applications import Starlette


class HttpServer:
    """Serves an application on a listening socket: start -> stop.

    It knows no signals: whoever owns the process does.
    """

    def __init__(self, app: Starlette, listener: socket) -> None:
        self._listener = listener
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, log_config=None, log_level="warning", access_log=False, lifespan="off"
            )
        )
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
