"""One serving process: start -> load -> serve -> drain -> stop."""

import gc
import logging
import threading
import time
from importlib.metadata import version as library_version
from typing import Final

from flatdense_artifact import list_versions

from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.server import EdgeOptions, GrpcServer
from flatdense_server.engine.choice import EngineChoice, EngineOptions
from flatdense_server.http.app import make_app
from flatdense_server.http.server import HttpServer
from flatdense_server.listen import listen
from flatdense_server.models.attempts import Attempts
from flatdense_server.models.follower import Follower
from flatdense_server.models.loader import Loader
from flatdense_server.models.pace import Pace
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.models.shadow import Shadow
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.metrics import Metrics
from flatdense_server.settings import Settings
from flatdense_server.signals import StopSignal

log = logging.getLogger(__name__)

JOIN_S: Final = 1.0
"""For the follower to end; one that is compiling a version is not waited for."""


class Worker:
    """Wires the floors of one process, and runs them until it is told to stop.

    The constructor binds the ports, before the seconds that loading takes, so that one in use is
    known at once. It raises NoVersions or PortUnavailable.
    """

    def __init__(self, settings: Settings) -> None:
        list_versions(settings.model_dir)
        self._settings = settings
        self._stop = StopSignal()
        self._metrics = Metrics()
        self._statuses = Statuses(settings.model_name, self._metrics)
        self._registry = Registry(
            settings.model_name,
            max_request_rows=settings.max_request_rows,
            statuses=self._statuses,
        )
        listener = listen("http", settings.host, settings.http_port)
        self._http = HttpServer(make_app(self._registry, self._metrics), listener)
        self._grpc = GrpcServer(
            edge_options(settings), registry=self._registry, metrics=self._metrics
        )
        self._ending = threading.Event()
        self._following = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._load_error: BaseException | None = None

    @property
    def loading(self) -> bool:
        """Whether a version is being compiled now, which cannot be interrupted."""
        return self._following.is_alive()

    def run(self) -> None:
        """Serves until SIGTERM or Ctrl-C, then drains. On the main thread.

        Raises ArtifactError, EngineError or NoUsableVersion where nothing can be served.
        """
        with self._stop.caught():
            self._start()
            self._stop.wait()
            if self._load_error:
                raise self._load_error
            self._drain()

    def _start(self) -> None:
        host = self._settings.host
        self._http.start()
        self._grpc.start()
        log.info(
            "listening",
            extra={
                "grpc": f"{host}:{self._grpc.port}",
                "page": f"http://{host}:{self._http.port}/",
                "metrics": f"http://{host}:{self._http.port}/metrics",
                "lane": self._grpc.lane,
                "flatdense": library_version("flatdense-server"),
            },
        )
        self._following.start()

    def _follow(self) -> None:
        """Loads the first version, opens the doors, and watches for others; on its own thread."""
        settings, started_s = self._settings, time.monotonic()
        try:
            follower = self._make_follower()
            servable = follower.begin()
        except Exception as error:  # noqa: BLE001 -- run() raises it on the main thread
            self._load_error = error
            self._stop.set()
            return
        # What is there now stays: the collector need not walk it again while callers wait.
        gc.collect()
        gc.freeze()
        self._grpc.health.set_serving()
        metrics = servable.facts.metrics
        log.info(
            "ready",
            extra={
                "model": servable.name,
                "version": servable.version,
                "engine": servable.engine_spec.name,
                "device": servable.engine_spec.device,
                "test_accuracy": metrics.test_accuracy if metrics else None,
                "startup_s": round(time.monotonic() - started_s, 1),
            },
        )
        follower.watch(self._ending, settings.poll_interval_s)

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
        settings, started_s = self._settings, time.monotonic()
        log.info("draining", extra={"signal": self._stop.name, "grace_s": settings.grace_s})
        self._ending.set()
        self._grpc.health.drain()
        time.sleep(settings.drain_delay_s)
        self._registry.drain()
        finished = self._grpc.stop(settings.grace_s)
        self._http.stop()
        self._following.join(JOIN_S)
        if not self.loading:
            self._registry.close()
        if not finished:
            log.warning("calls were cut off", extra={"grace_s": settings.grace_s})
        log.info("stopped", extra={"drain_s": round(time.monotonic() - started_s, 1)})


def engine_options(settings: Settings) -> EngineOptions:
    """The settings that an engine obeys."""
    return EngineOptions(
        engine=settings.engine,
        device=settings.device,
        max_batch_rows=settings.max_batch_rows,
        cache_dir=settings.cache_dir.expanduser(),
    )


def edge_options(settings: Settings) -> EdgeOptions:
    """The settings that the gRPC server obeys."""
    return EdgeOptions(
        host=settings.host,
        port=settings.grpc_port,
        max_request_rows=settings.max_request_rows,
        max_inflight=settings.max_inflight,
        max_streams=settings.max_streams,
        reflection=settings.reflection,
        lane=settings.lane,
        queue=queue_limits(settings),
        max_batch_rows=settings.max_batch_rows,
        batch_wait_s=settings.batch_wait_us / 1e6,
    )


def queue_limits(settings: Settings) -> QueueLimits:
    """When a queue says no."""
    return QueueLimits(max_rows=settings.max_queued_rows, max_tasks=settings.max_queued_rows)
