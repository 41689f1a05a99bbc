"""The metrics as a scraper reads them: names, types, labels, buckets."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from flatdense_server.observe.metrics.exposition import Boards, Exposition
from flatdense_server.observe.metrics.instruments import Counter, Family, Gauge, Histogram
from flatdense_server.observe.metrics.metrics import MODEL_STATES, Metrics
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

MODEL = {"model", "version"}
INTERFACE = {
    "requests_total": {"method", "code"} | MODEL,
    "request_duration_seconds": {"method"} | MODEL,
    "queue_duration_seconds": MODEL,
    "inference_duration_seconds": {"engine"} | MODEL,
    "batch_rows": MODEL,
    "padding_rows_total": set(),
    "rows_total": MODEL,
    "inflight_requests": set(),
    "rejected_total": {"reason"},
    "deadline_expired_total": {"stage"},
    "xla_compilations_total": {"phase"},
    "model_state": {"state"} | MODEL,
    "model_load_duration_seconds": MODEL,
    "model_info": {"dataset", "parameters", "test_accuracy", "engine", "device"} | MODEL,
    "build_info": {"version", "python", "grpcio"},
    "worker_restarts_total": set(),
    "predictions_total": {"class"} | MODEL,
    "confidence": MODEL,
    "input_mean": MODEL,
    "drift_psi": {"feature"} | MODEL,
}
"""The published names, without prefix, and their labels. Whatever else there is may change."""


@pytest.fixture
def touched(metrics: Metrics) -> Metrics:
    """Metrics of which every one has a sample."""
    touch(metrics)
    return metrics


def touch(metrics: Metrics) -> None:
    """Gives every family a sample."""
    for labelled in metrics._write._made:
        found = labelled.labels(*labelled.family.labels)
        match found:
            case Counter():
                found.inc()
            case Gauge():
                found.set(1)
            case Histogram():
                found.observe(0.001)


def full_name(family: Family) -> str:
    """As queries have it."""
    return f"{family.name}_total" if family.kind == "counter" else family.name


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
        if not family.name.startswith("process_")
    }


def test_the_published_names_and_labels_are_there(metrics: Metrics) -> None:
    """Dashboards depend on them: none is missing, renamed or relabelled."""
    found = {
        full_name(family).removeprefix("flatdense_"): set(family.labels)
        for family in metrics.families.values()
    }
    assert {name: found.get(name) for name in INTERFACE} == INTERFACE


def test_each_metric_is_written_as_it_is_declared(touched: Metrics) -> None:
    """Type and labels in the exposition are those of its family; none is left out."""
    assert {
        name: (
            family.type,
            set().union(*(sample.labels.keys() - {"le"} for sample in family.samples)),
        )
        for name, family in families(touched).items()
    } == {
        family.name.removeprefix("flatdense_"): (family.kind, set(family.labels))
        for family in touched.families.values()
        if family.kind != "exemplars"
    }


def test_counters_end_in_total(touched: Metrics) -> None:
    """Every sample of a counter has the suffix that Prometheus expects, and there is no other."""
    for family in families(touched).values():
        if family.type == "counter":
            assert {sample.name for sample in family.samples} == {f"{family.name}_total"}


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
    assert {family.name for family in touched.families.values() if family.help} == names
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
