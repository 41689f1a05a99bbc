"""The HTTP routes."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from flatdense_server.http.backend import Backend, BackendUnavailable
from flatdense_server.http.errors import HANDLERS
from flatdense_server.http.exchange import JSON, Exchange, encode
from flatdense_server.http.limits import Limits
from flatdense_server.http.open_inference import OpenInference
from flatdense_server.http.openapi import describe_api
from flatdense_server.http.page import render_page
from flatdense_server.http.tf_serving import TensorflowServing
from flatdense_server.observe.exposition import Exposition


def make_app(backend: Backend, exposition: Exposition, *, max_request_rows: int) -> Starlette:
    """/ the page, /healthz (live), /readyz (ready), /metrics; /v2 and /v1 REST, /openapi.json."""

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

    async def openapi(_request: Request) -> Response:
        """All of this, for programs."""
        return Response(description, headers={**JSON})

    description = encode(describe_api(backend.model_name))
    limits = Limits(max_request_rows=max_request_rows)
    exchange = Exchange(backend, limits)
    return Starlette(
        routes=[
            Route("/", page),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", expose),
            Route("/openapi.json", openapi),
            *OpenInference(exchange, limits).routes(),
            *TensorflowServing(exchange, limits).routes(),
        ],
        exception_handlers={**HANDLERS},
    )
