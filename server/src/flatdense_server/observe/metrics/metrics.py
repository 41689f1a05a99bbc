"""The Prometheus metrics, all in one place: names, units and help."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as library_version
from platform import python_version
from typing import Final

from flatdense_server.observe.health.health_metrics import HealthMetrics
from flatdense_server.observe.metrics.board import Board
from flatdense_server.observe.metrics.grpc_server import GrpcServerMetrics, labels_of
from flatdense_server.observe.metrics.instruments import (
    Counter,
    Exemplars,
    Family,
    Histogram,
    Labelled,
    Writer,
    tally,
)
from flatdense_server.observe.traces.traceparent import TraceContext
from flatdense_server.selector import Answerer

TIME_BUCKETS_S: Final = (*(float(f"{20e-6 * 1.3**step:.3g}") for step in range(42)), 1.0)
"""20 us to 1 s in steps of 1.3: a quantile read from them is at most 30 % off."""

ROW_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

RATIO_BUCKETS: Final = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)

MODEL_STATES: Final = ("loading", "ready", "failed", "shadow", "unloaded")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSeries:
    """The series of the RPCs of one method, version and status: looked up once, not for each."""

    requests: Counter
    duration_s: Histogram
    failure_s: Counter | None
    """Where the status is not OK."""
    handled: Counter
    handling_s: Histogram
    exemplars: Labelled[Exemplars]
    labels: tuple[str, ...]
    """Of the exemplars, which most callers give no reason for."""

    def end(self, took_s: Sequence[float], traces: Iterable[TraceContext | None]) -> None:
        """RPCs took so long, each of its trace, if it has one."""
        self.requests.inc(len(took_s))
        self.handled.inc(len(took_s))
        told = tally(TIME_BUCKETS_S, took_s)
        self.duration_s.add(told)
        self.handling_s.add(told)
        if self.failure_s:
            self.failure_s.inc(told.total)
        for each_s, trace in zip(took_s, traces, strict=True):
            if trace and trace.sampled:
                self.exemplars.labels(*self.labels).keep(each_s, trace)


@dataclass(frozen=True, slots=True)
class MethodSeries:
    """The series of the RPCs of one method, whatever becomes of them."""

    started: Counter
    received: Counter
    sent: Counter


class Metrics:
    """Every metric of one process, on a board of its own.

    Thread-safe. A `version` is "" where a request ended before its version was known.
    """

    def __init__(self, board: Board | None = None) -> None:
        """Writes to `board`, or to one that nobody else knows."""
        self.board = board or Board()
        write = Writer(self.board)
        self.families: Mapping[str, Family] = write.families
        self._write = write
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, Answerer, str], CallSeries] = {}
        self._labelled: set[tuple[str, str, str]] = set()
        model = ("model", "version")
        self.requests = write.counter(
            "flatdense_requests",
            "RPCs that ended, by gRPC status code.",
            ("method", *model, "code"),
        )
        self.request_duration_s = write.histogram(
            "flatdense_request_duration_seconds",
            "From the arrival of an RPC to its answer.",
            ("method", *model),
            buckets=TIME_BUCKETS_S,
        )
        self.request_exemplars = write.exemplars(self.request_duration_s)
        self.grpc = GrpcServerMetrics(write, TIME_BUCKETS_S)
        self.queue_duration_s = write.histogram(
            "flatdense_queue_duration_seconds",
            "From a request's arrival in the queue to the start of its batch.",
            model,
            buckets=TIME_BUCKETS_S,
        )
        self.inference_duration_s = write.histogram(
            "flatdense_inference_duration_seconds",
            "One batch through the engine.",
            (*model, "engine"),
            buckets=TIME_BUCKETS_S,
        )
        self.batch_rows = write.histogram(
            "flatdense_batch_rows",
            "Rows of one batch, without padding.",
            model,
            buckets=ROW_BUCKETS,
        )
        self.rows = write.counter("flatdense_rows", "Rows classified, without padding.", model)
        self.padding_rows = write.counter(
            "flatdense_padding_rows",
            "Rows computed to fill batches up to compiled sizes.",
        ).labels()
        self.predictions = write.counter(
            "flatdense_predictions",
            "Rows by predicted class.",
            (*model, "class"),
        )
        self.answer_s = write.counter(
            "flatdense_answer_seconds",
            "From the arrival of requests to their answers, summed. Messages of streams count.",
            model,
        )
        self.failure_s = write.counter(
            "flatdense_failure_seconds",
            "From the arrival of RPCs to the statuses that were not OK, summed.",
            model,
        )
        self.compute_s = write.counter(
            "flatdense_compute_seconds",
            "Requests' time in the engine, summed: a batch's time for each of its requests.",
            model,
        )
        self.batches = write.counter(
            "flatdense_batches",
            "Batches, by the smallest compiled size that holds them.",
            (*model, "ladder_rows"),
        )
        self.batch_s = write.counter(
            "flatdense_batch_seconds",
            "Their time in the engine, summed.",
            (*model, "ladder_rows"),
        )
        self.last_inference_s = write.gauge(
            "flatdense_last_inference_timestamp_seconds",
            "When the last batch was over, in seconds since the epoch.",
            model,
        )
        self.inflight = write.gauge(
            "flatdense_inflight_requests", "RPCs being answered now.", merge="sum"
        ).labels()
        self.lane = write.gauge(
            "flatdense_lane",
            "Always 1: which way unary calls go, express or standard.",
            ("lane",),
        )
        self.rejected = write.counter(
            "flatdense_rejected",
            "Requests refused for want of capacity or a credential, or because the server was not "
            "ready or stopped.",
            ("reason",),
        )
        self.deadline_expired = write.counter(
            "flatdense_deadline_expired",
            "Requests dropped because their deadline passed, by where they were then.",
            ("stage",),
        )
        self.compilations = write.counter(
            "flatdense_xla_compilations",
            "XLA compilations. Any in the phase `serving` is a defect.",
            ("phase",),
        )
        for phase in ("warmup", "serving"):
            self.compilations.labels(phase)
        self.model_state = write.gauge(
            "flatdense_model_state",
            "1 for the state that a version is in, 0 for the others.",
            (*model, "state"),
            stays=True,
        )
        self.model_label = write.gauge(
            "flatdense_model_label",
            "Always 1: which version a label means now.",
            ("model", "label", "version"),
        )
        self.policy_valid = write.gauge(
            "flatdense_policy_valid",
            "1 where versions.toml could be read or is not there, 0 where it is refused.",
            ("model",),
            merge="min",
        )
        self.shadow_rows = write.counter(
            "flatdense_shadow_rows",
            "Live rows that a candidate answered too.",
            (*model, "shadow"),
        )
        self.shadow_agreeing_rows = write.counter(
            "flatdense_shadow_agreeing_rows",
            "Those of them to which it gave the same class.",
            (*model, "shadow"),
        )
        self.shadow_largest_difference = write.gauge(
            "flatdense_shadow_largest_difference",
            "The most that a probability of the candidate differed by.",
            (*model, "shadow"),
        )
        self.shadow_latency_ratio = write.histogram(
            "flatdense_shadow_latency_ratio",
            "The candidate's time for a batch over the served version's time for it.",
            (*model, "shadow"),
            buckets=RATIO_BUCKETS,
        )
        self.health = HealthMetrics(write)
        self.model_load_duration_s = write.gauge(
            "flatdense_model_load_duration_seconds",
            "From opening a version's folder to being ready to serve it.",
            model,
        )
        self.model_info = write.gauge(
            "flatdense_model_info",
            "Always 1: what a served version is.",
            (*model, "dataset", "parameters", "test_accuracy", "engine", "device"),
        )
        self.log_lines_dropped = write.counter(
            "flatdense_log_lines_dropped",
            "Log lines that found no place, or could not be written.",
        ).labels()
        self.trace_spans_dropped = write.counter(
            "flatdense_trace_spans_dropped",
            "Spans that found no place, or that the collector did not take.",
        ).labels()
        self.worker_restarts = write.counter(
            "flatdense_worker_restarts", "Worker processes that ended unasked and were replaced."
        ).labels()
        self.certificate_expiry_s = write.gauge(
            "flatdense_tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of the served chain expires, in seconds since the epoch.",
        )
        self.certificate_valid = write.gauge(
            "flatdense_tls_certificate_valid",
            "1 where the certificates' files are in use, 0 where they changed and are refused.",
        )
        self.token_file_valid = write.gauge(
            "flatdense_token_file_valid",
            "1 where the token file is in use, 0 where it changed and is refused.",
        )
        self.workers = write.gauge(
            "flatdense_workers", "Worker processes that take calls now."
        ).labels()
        write.gauge(
            "flatdense_build_info",
            "Always 1: what runs here.",
            ("version", "python", "grpcio"),
        ).labels(
            library_version("flatdense-server"), python_version(), library_version("grpcio")
        ).set(1)

    def set_model_state(self, model: str, version: int, state: str) -> None:
        """Moves a version to one of MODEL_STATES."""
        for name in MODEL_STATES:
            self.model_state.labels(model, version, name).set(name == state)

    def forget_state(self, model: str, version: int) -> None:
        """Drops the state of a version that nobody wants any more."""
        self.model_state.remove(model=model, version=version)

    def serve(self, model: str, version: int) -> None:
        """A version is about to be served, or to be a shadow: what it does counts."""
        with self._lock:
            self._write.remember(model=model, version=version)
            self._write.remember(model=model, shadow=version)
            self._calls.clear()

    def forget(self, model: str, version: int) -> None:
        """A version is not served any more: every series of it goes, but its state.

        What ends after this, and it had answered, counts for nobody.
        """
        self._write.forget(model=model, version=version)

    def forget_shadow(self, model: str, version: int) -> None:
        """A version is compared with what is served no more."""
        self._write.forget(model=model, shadow=version)

    def call_series(self, method: str, answerer: Answerer, code: str, kind: str) -> CallSeries:
        """Where RPCs that ended so are counted. `kind` is one of those of gRPC."""
        key = (method, answerer, code)
        found = self._calls.get(key)
        if found is None:
            with self._lock:
                # In one piece: serve() finds it in the cache, or comes before it.
                found = self._calls[key] = self._make_call_series(method, answerer, code, kind)
        return found

    def method_series(self, method: str, kind: str) -> MethodSeries:
        """Where RPCs of a method are counted, and their messages."""
        labels = labels_of(method, kind)
        return MethodSeries(
            self.grpc.started.labels(*labels),
            self.grpc.received.labels(*labels),
            self.grpc.sent.labels(*labels),
        )

    def _make_call_series(
        self, method: str, answerer: Answerer, code: str, kind: str
    ) -> CallSeries:
        grpc = labels_of(method, kind)
        return CallSeries(
            requests=self.requests.labels(method, *answerer, code),
            duration_s=self.request_duration_s.labels(method, *answerer),
            failure_s=None if code == "OK" else self.failure_s.labels(*answerer),
            handled=self.grpc.handled.labels(*grpc, code),
            handling_s=self.grpc.handling_s.labels(*grpc),
            exemplars=self.request_exemplars,
            labels=(method, *answerer),
        )

    def set_labels(self, model: str, labels: Mapping[str, int]) -> None:
        """Says what each label means now."""
        now = {(model, label, str(version)) for label, version in labels.items()}
        for _model, label, version in self._labelled - now:
            self.model_label.remove(model=model, label=label, version=version)
        for labelled in now:
            self.model_label.labels(*labelled).set(1)
        self._labelled = now
