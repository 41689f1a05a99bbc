"""The Prometheus metrics, all in one place: names, units and help."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as library_version
from platform import python_version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

TIME_BUCKETS_S: Final = (*(float(f"{20e-6 * 1.3**step:.3g}") for step in range(42)), 1.0)
"""20 us to 1 s in steps of 1.3: a quantile read from them is at most 30 % off."""

ROW_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

RATIO_BUCKETS: Final = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)

MODEL_STATES: Final = ("loading", "ready", "failed", "shadow")


@dataclass(frozen=True, slots=True)
class CallSeries:
    """The series of the RPCs of one method, version and status: looked up once, not for each."""

    requests: Counter
    duration_s: Histogram


class Metrics:
    """Every metric of one process, in a registry of its own.

    Thread-safe. A `version` is "" where a request ended before its version was known.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each one, which no question here needs
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._labelled: set[tuple[str, str, str]] = set()
        model = ("model", "version")
        self.requests = Counter(
            "flatdense_requests",
            "RPCs that ended, by gRPC status code.",
            ("method", *model, "code"),
            registry=registry,
        )
        self.request_duration_s = Histogram(
            "flatdense_request_duration_seconds",
            "From a decoded RPC to its answer.",
            ("method", *model),
            buckets=TIME_BUCKETS_S,
            registry=registry,
        )
        self.queue_duration_s = Histogram(
            "flatdense_queue_duration_seconds",
            "From a request's arrival in the queue to the start of its batch.",
            model,
            buckets=TIME_BUCKETS_S,
            registry=registry,
        )
        self.inference_duration_s = Histogram(
            "flatdense_inference_duration_seconds",
            "One batch through the engine.",
            (*model, "engine"),
            buckets=TIME_BUCKETS_S,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "flatdense_batch_rows",
            "Rows of one batch, without padding.",
            model,
            buckets=ROW_BUCKETS,
            registry=registry,
        )
        self.rows = Counter(
            "flatdense_rows", "Rows classified, without padding.", model, registry=registry
        )
        self.padding_rows = Counter(
            "flatdense_padding_rows",
            "Rows computed to fill a batch up to a compiled size.",
            registry=registry,
        )
        self.predictions = Counter(
            "flatdense_predictions",
            "Rows by predicted class.",
            (*model, "class"),
            registry=registry,
        )
        self.inflight = Gauge(
            "flatdense_inflight_requests", "RPCs being answered now.", registry=registry
        )
        self.lane = Gauge(
            "flatdense_lane",
            "Always 1: which way unary calls go, express or standard.",
            ("lane",),
            registry=registry,
        )
        self.rejected = Counter(
            "flatdense_rejected",
            "Requests refused for want of capacity or because of the server's state.",
            ("reason",),
            registry=registry,
        )
        self.deadline_expired = Counter(
            "flatdense_deadline_expired",
            "Requests dropped because their deadline passed, by where they were then.",
            ("stage",),
            registry=registry,
        )
        self.compilations = Counter(
            "flatdense_xla_compilations",
            "XLA compilations. Any in the phase `serving` is a defect.",
            ("phase",),
            registry=registry,
        )
        for phase in ("warmup", "serving"):
            self.compilations.labels(phase)
        self.model_state = Gauge(
            "flatdense_model_state",
            "1 for the state that a version is in, 0 for the others.",
            (*model, "state"),
            registry=registry,
        )
        self.model_label = Gauge(
            "flatdense_model_label",
            "Always 1: which version a label means now.",
            ("model", "label", "version"),
            registry=registry,
        )
        self.policy_valid = Gauge(
            "flatdense_policy_valid",
            "1 where versions.toml could be read or is not there, 0 where it is refused.",
            ("model",),
            registry=registry,
        )
        self.shadow_rows = Counter(
            "flatdense_shadow_rows",
            "Live rows that a candidate answered too.",
            (*model, "shadow"),
            registry=registry,
        )
        self.shadow_agreeing_rows = Counter(
            "flatdense_shadow_agreeing_rows",
            "Those of them to which it gave the same class.",
            (*model, "shadow"),
            registry=registry,
        )
        self.shadow_largest_difference = Gauge(
            "flatdense_shadow_largest_difference",
            "The most that a probability of the candidate differed by.",
            (*model, "shadow"),
            registry=registry,
        )
        self.shadow_latency_ratio = Histogram(
            "flatdense_shadow_latency_ratio",
            "The candidate's time for a batch over the served version's time for it.",
            (*model, "shadow"),
            buckets=RATIO_BUCKETS,
            registry=registry,
        )
        self.model_load_duration_s = Gauge(
            "flatdense_model_load_duration_seconds",
            "From opening a version's folder to being ready to serve it.",
            model,
            registry=registry,
        )
        self.model_info = Gauge(
            "flatdense_model_info",
            "Always 1: what a served version is.",
            (*model, "dataset", "parameters", "test_accuracy", "engine", "device"),
            registry=registry,
        )
        Gauge(
            "flatdense_build_info",
            "Always 1: what runs here.",
            ("version", "python", "grpcio"),
            registry=registry,
        ).labels(
            library_version("flatdense-server"), python_version(), library_version("grpcio")
        ).set(1)

    def set_model_state(self, model: str, version: int, state: str) -> None:
        """Moves a version to one of MODEL_STATES."""
        for name in MODEL_STATES:
            self.model_state.labels(model, version, name).set(name == state)

    def forget_model(self, model: str, version: int) -> None:
        """Drops the series that describe a version which is no longer served.

        Counts of what it did stay: a rate over them must not fall.
        """
        which = {"model": model, "version": str(version)}
        for gauge in (self.model_state, self.model_info, self.model_load_duration_s):
            gauge.remove_by_labels(which)

    def call_series(self, method: str, model: str, version: str, code: str) -> CallSeries:
        """Where RPCs that ended so are counted."""
        return CallSeries(
            self.requests.labels(method, model, version, code),
            self.request_duration_s.labels(method, model, version),
        )

    def set_labels(self, model: str, labels: Mapping[str, int]) -> None:
        """Says what each label means now."""
        now = {(model, label, str(version)) for label, version in labels.items()}
        for gone in self._labelled - now:
            self.model_label.remove(*gone)
        for labelled in now:
            self.model_label.labels(*labelled).set(1)
        self._labelled = now

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that an Accept header asks for: (body, content type)."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
