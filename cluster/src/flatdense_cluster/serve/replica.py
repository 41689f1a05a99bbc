"""One of the replicas: a server of its own, asked by the door in the server's own words."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
import grpc.aio
import httpx
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flatdense_cluster.serve.envelope import OK, Answer, Opening, pack_trailers
from flatdense_cluster.serve.server import Server

log = logging.getLogger("ray.serve")

REPORT_S: Final = 2.0
"""Between two reports of metrics."""

SCRAPE_S: Final = 5.0

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

CHANNEL_OPTIONS: Final = (
    # The server's limit counts, which says in rows what is too much.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The caller retries, and the door: a third one in between would only wait.
    ("grpc.enable_retries", 0),
)


class Replica:
    """Holds a server, and passes on to it what the door hands over, byte for byte.

    Serve makes it, calls it, and ends it, all on one event loop. A replica that cannot be made says
    why in the error that Serve shows.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, options: Mapping[str, object], meter: DeploymentHandle[Any]
    ) -> None:
        self._meter = meter
        self._name = serve.get_replica_context().replica_id.unique_id
        self._server = await Server.start(options)
        self._channel = grpc.aio.insecure_channel(self._server.address, options=CHANNEL_OPTIONS)
        self._reporting = asyncio.create_task(self._report())

    async def __del__(self) -> None:
        """Ends the server, when every call that Serve let in is answered."""
        if server := getattr(self, "_server", None):
            self._reporting.cancel()
            await self._channel.close()
            await server.stop()

    async def check_health(self) -> None:
        """Raises where nothing can answer here: Serve puts another replica in this one's place."""
        self._server.check()

    async def __call__(self, request: Request) -> Response:
        """What Serve's HTTP port has: the metrics of all replicas."""
        if request.url.path.rstrip("/") != "/metrics":
            return PlainTextResponse("Here is /metrics alone; calls go by gRPC.\n", 404)
        return Response(await self._meter.expose.remote(), media_type=METRICS_TYPE)

    async def answer(self, opening: Opening) -> Answer:
        """One call with one answer."""
        call = self._channel.unary_unary(opening.method)(
            opening.body, timeout=opening.remaining_s, metadata=opening.metadata
        )
        try:
            body = await call
        except grpc.aio.AioRpcError as error:
            return explain(error)
        return Answer(body, OK, "", pack_trailers(await call.trailing_metadata()))

    async def converse(self, requests: AsyncIterator[Opening | bytes]) -> AsyncIterator[Answer]:
        """One call with any number of requests and answers."""
        opening = await anext(requests)
        assert isinstance(opening, Opening)  # noqa: S101 -- the door begins with it
        call = self._channel.stream_stream(opening.method)(
            requests, timeout=opening.remaining_s, metadata=opening.metadata
        )
        try:
            async for body in call:
                yield Answer(body)
        except grpc.aio.AioRpcError as error:
            yield explain(error)
        else:
            yield Answer(None, OK, "", pack_trailers(await call.trailing_metadata()))
        finally:
            call.cancel()

    async def _report(self) -> None:
        """Tells the meter what is measured here, as long as this replica lives."""
        async with httpx.AsyncClient(timeout=SCRAPE_S) as client:
            while True:
                try:
                    scraped = await client.get(self._server.metrics_url)
                    await self._meter.report.remote(self._name, scraped.text)
                except Exception as error:  # noqa: BLE001 -- metrics must not end a replica
                    log.warning("no metrics could be reported: %s", error)
                await asyncio.sleep(REPORT_S)


def explain(error: grpc.aio.AioRpcError) -> Answer:
    """The end of a call that the server refused."""
    trailers = pack_trailers(error.trailing_metadata())
    return Answer(None, error.code().value[0], error.details() or "", trailers)
