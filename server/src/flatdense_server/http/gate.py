"""HTTP requests are let in by their tokens, before their bodies are read."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from flatdense_server.errors import Forbidden
from flatdense_server.http.errors import describe_error
from flatdense_server.security import tokens
from flatdense_server.security.access import HEADER, Access

OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""For probes and scrapers, which have no tokens. Paths as the router takes them, and no others."""

PAGE: Final = "/"
PAGE_FILES: Final = "/page/"
"""Open too: a browser must have the page to be asked for a token. They say nothing of the model."""

MODELS: Final = "/v2/models/"
READY: Final = "/ready"

REPOSITORY: Final = "/v2/repository/"

CHALLENGE: Final = MappingProxyType({"www-authenticate": "Bearer"})


class Gate:
    """An application around another one, which those alone reach who may.

    `count("unauthenticated")` and `count("forbidden")` are told of those who may not.
    """

    def __init__(self, app: ASGIApp, *, access: Access, count: Callable[[str], None]) -> None:
        self._app = app
        self._access = access
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one step of the server's life."""
        wanted = scope_of(scope["path"]) if scope["type"] == "http" else None
        error = wanted and self._access.judge(find_header(scope), wanted)
        if not error:
            await self._app(scope, receive, send)
        elif isinstance(error, Forbidden):
            self._count("forbidden")
            await describe_error(403, str(error))(scope, receive, send)
        else:
            self._count("unauthenticated")
            await describe_error(401, str(error), CHALLENGE)(scope, receive, send)


def scope_of(path: str) -> tokens.Scope | None:
    """What a token must be for; None where none is needed. What is not known needs one."""
    if path in OPEN or (path.startswith(MODELS) and path.endswith(READY)):
        return None
    if path == PAGE or path.startswith(PAGE_FILES):
        return None
    return "admin" if path.startswith(REPOSITORY) else "inference"


def find_header(scope: Scope) -> bytes | None:
    """The first such header."""
    for name, value in scope["headers"]:
        if name == HEADER.encode():
            found: bytes = value
            return found
    return None
