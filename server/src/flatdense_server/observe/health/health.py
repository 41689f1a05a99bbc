"""How the images and answers of one version look: counted, for doubt and for drift."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from flatdense_artifact import FEATURES, count_bins, measure

from flatdense_server.observe.health.health_metrics import HealthMetrics
from flatdense_server.observe.metrics.instruments import Counter, Histogram, Tally
from flatdense_server.summary import ModelFacts
from flatdense_server.tensors import DType, Outputs, Rows

ROWS_PER_LOOK: Final = 500
"""Of more rows between two looks the rest is let go: ten seconds of these tell a share to one
percent, and what waits for a look stays below 3 MB."""

ROWS_OF_A_BATCH: Final = 256
"""Of a bigger batch so many, evenly spread, are copied: to keep it all would keep its messages."""

SMALLEST_PROBABILITY: Final = float(np.finfo(np.float32).tiny)

Floats: TypeAlias = npt.NDArray[np.float64]

Seen: TypeAlias = tuple[Sequence[Rows], npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""The rows of a batch in their parts, their probabilities and their classes."""


class Health:
    """Takes answered batches, and counts them when it is told to look. Thread-safe.

    offer() is on the way of calls and does next to nothing.
    """

    def __init__(
        self,
        model: str,
        version: int,
        facts: ModelFacts,
        metrics: HealthMetrics,
        *,
        low_confidence: float,
    ) -> None:
        """Says what the reference is, too, where the version has one."""
        labels = (model, version)
        self._low_confidence = low_confidence
        self._rows = metrics.rows.labels(*labels)
        self._low_confidence_rows = metrics.low_confidence_rows.labels(*labels)
        self._confidence = metrics.confidence.labels(*labels)
        self._entropy_nats = metrics.entropy_nats.labels(*labels)
        self._input_mean = metrics.input_mean.labels(*labels)
        self._ink_share = metrics.ink_share.labels(*labels)
        self._bins: dict[str, tuple[Sequence[float], list[Counter]]] = {}
        reference_rows = facts.training.validation_rows if facts.training else 0
        for feature in [name for name in FEATURES if name in facts.reference]:
            histogram, counters = facts.reference[feature], []
            for number, fraction in enumerate(histogram.fractions):
                series = (*labels, feature, number)
                metrics.drift_reference_rows.labels(*series).set(round(fraction * reference_rows))
                counters.append(metrics.drift_rows.labels(*series))
            self._bins[feature] = histogram.edges, counters
        self._seen: deque[Seen] = deque()
        self._taken_rows = 0
        self._most_rows = ROWS_PER_LOOK
        self._lock = threading.Lock()
        self.closed = False
        """Whether nothing is counted any more."""

    def offer(self, parts: Sequence[Rows], outputs: Outputs) -> None:
        """Keeps a batch for the next look, if there is room. Its arrays must not change."""
        # Two threads may take a batch too many. A lock would cost each batch more than that.
        if self._taken_rows >= self._most_rows:
            return
        probabilities, classes = outputs.probabilities, outputs.classes
        step = -(-len(classes) // ROWS_OF_A_BATCH)
        if step > 1:
            parts = [np.concatenate(list(spread(parts, step)))]
            probabilities, classes = probabilities[::step], classes[::step]
        self._seen.append((parts, probabilities, classes))
        self._taken_rows += len(classes)

    def look(self) -> None:
        """Counts what was offered since the last look."""
        with self._lock:
            if self.closed:
                return
            self._most_rows = self._taken_rows + ROWS_PER_LOOK
            by_dtype: dict[DType, list[Seen]] = {}
            while self._seen:
                seen = self._seen.popleft()
                by_dtype.setdefault(seen[0][0].dtype, []).append(seen)
            for batches in by_dtype.values():
                rows = np.concatenate([part for parts, _, _ in batches for part in parts])
                probabilities = np.concatenate([each for _, each, _ in batches])
                classes = np.concatenate([each for _, _, each in batches])
                self._count(rows, probabilities, classes)

    def close(self) -> None:
        """Lets go of what was not looked at. When it returns, nothing is counted any more."""
        with self._lock:
            self.closed = True
            self._most_rows = -1
            self._seen.clear()

    def _count(
        self, rows: Rows, probabilities: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]
    ) -> None:
        confidences, entropies_nats = tell_confidence(probabilities)
        features = measure(rows, confidences, classes)
        self._rows.inc(len(rows))
        self._low_confidence_rows.inc(int(np.count_nonzero(confidences < self._low_confidence)))
        observe(self._confidence, confidences)
        observe(self._entropy_nats, entropies_nats)
        # Floats may lie outside 0..1. A sum that falls, as by negative means, is none to scrapers.
        observe(self._input_mean, features["input_mean"].clip(0, 1))
        observe(self._ink_share, features["ink_share"])
        for feature, (edges, counters) in self._bins.items():
            counts = count_bins(features[feature], edges).tolist()
            for counter, count in zip(counters, counts, strict=True):
                counter.inc(count)


def spread(parts: Sequence[Rows], step: int) -> Iterator[Rows]:
    """Every `step`-th row of all parts, as views: whatever the parts, they are evenly spread."""
    skip = 0
    for part in parts:
        if skip < len(part):
            yield part[skip::step]
        skip = (skip - len(part)) % step


def tell_confidence(probabilities: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """The probability of each row's answer, and the entropy of all of them in nats: [N] each.

    What another program exported may give anything. A row that is not finite is as unsure as can
    be; what is no probability counts as the nearest one.
    """
    wide = probabilities.astype(np.float64)
    unknown = ~np.isfinite(wide).all(axis=1)
    wide[unknown] = 0
    wide = wide.clip(0, 1)
    entropies_nats = -(wide * np.log(np.maximum(wide, SMALLEST_PROBABILITY))).sum(axis=1)
    entropies_nats[unknown] = np.log(probabilities.shape[1])
    return wide.max(axis=1), entropies_nats.clip(0)


def observe(histogram: Histogram, values: Floats) -> None:
    """What Histogram.observe() does, of many values sooner."""
    buckets = np.searchsorted(histogram.buckets, values, side="left")
    counts = np.bincount(buckets, minlength=len(histogram.buckets) + 1)
    histogram.add(Tally(list(enumerate(counts.tolist())), float(values.sum())))
