"""The metrics of prediction health: names, units and help."""

from typing import Final

from flatdense_server.observe.metrics.instruments import Writer

MODEL: Final = ("model", "version")

CONFIDENCE_BUCKETS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)

ENTROPY_BUCKETS_NATS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.4)
"""Of ten classes that are equally likely it is 2.3."""

PIXEL_BUCKETS: Final = (
    *(round(0.02 * step, 2) for step in range(1, 15)),
    *(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
"""Digits have most of theirs between 0.05 and 0.25."""


class HealthMetrics:
    """Those that say how images and answers look, and how far from what they should look like."""

    def __init__(self, write: Writer) -> None:
        self.rows = write.counter(
            "flatdense_health_rows", "Rows that prediction health looked at.", MODEL
        )
        self.low_confidence_rows = write.counter(
            "flatdense_low_confidence_rows",
            "Those of them whose answer was less probable than --low-confidence.",
            MODEL,
        )
        self.confidence = write.histogram(
            "flatdense_confidence",
            "The probability of the answer to one row.",
            MODEL,
            buckets=CONFIDENCE_BUCKETS,
        )
        self.entropy_nats = write.histogram(
            "flatdense_entropy_nats",
            "The entropy of all probabilities of one row.",
            MODEL,
            buckets=ENTROPY_BUCKETS_NATS,
        )
        self.input_mean = write.histogram(
            "flatdense_input_mean",
            "The mean of the pixels of one row, from 0 to 1.",
            MODEL,
            buckets=PIXEL_BUCKETS,
        )
        self.ink_share = write.histogram(
            "flatdense_ink_share",
            "The share of the pixels of one row that are above 0.5.",
            MODEL,
            buckets=PIXEL_BUCKETS,
        )
        self.drift_rows = write.counter(
            "flatdense_drift_rows",
            "Rows that prediction health looked at, by the bins of the training reference.",
            (*MODEL, "feature", "bin"),
        )
        self.drift_reference_rows = write.gauge(
            "flatdense_drift_reference_rows",
            "Validation rows of the training run in the same bins.",
            (*MODEL, "feature", "bin"),
        )
        # The supervisor's own, which follow from the others: they must not keep a version alive.
        self.drift_psi = write.gauge(
            "flatdense_drift_psi",
            "Population stability index of the last rows against the training reference.",
            (*MODEL, "feature"),
            stays=True,
        )
        self.drift_window_rows = write.gauge(
            "flatdense_drift_window_rows", "How many rows it is told by.", MODEL, stays=True
        )
