"""The HTTP routes."""

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flatdense_server.http.backend import Backend
from flatdense_server.http.errors import HANDLERS
from flatdense_server.http.exchange import JSON, Exchange, encode
from flatdense_server.http.gate import Gate
from flatdense_server.http.limits import Limits
from flatdense_server.http.native import Native
from flatdense_server.http.open_inference import OpenInference
from flatdense_server.http.openapi import describe_api
from flatdense_server.http.page.page import Page
from flatdense_server.http.probes import Probes
from flatdense_server.http.tf_serving import TensorflowServing
from flatdense_server.http.threads import Threads
from flatdense_server.http.trail import Trail
from flatdense_server.observe.logs.access_log import AccessLog
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.traces.journey import Tracer
from flatdense_server.security.access import Access


def make_app(
    backend: Backend,
    exposition: Exposition,
    *,
    max_request_rows: int,
    model_dir: Path | None = None,
    access: Access | None = None,
    count_refused: Callable[[str], None] = lambda _reason: None,
    access_log: AccessLog | None = None,
    tracer: Tracer | None = None,
) -> Trail:
    """/ the page, /healthz (live), /readyz (ready), /metrics; /v2 and /v1 REST, /openapi.json.

    The page shows weights and reports out of `model_dir`; without it there is no page. Without
    `access` nobody needs a token. `count_refused` gets why each request was not let in.
    `access_log` and `tracer` are told of requests, but for probes and scrapes.
    """

    async def expose(request: Request) -> Response:
        """The metrics, for Prometheus."""
        accept, since = request.headers.get("accept", ""), exposition.begun
        body, content_type = await scraping.run(exposition.expose, accept, since)
        return Response(body, headers={"content-type": content_type})

    async def openapi(_request: Request) -> Response:
        """All of this, for programs."""
        return Response(description, headers={**JSON})

    described = describe_api(
        backend.model_name, has_page=model_dir is not None, wants_tokens=access is not None
    )
    description = encode(described)
    scraping = Threads(1)  # however many scrape, the other threads are for others
    limits = Limits(max_request_rows=max_request_rows)
    exchange = Exchange(backend, limits)
    app = Starlette(
        routes=[
            *(Page(exchange, model_dir).routes() if model_dir else ()),
            *Probes(backend).routes(),
            Route("/metrics", expose),
            Route("/openapi.json", openapi),
            *OpenInference(exchange, limits).routes(),
            *TensorflowServing(exchange, limits).routes(),
            *Native(exchange, limits).routes(),
        ],
        exception_handlers={**HANDLERS},
        middleware=[Middleware(Gate, access=access, count=count_refused)] if access else [],
    )
    return Trail(app, model_name=backend.model_name, access_log=access_log, tracer=tracer)
