"""One serving process: start -> load -> serve -> drain -> stop."""

import gc
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from flatdense_artifact import ArtifactError, list_versions

from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.lane import LaneUnavailable
from flatdense_server.edge.scribe import make_scribe
from flatdense_server.edge.server import EdgeOptions, GrpcServer
from flatdense_server.edge.tls import ServerTls
from flatdense_server.engine.choice import EngineChoice, EngineOptions
from flatdense_server.engine.cpus import usable_cpus
from flatdense_server.engine.engine import EngineError
from flatdense_server.liaison import Liaison
from flatdense_server.listen import PortUnavailable
from flatdense_server.models.attempts import Attempts
from flatdense_server.models.follower import Follower, NoUsableVersion
from flatdense_server.models.loader import Loader
from flatdense_server.models.orders import Order, Orders
from flatdense_server.models.pace import Pace
from flatdense_server.models.policy import PolicyInvalid
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.models.shadow import Shadow
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.health.observer import Observer
from flatdense_server.observe.logs.access_log import make_access_log
from flatdense_server.observe.logs.log_writer import LogWriter
from flatdense_server.observe.logs.logs import configure_logs
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.observe.traces.journey import TracesUnavailable, open_tracer
from flatdense_server.post import Failed, Listening, Post, Ready
from flatdense_server.security.access import Access
from flatdense_server.security.credentials import Credentials
from flatdense_server.settings import Settings
from flatdense_server.signals import StopSignal

log = logging.getLogger(__name__)

TRACES_S: Final = 2.0
"""For the last spans to be sent."""

JOIN_S: Final = 1.0
"""For the follower to end; one that is compiling a version is not waited for."""

EXPECTED: Final = (
    ArtifactError,
    EngineError,
    LaneUnavailable,
    NoUsableVersion,
    PolicyInvalid,
    PortUnavailable,
    TracesUnavailable,
)
"""Why nothing can be served, in words that are for the operator."""

EXIT_FAILURE: Final = 1


def work(settings: Settings, post: Post) -> None:
    """The whole life of a worker process. On its main thread."""
    log_writer = configure_logs(settings.log_format, settings.log_level, worker=post.number)
    liaison = Liaison(post.supervisor)
    try:
        worker = Worker(settings, post, liaison, log_writer)
        worker.run()
    except EXPECTED as error:
        liaison.report(Failed(str(error)))
        sys.exit(EXIT_FAILURE)
    except Exception:
        log.exception("the worker failed")
        sys.exit(EXIT_FAILURE)
    if worker.loading:
        # Nothing was accepted yet, and compiled code on another thread cannot be interrupted.
        logging.shutdown()
        os._exit(0)


