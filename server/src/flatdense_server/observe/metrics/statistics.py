"""What one version has done so far, out of the figures of every process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Figures: TypeAlias = Mapping[str, Mapping[tuple[str, ...], Sequence[float]]]
"""Family -> labels -> figures, as Boards.read() gives them."""

OK = "OK"


@dataclass(frozen=True, slots=True)
class Total:
    """So many, and how long they took together."""

    count: int = 0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatistics:
    """What one version has done."""

    rows: int
    last_inference_s: float
    """Since the epoch; 0 where there was none."""
    answered: Total
    """Requests, a stream's messages one by one, from their arrival to their answer."""
    failed: Total
    """RPCs."""
    queued: Total
    """Requests, from their arrival to the start of their batch."""
    computed: Total
    """Requests, in the engine: the time of a batch counts for each of its requests."""
    batches: Mapping[int, Total]
    """By compiled size: executions, in the engine."""


def read_statistics(
    figures: Figures, model: str, version: str, methods: Sequence[str]
) -> VersionStatistics:
    """What the figures say of a version, as far as it answered RPCs of these methods."""
    key = (model, version)

    def read(family: str) -> Sequence[float]:
        return figures.get(family, {}).get(key, (0.0,))

    *waited, waited_s = read("flatdense_queue_duration_seconds")
    requests = int(sum(waited))
    failures = sum(
        count
        for (method, *answerer, code), (count,) in figures.get("flatdense_requests", {}).items()
        if method in methods and tuple(answerer) == key and code != OK
    )
    seconds = figures.get("flatdense_batch_seconds", {})
    return VersionStatistics(
        rows=int(read("flatdense_rows")[0]),
        last_inference_s=read("flatdense_last_inference_timestamp_seconds")[0],
        answered=Total(requests, read("flatdense_answer_seconds")[0]),
        failed=Total(int(failures), read("flatdense_failure_seconds")[0]),
        queued=Total(requests, waited_s),
        computed=Total(requests, read("flatdense_compute_seconds")[0]),
        batches={
            int(size): Total(int(count), seconds[*answerer, size][0])
            for (*answerer, size), (count,) in figures.get("flatdense_batches", {}).items()
            if tuple(answerer) == key and count
        },
    )
