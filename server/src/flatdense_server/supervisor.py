"""The service: its worker processes, its ports, its HTTP server, its end."""

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version as library_version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from flatdense_server.commands import Commands
from flatdense_server.custodian import Custodian
from flatdense_server.keeper import Keeper
from flatdense_server.listen import is_loopback, listen, reserve
from flatdense_server.observe.health.drift import Drift
from flatdense_server.observe.logs.access_log import make_access_log
from flatdense_server.observe.logs.log_writer import LogWriter
from flatdense_server.observe.metrics.board import Board
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.observe.traces.journey import Tracer, TracesUnavailable, open_tracer
from flatdense_server.post import (
    Answer,
    ControlWanted,
    Ended,
    Failed,
    FiguresWanted,
    Listening,
    Obeyed,
    Post,
    Ready,
    Renewed,
    Report,
)
from flatdense_server.security.certificates import TlsFiles
from flatdense_server.settings import Settings
from flatdense_server.signals import StopSignal, wait_for_item

if TYPE_CHECKING:
    from flatdense_server.http.backend import Backend
    from flatdense_server.http.context import Contexts
    from flatdense_server.http.server import HttpServer

log = logging.getLogger(__name__)

MARGIN_S: Final = 5.0
"""For a worker to end beyond the time that its calls have."""

TRACES_S: Final = 2.0
"""For the last spans to be sent."""

LONGEST_FOLDER: Final = 85
"""The path of a socket in it must have at most 103 bytes on every system."""


class ServiceFailed(Exception):
    """Nothing can be served. The message says why."""


