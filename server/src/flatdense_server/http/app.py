"""The HTTP routes."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from flatdense_server.http.backend import Backend, BackendUnavailable
from flatdense_server.http.page import render_page
from flatdense_server.observe.exposition import Exposition


def make_app(backend: Backend, exposition: Exposition) -> Starlette:
    """/ the page, /healthz (live), /readyz (ready), /metrics."""

    def page(_request: Request) -> Response:
        """What is served, for people."""
        return HTMLResponse(render_page(backend))

    async def healthz(_request: Request) -> Response:
        """Live: the process answers."""
        return JSONResponse({"live": True})

    def readyz(_request: Request) -> Response:
        """Ready: a call would be taken."""
        try:
            model = backend.get_model()
        except BackendUnavailable as error:
            return JSONResponse({"ready": False, "reason": str(error)}, status_code=503)
        return JSONResponse({"ready": True, "model": model.name, "version": model.version})

    def expose(request: Request) -> Response:
        """The metrics, for Prometheus."""
        body, content_type = exposition.expose(request.headers.get("accept", ""))
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