class Worker:
    """Wires the floors of one process, and runs them until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        post: Post,
        liaison: Liaison,
        log_writer: LogWriter | None = None,
    ) -> None:
        """`log_writer` writes this process's log, where anybody does.

        Raises NoVersions, and TracesUnavailable.
        """
        list_versions(settings.model_dir)
        self._settings = settings
        self._post = post
        self._liaison = liaison
        self._stop = StopSignal()
        self._metrics = Metrics(post.board)
        if log_writer:
            log_writer.report_to(self._metrics.log_lines_dropped.inc)
        self._tracer = open_tracer(
            settings.traces,
            self._metrics.trace_spans_dropped.inc,
            **{"process.pid": os.getpid(), "flatdense.worker": post.number},
        )
        self._statuses = Statuses(settings.model_name, self._metrics)
        self._registry = Registry(
            settings.model_name,
            max_request_rows=settings.max_request_rows,
            statuses=self._statuses,
            batch_wait_us=settings.batch_wait_us,
        )
        tokens, certificates = post.credentials.tokens, post.credentials.certificates
        self._access = Access(tokens) if tokens else None
        self._tls = ServerTls(certificates) if certificates else None
        self._grpc: GrpcServer | None = None
        self._observer = (
            Observer(self._metrics.health, low_confidence=settings.low_confidence)
            if settings.prediction_health
            else None
        )
        self._orders = Orders()
        self._following = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._load_error: BaseException | None = None
        self._orphaned = False

    @property
    def loading(self) -> bool:
        """Whether a version is being compiled now, which cannot be interrupted."""
        return self._following.is_alive()

    def run(self) -> None:
        """Serves until SIGTERM, Ctrl-C or the supervisor's end, then drains. On the main thread.

        Raises one of EXPECTED where nothing can be served.
        """
        with self._stop.caught():
            threading.Thread(target=self._heed, name="supervisor", daemon=True).start()
            if not self._post.relieves:
                self._listen()
            self._following.start()
            self._stop.wait()
            if self._load_error:
                raise self._load_error
            self._drain()

    def _heed(self) -> None:
        """Stops when the supervisor is gone: nobody would replace or drain this process."""
        self._liaison.listen(self._obey, self._renew)
        log.error("the supervisor is gone: draining")
        self._orphaned = True
        self._stop.set()

    def _obey(self, order: Order) -> None:
        """Has an order done, and says so when health tells it too."""

        def done(reason: str) -> None:
            if self._grpc:
                self._grpc.health.set_serving(serving=self._registry.ready)
            order.done(reason)

        self._orders.put(Order(order.action, done))

    def _renew(self, credentials: Credentials) -> None:
        """What was let in stays; who comes from now on meets these."""
        if self._access and credentials.tokens:
            self._access.replace(credentials.tokens)
        if self._tls and credentials.certificates:
            self._tls.replace(credentials.certificates)

    def _listen(self) -> GrpcServer:
        server = GrpcServer(
            edge_options(self._settings, self._post),
            registry=self._registry,
            metrics=self._metrics,
            figures=self._liaison.figures,
            control=self._liaison if self._settings.model_control else None,
            access=self._access,
            tls=self._tls,
            scribe=make_scribe(make_access_log(self._settings.access_log_sample), self._tracer),
        )
        server.start()
        self._grpc = server
        self._liaison.report(Listening())
        return server

    def _follow(self) -> None:
        """Loads the first version, opens the doors, and watches for others; on its own thread."""
        settings, started_s = self._settings, time.monotonic()
        try:
            follower = self._make_follower()
            servable = follower.begin()
            server = self._grpc or self._listen()
        except Exception as error:  # noqa: BLE001 -- run() raises it on the main thread
            self._load_error = error
            self._stop.set()
            return
        # What is there now stays: the collector need not walk it again while callers wait.
        gc.collect()
        gc.freeze()
        # Calls make no cycles. With thousands of them alive, each look for some takes milliseconds.
        gc.set_threshold(50_000, 20, 1000)
        if self._post.unloaded:
            follower.unload()
        server.health.set_serving(serving=self._registry.ready)
        metrics = servable.facts.metrics
        ready = {
            "model": servable.name,
            "version": servable.version,
            "engine": servable.engine_spec.name,
            "device": servable.engine_spec.device,
            "lane": server.lane,
            "test_accuracy": metrics.test_accuracy if metrics else None,
            "load_s": round(time.monotonic() - started_s, 2),
        }
        self._liaison.report(Ready(ready))
        follower.watch(self._orders, settings.poll_interval_s)

    def _make_follower(self) -> Follower:
        settings, metrics, statuses = self._settings, self._metrics, self._statuses
        choice = EngineChoice(
            engine_options(settings),
            on_compile=lambda phase: metrics.compilations.labels(phase).inc(),
            rest=Pace(lambda: self._registry.ready).rest,
        )
        loader = Loader(
            settings.model_dir,
            settings.model_name,
            cache_dir=settings.cache_dir.expanduser(),
            open_engine=choice.open,
            statuses=statuses,
            metrics=metrics,
        )
        shadow = self._make_shadow()
        limits = queue_limits(settings)
        return Follower(
            settings.model_dir,
            registry=self._registry,
            attempts=Attempts(settings.model_dir, loader),
            make_servable=lambda loaded: Servable(
                settings.model_name,
                loaded,
                limits=limits,
                metrics=metrics,
                shadow=shadow,
                observer=self._observer,
                tracer=self._tracer,
                batch_wait_s=settings.batch_wait_us / 1e6,
            ),
            statuses=statuses,
            metrics=metrics,
            shadow=shadow,
        )

    def _make_shadow(self) -> Shadow | None:
        settings, registry = self._settings, self._registry
        if settings.shadow_version is None:
            return None
        return Shadow(
            settings.model_name,
            settings.shadow_version,
            fraction=settings.shadow_fraction,
            is_idle=lambda: registry.idle,
            statuses=self._statuses,
            metrics=self._metrics,
        )

    def _drain(self) -> None:
        settings = self._settings
        self._orders.close()
        if self._grpc:
            self._grpc.health.drain()
            time.sleep(settings.drain_delay_s)
            self._registry.drain()
            if not self._grpc.stop(settings.grace_s):
                log.warning("calls were cut off", extra={"grace_s": settings.grace_s})
        if self._observer:
            self._observer.close()
        if self._tracer:
            self._tracer.close(TRACES_S)
        self._following.join(JOIN_S)
        if not self.loading:
            self._registry.close()
        if self._orphaned:
            with suppress(OSError):  # the last worker finds the folder of their sockets empty
                Path(self._post.backend.removeprefix("unix:")).parent.rmdir()


def engine_options(settings: Settings) -> EngineOptions:
    """The settings that an engine obeys."""
    return EngineOptions(
        engine=settings.engine,
        device=settings.device,
        max_batch_rows=settings.max_batch_rows,
        threads=max(1, usable_cpus() // settings.workers),
        cache_dir=settings.cache_dir.expanduser(),
    )


def edge_options(settings: Settings, post: Post) -> EdgeOptions:
    """The settings that the gRPC server obeys."""
    return EdgeOptions(
        host=settings.host,
        port=post.grpc_port,
        share_port=True,
        backend=post.backend,
        max_request_rows=settings.max_request_rows,
        max_inflight=settings.max_inflight,
        max_streams=settings.max_streams,
        max_connections=settings.max_connections,
        max_connection_age_s=settings.max_connection_age_s,
        max_connection_age_grace_s=settings.max_connection_age_grace_s,
        reflection=settings.reflection,
        lane=settings.lane,
        queue=queue_limits(settings),
        max_batch_rows=settings.max_batch_rows,
        batch_wait_s=settings.batch_wait_us / 1e6,
    )


def queue_limits(settings: Settings) -> QueueLimits:
    """When a queue says no."""
    return QueueLimits(max_rows=settings.max_queued_rows, max_tasks=settings.max_queued_rows)
