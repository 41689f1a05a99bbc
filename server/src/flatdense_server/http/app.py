"""The HTTP routes."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from flatdense_server.errors import RequestError
from flatdense_server.http.page import render_page
from flatdense_server.models.registry import Registry
from flatdense_server.observe.metrics import Metrics


def make_app(registry: Registry, metrics: Metrics) -> Starlette:
    """/ the page, /healthz (live), /readyz (ready), /metrics."""

    async def page(_request: Request) -> Response:
        """What is served, for people."""
        return HTMLResponse(render_page(registry))

    async def healthz(_request: Request) -> Response:
        """Live: the process answers."""
        return JSONResponse({"live": True})

    async def readyz(_request: Request) -> Response:
        """Ready: a call would be taken."""
        try:
            servable = registry.resolve()
        except RequestError as error:
            return JSONResponse({"ready": False, "reason": str(error)}, status_code=503)
        return JSONResponse({"ready": True, "model": servable.name, "version": servable.version})

    async def expose(request: Request) -> Response:
        """The metrics, for Prometheus."""
        body, content_type = metrics.expose(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", expose),
        ],
        exception_handlers={HTTPException: answer_error, Exception: answer_fault},
    )


async def answer_error(request: Request, error: Exception) -> Response:
    """What starlette itself refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- starlette calls it for nothing else
    message = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse({"error": message}, status_code=error.status_code, headers=error.headers)


async def answer_fault(_request: Request, _error: Exception) -> Response:
    """A fault of the server: the log has the traceback, the caller does not."""
    return JSONResponse({"error": "the server failed; its log has the cause."}, status_code=500)
