"""What is known of each request by HTTP when it is over: its id, its line, its span."""

import logging
import random
import re
import time
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from flatdense_server.http.caller import (
    ASK_TIMING,
    CALLER,
    TIMING,
    TIMING_WANTED,
    Caller,
    Metadata,
)
from flatdense_server.observe.logs.access_log import AccessLog
from flatdense_server.observe.traces.journey import TRACESTATE, Journey, Tracer
from flatdense_server.observe.traces.passage import Passage
from flatdense_server.observe.traces.traceparent import TRACEPARENT, find_trace
from flatdense_server.request_id import HEADER, accept_request_id, make_request_id
from flatdense_server.selector import NOBODY, Answerer
from flatdense_server.tensors import Ran

log = logging.getLogger(__name__)

UNTOLD: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Probes and scrapes, which come for ever: nobody wants to read of each."""

FAILED: Final = 400
"""From this status on a response is an error's."""

GONE: Final = "499"
"""The status of a request whose caller did not wait for one."""

LONGEST_PATH: Final = 200

TIMED: Final = re.compile(
    r"queue;dur=([\d.]+), compute;dur=([\d.]+), .*batch;desc=(\d+), rows;desc=(\d+), "
    r"version;desc=(\d+)"
)

MS_IN_S: Final = 1e3


class Visit:
    """One request by HTTP, until it is over."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._arrived_s = time.monotonic()
        self.headers = read_headers(scope)
        given = next((value for name, value in self.headers if name == HEADER), None)
        self._is_named = given is not None
        self.request_id = make_request_id() if given is None else accept_request_id(given)
        self.wants_timing = any(name == TIMING_WANTED for name, _ in self.headers)
        self._code = GONE

    @property
    def method(self) -> str:
        """The method, and the route: or the path, before a route is found and where there is none.

        Routes are few, whatever strangers ask for.
        """
        route = self._scope.get("route")
        path: str = route.path if isinstance(route, Route) else self._scope["path"]
        return f"{self._scope['method']} {path[:LONGEST_PATH]}"

    def name(self, send: Send, caller: Caller) -> Send:
        """Sends the id with what must have it, and what a worker said of its time to who asked."""

        async def send_named(message: Message) -> None:
            """A part of the response."""
            if message["type"] == "http.response.start":
                self._code = str(message["status"])
                more = []
                if self._is_named or message["status"] >= FAILED:
                    more.append((HEADER.encode(), self.request_id.encode()))
                if self.wants_timing and caller.timing:
                    more.append((TIMING.encode(), caller.timing.encode()))
                if more:
                    message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        return send_named

    def describe(self, model_name: str, timing: str) -> Passage:
        """What became of it. `timing` is what a worker said, if one was asked."""
        answerer, rows, ran = read_timing(timing, model_name, self._arrived_s)
        return Passage(
            kind="http",
            method=self.method,
            answerer=answerer,
            code=self._code,
            rows=rows,
            arrived_s=self._arrived_s,
            ended_s=time.monotonic(),
            ran=ran,
            peer=describe_peer(self._scope),
            request_id=self.request_id,
        )


class Trail:
    """An application around the other ones.

    - Each request has an id: its caller's, or a new one. Every error has it in a header, and the
      answer to a caller that sent one. Workers are told it, and the trace that it is part of.
    - What fails unexpectedly is logged with it, and goes no further.
    - Some requests have a line in the access log, and a span.
    """

    def __init__(
        self,
        app: Starlette,
        *,
        model_name: str,
        access_log: AccessLog | None,
        tracer: Tracer | None,
    ) -> None:
        self.app: Final = app
        """The one that it is around."""
        self._model_name = model_name
        self._access_log = access_log
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one step of the server's life."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit, is_told = Visit(scope), scope["path"] not in UNTOLD
        tracer = self._tracer if is_told else None
        journey = tracer.begin(visit.method, visit.headers) if tracer else None
        access_log = self._access_log if is_told and self._is_drawn() else None
        named = ((HEADER, visit.request_id), *self._pass_on(visit.headers, journey))
        is_timed = access_log or visit.wants_timing
        caller = Caller((*named, *ASK_TIMING) if is_timed else named)
        token = CALLER.set(caller)
        try:
            await self.app(scope, receive, visit.name(send, caller))
        except Exception:
            # The caller has its status 500 by now.
            log.exception(
                "request failed", extra={"method": visit.method, "request_id": visit.request_id}
            )
        finally:
            CALLER.reset(token)
            if tracer and journey:
                tracer.end(journey, visit.describe(self._model_name, caller.timing))
            if access_log:
                trace = journey or find_trace(visit.headers)
                access_log.write(
                    visit.describe(self._model_name, caller.timing),
                    trace.trace_id if trace else None,
                )

    def _is_drawn(self) -> bool:
        return self._access_log is not None and self._access_log.is_drawn()

    def _pass_on(self, headers: Metadata, journey: Journey | None) -> Metadata:
        """The trace that workers are told of."""
        state = tuple((name, value) for name, value in headers if name == TRACESTATE)
        if journey:
            return ((TRACEPARENT, journey.traceparent), *state)
        if given := tuple((name, value) for name, value in headers if name == TRACEPARENT):
            return (*given, *state)
        if self._tracer is None:
            return ()
        # It was decided that no trace is kept: that holds for the worker too.
        return ((TRACEPARENT, f"00-{random_id(128):032x}-{random_id(64):016x}-00"),)


def random_id(bits: int) -> int:
    """Of a trace or a span; never 0."""
    return random.getrandbits(bits) or 1


def read_headers(scope: Scope) -> Metadata:
    """Those that a request's id and trace come in, and the wish for its time."""
    names = (HEADER, TRACEPARENT, TRACESTATE, TIMING_WANTED)
    wanted = {name.encode(): name for name in names}
    return tuple(
        (wanted[name], value.decode("latin-1"))
        for name, value in scope["headers"]
        if name in wanted
    )


def describe_peer(scope: Scope) -> str:
    """The caller's address, as gRPC writes it."""
    if not scope.get("client"):
        return ""
    host, port = scope["client"][:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def read_timing(timing: str, model: str, arrived_s: float) -> tuple[Answerer, int, Ran | None]:
    """Who answered, how many rows there were, and when they ran, by what a worker said."""
    found = TIMED.fullmatch(timing)
    if not found:
        return NOBODY, 0, None
    queue_s, compute_s = (float(ms) / MS_IN_S for ms in found.groups()[:2])
    batch_rows, rows, version = found.groups()[2:]
    return (model, version), int(rows), Ran(arrived_s + queue_s, compute_s, int(batch_rows))
