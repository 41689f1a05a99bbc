"""One of the replicas: a server of its own, asked by the door in the server's own words."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

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

REACH_S: Final = 3.0
"""So long calls wait for a server whose worker was killed: then another replica is asked."""

REPORT_S: Final = 2.0
"""Between two reports of metrics."""

SCRAPE_S: Final = 5.0

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Ask: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
Converse: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"

CHANNEL_OPTIONS: Final = (
    # The server's limit counts, which says in rows what is too much.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The caller retries, and the door: a third one in between would only wait.
    ("grpc.enable_retries", 0),
    # A worker that was killed is back within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


class Replica:
    """Holds a server, and passes on to it what the door hands over, byte for byte.

    While the server replaces a worker that was killed, calls wait here for a while: a replica that
    refused them at once would seem idle, and draw all the others.

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
        self._tasks = [asyncio.create_task(self._report()), asyncio.create_task(self._watch())]

    async def __del__(self) -> None:
        """Ends the server, when every call that Serve let in is answered."""
        if server := getattr(self, "_server", None):
            for task in self._tasks:
                task.cancel()
            await self._channel.close()
            await server.stop()

    async def __call__(self, request: Request) -> Response:
        """What Serve's HTTP port has: the metrics of all replicas."""
        if request.url.path.rstrip("/") != "/metrics":
            return PlainTextResponse("Here is /metrics alone; calls go by gRPC.\n", 404)
        return Response(await self._meter.expose.remote(), media_type=METRICS_TYPE)

    async def answer(self, opening: Opening) -> Answer:
        """One call with one answer."""
        ask: Ask = self._channel.unary_unary(opening.method)
        await self._reach()
        call = ask(opening.body, timeout=opening.remaining_s, metadata=opening.metadata)
        try:
            body = await call
        except grpc.aio.AioRpcError as error:
            return explain(error)
        return Answer(body, OK, "", pack_trailers(await call.trailing_metadata()))

    async def converse(self, requests: AsyncIterator[Any]) -> AsyncIterator[Answer]:
        """One call with any number of requests, bytes after an Opening, and of answers."""
        opening = await anext(requests)
        assert isinstance(opening, Opening)  # noqa: S101 -- the door begins with it
        ask: Converse = self._channel.stream_stream(opening.method)
        await self._reach()
        call = ask(requests, timeout=opening.remaining_s, metadata=opening.metadata)
        try:
            async for body in call:
                yield Answer(body)
        except grpc.aio.AioRpcError as error:
            yield explain(error)
        else:
            yield Answer(None, OK, "", pack_trailers(await call.trailing_metadata()))
        finally:
            call.cancel()

    async def _reach(self) -> None:
        """Returns when the server can be asked, or has not been there for a while."""
        if self._channel.get_state() is not grpc.ChannelConnectivity.READY:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._channel.channel_ready(), REACH_S)

    async def _watch(self) -> None:
        """Ends with the server: Serve puts another replica here at once, the door asks others."""
        log.error("a replica ends with its server: %s", await self._server.wait())
        os._exit(1)

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