class Supervisor:
    """Starts the workers side by side, replaces those that die, and drains them in the end.

    The constructor reads the credentials and binds the ports, before the seconds that loading
    takes, so that what is wrong there is known at once. It raises FileRefused and PortUnavailable.
    All else happens on the main thread, which run() is called on, but for what HTTP asks.
    """

    def __init__(self, settings: Settings, log_writer: LogWriter | None = None) -> None:
        """`log_writer` writes this process's log, where anybody does."""
        self._settings = settings
        self._started_s = time.monotonic()
        self._metrics = Metrics()
        if log_writer:
            log_writer.report_to(self._metrics.log_lines_dropped.inc)
        self._custodian = Custodian(find_tls(settings), settings.token_file, self._metrics)
        self._http_host = settings.http_host or settings.host
        self._http_listener = listen("http", self._http_host, settings.http_port)
        self._health_listener = (
            listen("plaintext-health", self._http_host, settings.plaintext_health_port)
            if settings.plaintext_health_port is not None
            else None
        )
        # Held, and never listened on: between two workers the port stays ours.
        self._reserved = reserve("grpc", settings.host, settings.grpc_port)
        self._inbox: SimpleQueue[tuple[int, Report] | None] = SimpleQueue()
        self._stop = StopSignal(lambda: self._inbox.put(None))
        self._contexts: Contexts | None = None
        self._boards = Boards(self._metrics.families)
        self._boards.add(self._metrics.board)
        self._drift = Drift(self._boards, self._metrics.health, window_s=settings.drift_window_s)
        self._listening: frozenset[int] = frozenset()
        self._ready: frozenset[int] = frozenset()
        self._served = False
        self._draining = False
        self._unloaded = False
        self._commands = Commands(lambda number, message: self._keepers[number - 1].send(message))
        self._tracer: Tracer | None = None
        self._folder = ""
        self._keepers = [
            Keeper(
                number,
                partial(self._make_process, number),
                boards=self._boards,
                tell=lambda number, report: self._inbox.put((number, report)),
            )
            for number in range(1, settings.workers + 1)
        ]

    def run(self) -> None:
        """Serves until SIGTERM or Ctrl-C, then drains. Raises ServiceFailed."""
        settings = self._settings
        if self._custodian.access and not self._custodian.context:
            warn_of_plaintext(settings.host, self._http_host)
        with make_folder() as folder, self._stop.caught():
            self._folder = folder
            log.info(
                "starting",
                extra={
                    "flatdense": library_version("flatdense-server"),
                    "model": settings.model_name,
                    "model_dir": str(settings.model_dir),
                    "workers": len(self._keepers),
                    "pid": os.getpid(),
                },
            )
            for keeper in self._keepers:
                keeper.start()
            self._custodian.start(lambda credentials: self._inbox.put((0, Renewed(credentials))))
            if settings.prediction_health:
                self._drift.start()
            with self._open_backend() as backend:
                servers = self._open_http(backend)
                try:
                    while note := wait_for_item(self._inbox):
                        self._hear(*note)
                    log.info(
                        "draining",
                        extra={
                            "signal": self._stop.name,
                            "drain_delay_s": settings.drain_delay_s,
                            "grace_s": settings.grace_s,
                        },
                    )
                finally:
                    began_s = time.monotonic()
                    self._custodian.stop()
                    self._drift.stop()
                    self._end()
                    for server in servers:
                        server.stop()
                    if self._tracer:
                        self._tracer.close(TRACES_S)
            log.info("stopped", extra={"drain_s": round(time.monotonic() - began_s, 1)})

    def _open_backend(self) -> "Backend":
        # Here and not above: the workers start while this is imported.
        from flatdense_server.http.backend import Backend  # noqa: PLC0415

        return Backend(
            self._settings.model_name,
            self._find_backends,
            lambda: self._draining,
            token=self._custodian.house_token,
        )

    def _open_http(self, backend: "Backend") -> "list[HttpServer]":
        from flatdense_server.http.app import make_app  # noqa: PLC0415
        from flatdense_server.http.probes import make_probes_app  # noqa: PLC0415
        from flatdense_server.http.server import HttpServer  # noqa: PLC0415
        from flatdense_server.observe.metrics.exposition import Exposition  # noqa: PLC0415

        self._tracer = self._open_tracer()
        exposition = Exposition(self._boards, self._metrics.families, self._find_processes)
        app = make_app(
            backend,
            exposition,
            max_request_rows=self._settings.max_request_rows,
            model_dir=self._settings.model_dir if self._settings.page else None,
            access=self._custodian.access,
            count_refused=lambda reason: self._metrics.rejected.labels(reason).inc(),
            access_log=make_access_log(self._settings.access_log_sample),
            tracer=self._tracer,
        )
        self._contexts = self._open_contexts()
        context = self._contexts.listening if self._contexts else None
        servers = [HttpServer(app, self._http_listener, context)]
        if self._health_listener:
            servers.append(HttpServer(make_probes_app(backend), self._health_listener))
        for server in servers:
            server.start()
        return servers

    def _open_tracer(self) -> Tracer | None:
        count_dropped = self._metrics.trace_spans_dropped.inc
        try:
            return open_tracer(self._settings.traces, count_dropped, **{"process.pid": os.getpid()})
        except TracesUnavailable as error:
            raise ServiceFailed(str(error)) from error

    def _open_contexts(self) -> "Contexts | None":
        if not self._custodian.context:
            return None
        from flatdense_server.http.context import Contexts  # noqa: PLC0415

        return Contexts(self._custodian.context)

    def _hear(self, number: int, report: Report) -> None:
        match report:
            case Listening():
                self._listening |= {number}
                if not self._served and len(self._listening) == len(self._keepers):
                    self._log_addresses()
            case Ready(facts):
                self._set_ready(self._ready | {number})
                self._greet(number, facts)
            case Failed(reason):
                self._hear_failure(number, reason)
            case FiguresWanted(token):
                self._keepers[number - 1].send(Answer(token, self._boards.read()))
            case ControlWanted(token, action):
                self._unloaded = action == "unload"
                self._commands.begin(number, token, action, self._ready)
            case Renewed():
                self._renew(report)
            case Obeyed(token, reason):
                self._commands.obeyed(number, token, reason)
            case Ended(cause, backoff_s):
                self._set_ready(self._ready - {number})
                self._commands.gone(number)
                self._metrics.worker_restarts.inc()
                log.error(
                    "worker ended",
                    extra={"worker": number, "cause": cause, "restart_in_s": backoff_s},
                )

    def _hear_failure(self, number: int, reason: str) -> None:
        if not self._served:
            raise ServiceFailed(reason)
        log.error("worker failed", extra={"worker": number, "reason": reason})

    def _renew(self, renewed: Renewed) -> None:
        """A worker that is about to be spawned gets these too: either way, or both."""
        for keeper in self._keepers:
            keeper.send(renewed)
        if self._contexts and self._custodian.context:
            self._contexts.replace(self._custodian.context)

    def _set_ready(self, ready: frozenset[int]) -> None:
        self._ready = ready
        self._metrics.workers.set(len(ready))

    def _greet(self, number: int, facts: Mapping[str, object]) -> None:
        """Says that the service is ready, when all workers are; later that one of them is."""
        if self._served:
            log.info("worker ready", extra={"worker": number, **facts})
        elif len(self._ready) == len(self._keepers):
            self._served = True
            startup_s = round(time.monotonic() - self._started_s, 2)
            log.info(
                "ready", extra={**facts, "workers": len(self._keepers), "startup_s": startup_s}
            )

    def _log_addresses(self) -> None:
        scheme = "https" if self._contexts else "http"
        http = f"{self._http_host}:{self._http_listener.getsockname()[1]}"
        health = self._health_listener
        probes = f"http://{self._http_host}:{health.getsockname()[1]}" if health else ""
        log.info(
            "listening",
            extra={
                "grpc": f"{self._settings.host}:{self._reserved.getsockname()[1]}",
                "page": f"{scheme}://{http}/",
                "metrics": f"{scheme}://{http}/metrics",
                **({"probes": probes} if probes else {}),
                "workers": len(self._keepers),
            },
        )

    def _find_backends(self) -> list[str]:
        """Where the workers are that answer calls now; none before all of them do.

        While the service drains they refuse calls by themselves, when their time has come.
        """
        if not self._served:
            return []
        return [self._backend(number) for number in sorted(self._ready)]

    def _find_processes(self) -> dict[str, int]:
        workers = {f"worker-{keeper.number}": keeper.pid for keeper in self._keepers}
        return {"supervisor": os.getpid(), **{name: pid for name, pid in workers.items() if pid}}

    def _backend(self, number: int) -> str:
        return f"unix:{self._folder}/worker-{number}"

    def _make_process(self, number: int, board: Board, supervisor: Connection) -> SpawnProcess:
        post = Post(
            number=number,
            grpc_port=self._reserved.getsockname()[1],
            backend=self._backend(number),
            board=board,
            supervisor=supervisor,
            relieves=self._served,
            unloaded=self._unloaded,
            credentials=self._custodian.credentials,
        )
        return get_context("spawn").Process(
            target=run_worker, args=(self._settings, post), name=f"worker-{number}", daemon=True
        )

    def _end(self) -> None:
        self._draining = True
        settings = self._settings
        for keeper in self._keepers:
            keeper.drain()
        until_s = time.monotonic() + settings.drain_delay_s + settings.grace_s + MARGIN_S
        for keeper in self._keepers:
            if not keeper.join(until_s - time.monotonic()):
                log.error("a worker did not end and was killed", extra={"worker": keeper.number})
                keeper.kill()
                keeper.join(MARGIN_S)
        self._reserved.close()


def find_tls(settings: Settings) -> TlsFiles | None:
    """Where the certificates are, if there are any."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return TlsFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def run_worker(settings: Settings, post: Post) -> None:
    """What a worker process runs."""
    # Here: the supervisor itself needs nothing of it.
    from flatdense_server.worker import work  # noqa: PLC0415

    work(settings, post)


def warn_of_plaintext(*hosts: str) -> None:
    """Says that tokens can be read on their way, where their way is a network."""
    open_hosts = sorted({host for host in hosts if not is_loopback(host)})
    if open_hosts:
        log.warning(
            "tokens are sent in plaintext: give --tls-cert, or see to it that something in front "
            "encrypts",
            extra={"hosts": ", ".join(open_hosts)},
        )


def make_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder for the workers' own sockets, which nobody else may enter."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="flatdense-")
    except OSError as error:
        raise ServiceFailed(
            f"no folder for temporary files: {error}. Name one that can be written in TMPDIR."
        ) from error
    if len(folder.name) > LONGEST_FOLDER:
        folder.cleanup()
        raise ServiceFailed(
            f"the path of {folder.name} is too long for sockets. Name a shorter folder in TMPDIR."
        )
    return folder
