"""The metrics as a scraper reads them: names, types, labels, buckets."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from flatdense_server.observe.exposition import Boards, Exposition
from flatdense_server.observe.metrics import MODEL_STATES, Metrics
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

MODEL = {"model", "version"}
INTERFACE = {
    "requests": ("counter", {"method", "code"} | MODEL),
    "request_duration_seconds": ("histogram", {"method"} | MODEL),
    "queue_duration_seconds": ("histogram", MODEL),
    "inference_duration_seconds": ("histogram", {"engine"} | MODEL),
    "batch_rows": ("histogram", MODEL),
    "rows": ("counter", MODEL),
    "padding_rows": ("counter", set()),
    "predictions": ("counter", {"class"} | MODEL),
    "answer_seconds": ("counter", MODEL),
    "failure_seconds": ("counter", MODEL),
    "compute_seconds": ("counter", MODEL),
    "batches": ("counter", {"ladder_rows"} | MODEL),
    "batch_seconds": ("counter", {"ladder_rows"} | MODEL),
    "last_inference_timestamp_seconds": ("gauge", MODEL),
    "inflight_requests": ("gauge", set()),
    "tls_certificate_expiry_timestamp_seconds": ("gauge", set()),
    "tls_certificate_valid": ("gauge", set()),
    "token_file_valid": ("gauge", set()),
    "worker_restarts": ("counter", set()),
    "workers": ("gauge", set()),
    "rejected": ("counter", {"reason"}),
    "deadline_expired": ("counter", {"stage"}),
    "xla_compilations": ("counter", {"phase"}),
    "model_state": ("gauge", {"state"} | MODEL),
    "model_load_duration_seconds": ("gauge", MODEL),
    "model_info": (
        "gauge",
        {"dataset", "parameters", "test_accuracy", "engine", "device"} | MODEL,
    ),
    "build_info": ("gauge", {"version", "python", "grpcio"}),
    "model_label": ("gauge", {"label"} | MODEL),
    "policy_valid": ("gauge", {"model"}),
    "lane": ("gauge", {"lane"}),
    "shadow_rows": ("counter", {"shadow"} | MODEL),
    "shadow_agreeing_rows": ("counter", {"shadow"} | MODEL),
    "shadow_largest_difference": ("gauge", {"shadow"} | MODEL),
    "shadow_latency_ratio": ("histogram", {"shadow"} | MODEL),
}
"""The published names that exist so far, without prefix and _total: type and labels."""


@pytest.fixture
def touched(metrics: Metrics) -> Metrics:
    """Metrics of which every one has a sample."""
    model = ("mnist", "1")
    metrics.requests.labels("m", *model, "OK").inc()
    metrics.request_duration_s.labels("m", *model).observe(0.001)
    metrics.queue_duration_s.labels(*model).observe(0.001)
    metrics.inference_duration_s.labels(*model, "jit").observe(0.001)
    metrics.batch_rows.labels(*model).observe(3)
    metrics.rows.labels(*model).inc(3)
    metrics.padding_rows.inc()
    metrics.predictions.labels(*model, "7").inc()
    metrics.answer_s.labels(*model).inc(0.1)
    metrics.failure_s.labels(*model).inc(0.1)
    metrics.compute_s.labels(*model).inc(0.1)
    metrics.batches.labels(*model, 64).inc()
    metrics.batch_s.labels(*model, 64).inc(0.1)
    metrics.last_inference_s.labels(*model).set(1e9)
    metrics.inflight.inc()
    metrics.certificate_expiry_s.labels().set(1e9)
    metrics.certificate_valid.labels().set(1)
    metrics.token_file_valid.labels().set(1)
    metrics.rejected.labels("queue_full").inc()
    metrics.deadline_expired.labels("queue").inc()
    metrics.set_model_state("mnist", 1, "ready")
    metrics.model_load_duration_s.labels(*model).set(1)
    metrics.model_info.labels(*model, "mnist", 203530, 0.98, "jit", "cpu").set(1)
    metrics.set_labels("mnist", {"stable": 1})
    metrics.policy_valid.labels("mnist").set(1)
    metrics.lane.labels("express").set(1)
    metrics.shadow_rows.labels(*model, "2").inc(3)
    metrics.shadow_agreeing_rows.labels(*model, "2").inc(3)
    metrics.shadow_largest_difference.labels(*model, "2").set(0.1)
    metrics.shadow_latency_ratio.labels(*model, "2").observe(1.1)
    return metrics


def expose(metrics: Metrics, accept: str = "") -> tuple[bytes, str]:
    """What a scraper reads of them, and its content type."""
    boards = Boards(metrics.families)
    boards.add(metrics.board)
    return Exposition(boards, metrics.families).expose(accept)


def families(metrics: Metrics) -> dict[str, Metric]:
    """What the exposition says, parsed, by name without prefix."""
    text = expose(metrics)[0].decode()
    return {
        family.name.removeprefix("flatdense_"): family
        for family in parser.text_string_to_metric_families(text)
        if family.name.startswith("flatdense_")
    }


def test_names_types_and_labels_are_the_published_ones(touched: Metrics) -> None:
    """Dashboards depend on them: nothing is missing, renamed, retyped or relabelled."""
    found = {
        name: (
            family.type,
            set().union(*(sample.labels.keys() - {"le"} for sample in family.samples)),
        )
        for name, family in families(touched).items()
    }
    assert found == INTERFACE


def test_counters_end_in_total(touched: Metrics) -> None:
    """Every sample of a counter has the suffix that Prometheus expects, and there is no other."""
    for name, family in families(touched).items():
        if family.type == "counter":
            assert {sample.name for sample in family.samples} == {f"flatdense_{name}_total"}


def test_every_metric_says_what_it_means(touched: Metrics) -> None:
    """Each has a help text that ends as a sentence does."""
    for family in families(touched).values():
        assert family.documentation.endswith(".")


def bounds(family: Metric) -> list[float]:
    """The upper bounds of a histogram's buckets."""
    return [
        float(sample.labels["le"]) for sample in family.samples if sample.name.endswith("_bucket")
    ]


