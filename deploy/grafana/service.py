"""The rows about calls: how many, how long, how much, and whether it is too much."""

from collections.abc import Sequence
from typing import Final

from panels import AnyPanel, Steps, distribution, lines, listing, name, number
from queries import growth, mean, quantile, rate, share

DURATION: Final = "flatdense_request_duration_seconds"

FAULTS: Final = 'code=~"INTERNAL|UNKNOWN|DATA_LOSS|UNAVAILABLE"'
"""What is the server's fault. The alert FlatdenseFailures means the same."""

SOME: Final[Steps] = ((None, "red"), (1, "green"))
FAILING: Final[Steps] = ((None, "green"), (0.01, "orange"), (0.1, "red"))
SLOW: Final[Steps] = ((None, "green"), (0.1, "red"))


def overview() -> Sequence[AnyPanel]:
    """Whether all is well."""
    return (
        number(
            "Servers",
            "sum(up{SERVER})",
            steps=SOME,
            about="Those whose /metrics Prometheus gets. Alerts: FlatdenseDown, FlatdenseAbsent.",
        ),
        number(
            "Workers",
            "sum(flatdense_workers{SERVER})",
            steps=SOME,
            about="Processes that take calls. Alert: FlatdenseNoWorkers.",
        ),
        name(
            "Served",
            'count by (model, version) (flatdense_model_state{MODEL,state="ready"} == 1)',
            "{{model}} {{version}}",
            about="Versions that are ready on any server. Alert: FlatdenseNothingServed.",
        ),
        number(
            "Calls",
            rate("flatdense_requests_total{SERVER}"),
            "reqps",
            about="RPCs that ended, a second.",
        ),
        number("Images", rate("flatdense_rows_total{MODEL}"), about="Rows classified, a second."),
        number(
            "Failures",
            share(
                f"flatdense_requests_total{{SERVER,{FAULTS}}}", "flatdense_requests_total{SERVER}"
            ),
            "percentunit",
            steps=FAILING,
            about="The share of the calls that ended with INTERNAL, UNKNOWN, DATA_LOSS or "
            "UNAVAILABLE. Alert: FlatdenseFailures.",
        ),
        number(
            "p50",
            quantile(0.5, DURATION, of="CLASSIFY"),
            "s",
            about="Of single calls that classify, in the server.",
        ),
        number(
            "p99",
            quantile(0.99, DURATION, of="CLASSIFY"),
            "s",
            steps=SLOW,
            about="The same. Alert: FlatdenseLatencyHigh.",
        ),
        listing(
            "Alerts",
            'ALERTS{alertname=~"Flatdense.+"}',
            about="Those that are pending or firing. The runbook below has an entry for each.",
        ),
        lines(
            "Calls by status",
            "reqps",
            (rate("flatdense_requests_total{SERVER}", "code"), "{{code}}"),
            stacked="sum",
            about="How they ended. OK and what callers do wrong are no failures.",
        ),
        lines(
            "Calls by method",
            "reqps",
            (rate("flatdense_requests_total{SERVER}", "method"), "{{method}}"),
            stacked="sum",
            about="A stream is one call, whatever comes by it.",
        ),
    )


def latency() -> Sequence[AnyPanel]:
    """How long callers wait, and for what."""
    return (
        lines(
            "Time of a call",
            "s",
            (quantile(0.5, DURATION, of="CLASSIFY"), "p50"),
            (quantile(0.9, DURATION, of="CLASSIFY"), "p90"),
            (quantile(0.99, DURATION, of="CLASSIFY"), "p99"),
            steps=SLOW,
            logarithmic=True,
            about="Of single calls that classify, in the server: what the network adds is not in "
            "it. Alert: FlatdenseLatencyHigh.",
        ),
        lines(
            "p99 by method",
            "s",
            (quantile(0.99, DURATION, "method"), "{{method}}"),
            logarithmic=True,
            about="A stream takes as long as its caller keeps it open.",
        ),
        lines(
            "p99 by server",
            "s",
            (quantile(0.99, DURATION, "instance", of="CLASSIFY"), "{{instance}}"),
            logarithmic=True,
            about="One that is slow alone has a busy neighbour.",
        ),
        distribution(
            "Times of all calls",
            "s",
            growth(f"{DURATION}_bucket{{CLASSIFY}}", "le"),
            about="How many calls took how long. Two bands are two kinds of calls.",
        ),
        lines(
            "Waiting and computing",
            "s",
            (quantile(0.5, "flatdense_queue_duration_seconds"), "waiting p50"),
            (quantile(0.99, "flatdense_queue_duration_seconds"), "waiting p99"),
            (quantile(0.5, "flatdense_inference_duration_seconds"), "computing p50"),
            (quantile(0.99, "flatdense_inference_duration_seconds"), "computing p99"),
            logarithmic=True,
            width=12,
            about="Waiting: from a request's arrival to its batch. Computing: one batch in the "
            "engine. A long wait for a short batch is overload.",
        ),
    )


def throughput() -> Sequence[AnyPanel]:
    """How much is done."""
    computed = (
        f"({rate('flatdense_padding_rows_total{SERVER}')} + {rate('flatdense_rows_total{SERVER}')})"
    )
    return (
        lines(
            "Images by version",
            "short",
            (rate("flatdense_rows_total{MODEL}", "model, version"), "{{model}} {{version}}"),
            stacked="sum",
            about="Rows classified, a second.",
        ),
        lines(
            "Images in a batch",
            "short",
            (mean("flatdense_batch_rows", "model, version"), "mean {{model}} {{version}}"),
            (quantile(0.99, "flatdense_batch_rows"), "p99"),
            about="What is ready together is computed together: more under load.",
        ),
        lines(
            "Padding",
            "percentunit",
            (f"{rate('flatdense_padding_rows_total{SERVER}')} / {computed}", "of what is computed"),
            most=1,
            about="Rows computed to fill batches up to a compiled size.",
        ),
        lines(
            "Batches by compiled size",
            "short",
            (rate("flatdense_batches_total{MODEL}", "ladder_rows"), "{{ladder_rows}} rows"),
            stacked="sum",
            width=12,
            about="Batches a second.",
        ),
        lines(
            "Engine",
            "percentunit",
            (rate("flatdense_batch_seconds_total{MODEL}", "instance"), "{{instance}}"),
            width=12,
            about="Of the time; two engines that never rest are 200 %.",
        ),
    )


def overload() -> Sequence[AnyPanel]:
    """Whether more is asked than can be answered."""
    return (
        lines(
            "Refused",
            "reqps",
            (rate("flatdense_rejected_total{SERVER}", "reason"), "{{reason}}"),
            stacked="sum",
            about="queue_full is overload. Alerts: FlatdenseOverload, FlatdenseCallersTurnedAway.",
        ),
        lines(
            "In flight",
            "short",
            ("sum by (instance) (flatdense_inflight_requests{SERVER})", "{{instance}}"),
            about="Calls being answered; open streams are among them. Alert: "
            "FlatdenseInflightHigh, above 1,000 for each worker.",
        ),
        lines(
            "Out of time",
            "percentunit",
            (
                share(
                    "flatdense_deadline_expired_total{SERVER}", "flatdense_requests_total{SERVER}"
                ),
                "of the calls",
            ),
            about="Calls that could not be answered before their deadline. Alert: "
            "FlatdenseDeadlinesMissed.",
        ),
    )