@pytest.mark.parametrize("name", ["request", "queue", "inference"])
def test_time_is_read_to_a_third_between_20_microseconds_and_a_second(
    touched: Metrics, name: str
) -> None:
    """Buckets begin at 20 us or below, reach 1 s, and none is wider than 1.35 times the last."""
    *finite, last = bounds(families(touched)[f"{name}_duration_seconds"])
    assert last == float("inf")
    assert finite[0] <= 20e-6
    assert finite[-1] >= 1
    assert all(1 < above / below <= 1.35 for below, above in pairwise(finite))


def test_a_known_set_of_events_is_counted_exactly(metrics: Metrics) -> None:
    """What is observed is what is scraped."""
    duration_s = metrics.queue_duration_s.labels("mnist", "1")
    for value_s in (10e-6, 19e-6, 21e-6, 0.5, 2.0):
        duration_s.observe(value_s)
    samples = families(metrics)["queue_duration_seconds"].samples
    buckets = {s.labels["le"]: s.value for s in samples if s.name.endswith("_bucket")}
    assert buckets["2e-05"] == 2
    assert buckets["1.0"] == 4
    assert buckets["+Inf"] == 5
    (count,) = [s.value for s in samples if s.name.endswith("_count")]
    assert count == 5


def test_compilations_are_there_before_any_happened(metrics: Metrics) -> None:
    """Both phases show 0 from the start, so that an alert on `serving` has something to watch."""
    samples = families(metrics)["xla_compilations"].samples
    assert {s.labels["phase"]: s.value for s in samples} == {"warmup": 0, "serving": 0}


def test_a_version_is_in_exactly_one_state(metrics: Metrics) -> None:
    """Whatever the state was before, one of the states is 1 and the others 0."""
    for state in (*MODEL_STATES, *reversed(MODEL_STATES)):
        metrics.set_model_state("mnist", 1, state)
        samples = families(metrics)["model_state"].samples
        assert {s.labels["state"]: s.value for s in samples} == {
            name: float(name == state) for name in MODEL_STATES
        }


def test_a_scraper_gets_the_format_that_it_asks_for(touched: Metrics) -> None:
    """OpenMetrics where Accept names it, the text format otherwise; each says what it is."""
    body, content_type = expose(touched, OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    names = {family.name for family in read_openmetrics(body.decode())}
    assert {f"flatdense_{name}" for name in INTERFACE} <= names
    body, content_type = expose(touched, "*/*")
    assert content_type.startswith("text/plain")
    assert not body.endswith(b"# EOF\n")


def test_no_time_of_creation_is_exported(touched: Metrics) -> None:
    """One series for each question: there is no _created beside a counter."""
    assert b"_created" not in expose(touched)[0] + expose(touched, OPENMETRICS)[0]


def test_a_label_means_one_version_at_a_time(
    metrics: Metrics, sample: Callable[..., float | None]
) -> None:
    """A label that moves leaves no trace of where it was; one that goes leaves none at all."""

    def means(label: str, version: str) -> float | None:
        """1 where the metrics say so."""
        return sample(
            "flatdense_model_label", {"model": "mnist", "label": label, "version": version}
        )

    metrics.set_labels("mnist", {"stable": 1, "canary": 2})
    metrics.set_labels("mnist", {"stable": 2})
    assert [means("stable", "1"), means("stable", "2"), means("canary", "2")] == [None, 1, None]
