"""The health of one version: what is counted of its rows and answers."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from flatdense_artifact import Histogram
from flatdense_server.observe.health.health import ROWS_OF_A_BATCH, ROWS_PER_LOOK, Health
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.summary import ModelFacts
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, Outputs, Rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

Sample = Callable[..., float | None]

LABELS = {"model": "mnist", "version": "1"}
REFERENCE = {
    "input_mean": Histogram(edges=[0.0, 0.1, 0.2, 1.0], fractions=[0.25, 0.5, 0.25]),
    "class": Histogram(edges=[float(edge) for edge in range(11)], fractions=[0.1] * 10),
    "of a later release": Histogram(edges=[0.0, 1.0], fractions=[1.0]),
}
ROWS = 20
"""Of the validation split."""

FAMILIES = ("confidence", "entropy_nats", "input_mean", "ink_share")


@pytest.fixture
def referring(facts: ModelFacts) -> ModelFacts:
    """Facts with a reference, one feature of which this server does not know."""
    return dataclasses.replace(facts, reference=REFERENCE)


@pytest.fixture
def health(referring: ModelFacts, metrics: Metrics) -> Health:
    """Of version 1. Nobody but the test looks."""
    return Health("mnist", 1, referring, metrics.health, low_confidence=0.5)


def answer(confidences: Sequence[float]) -> Outputs:
    """Answers of so much confidence, class 3 each; the rest is even."""
    probabilities = np.empty((len(confidences), 10), np.float32)
    probabilities[:] = (1 - np.array(confidences, np.float32)[:, None]) / 9
    probabilities[:, 3] = confidences
    return Outputs(probabilities, np.full(len(confidences), 3))


def gray(level: int, count: int = 1) -> Rows:
    """Rows of one gray."""
    return np.full((count, PIXELS), level, UINT8)


def count_looked(sample: Sample) -> float | None:
    """Rows that were looked at."""
    return sample("flatdense_health_rows_total", LABELS)


def bins(sample: Sample, feature: str, count: int) -> list[float | None]:
    """The rows in each bin of a feature."""
    name = "flatdense_drift_rows_total"
    return [sample(name, LABELS | {"feature": feature, "bin": str(n)}) for n in range(count)]


def test_each_row_is_counted_in_every_metric(health: Health, sample: Sample) -> None:
    """Sums, counts, low confidence and bins are those of the rows and answers."""
    parts = [gray(0), gray(51, 2), gray(255)]
    health.offer(parts, answer([0.25, 0.5, 0.9, 1.0]))
    health.look()
    assert count_looked(sample) == 4
    assert sample("flatdense_low_confidence_rows_total", LABELS) == 1
    assert sample("flatdense_confidence_sum", LABELS) == pytest.approx(0.25 + 0.5 + 0.9 + 1)
    assert sample("flatdense_confidence_bucket", LABELS | {"le": "0.5"}) == 2
    assert sample("flatdense_input_mean_sum", LABELS) == pytest.approx(0.2 + 0.2 + 1)
    assert sample("flatdense_input_mean_bucket", LABELS | {"le": "0.2"}) == 3
    assert sample("flatdense_ink_share_sum", LABELS) == 1
    for family in FAMILIES:
        assert sample(f"flatdense_{family}_count", LABELS) == 4
    assert bins(sample, "input_mean", 3) == [1, 0, 3]
    assert bins(sample, "class", 10) == [0, 0, 0, 4, 0, 0, 0, 0, 0, 0]


def test_entropy_is_in_nats(health: Health, sample: Sample) -> None:
    """It is ln 10 where ten classes are as likely, and 0 where one is sure."""
    health.offer([gray(0)], answer([0.1]))
    health.look()
    assert sample("flatdense_entropy_nats_sum", LABELS) == pytest.approx(math.log(10), rel=1e-6)
    health.offer([gray(0)], answer([1.0]))
    health.look()
    assert sample("flatdense_entropy_nats_sum", LABELS) == pytest.approx(math.log(10), rel=1e-6)


@pytest.mark.usefixtures("health")
def test_the_reference_is_told_in_rows(sample: Sample) -> None:
    """Of each feature that the server measures too; what it does not know is left out."""
    name = "flatdense_drift_reference_rows"
    rows = [sample(name, LABELS | {"feature": "input_mean", "bin": str(n)}) for n in range(3)]
    assert rows == [0.25 * ROWS, 0.5 * ROWS, 0.25 * ROWS]
    assert sample(name, LABELS | {"feature": "of a later release", "bin": "0"}) is None


def test_a_version_without_a_reference_has_all_but_drift(
    facts: ModelFacts, metrics: Metrics, sample: Sample
) -> None:
    """What another program exported has confidence and input metrics."""
    foreign = dataclasses.replace(facts, reference={}, training=None)
    health = Health("mnist", 1, foreign, metrics.health, low_confidence=0.8)
    health.offer([gray(51)], answer([0.9]))
    health.look()
    assert count_looked(sample) == 1
    assert bins(sample, "class", 10) == [None] * 10


def test_bytes_and_floats_are_looked_at_together(health: Health, sample: Sample) -> None:
    """An image in either type is the same."""
    for rows in (gray(51), gray(51).astype(FLOAT32) / np.float32(255)):
        health.offer([rows], answer([0.9]))
    health.look()
    assert count_looked(sample) == 2
    assert sample("flatdense_input_mean_sum", LABELS) == pytest.approx(0.4)
    assert bins(sample, "input_mean", 3) == [0, 0, 2]


@given(
    npst.arrays(np.float32, (3, PIXELS), elements=st.floats(-1e6, 1e6, width=32)),
    npst.arrays(np.float32, (3, 10), elements=st.floats(width=32)),
)
def test_no_number_can_spoil_the_metrics(rows: np.ndarray, probabilities: np.ndarray) -> None:
    """Legal floats, and whatever a foreign network makes of them: each sum is finite and grows."""
    metrics = Metrics()
    facts = ModelFacts(
        class_names=[], layers=[], parameters=0, training=None, metrics=None, created_at=None
    )
    health = Health("mnist", 1, facts, metrics.health, low_confidence=0.8)
    health.offer([rows], Outputs(probabilities, np.zeros(3, np.int64)))
    health.look()
    for series, figures in metrics.board.read():
        if series.labels == ("mnist", "1"):
            assert all(math.isfinite(figure) and figure >= 0 for figure in figures), series
            if series.count > 1:
                assert sum(figures[:-1]) == 3, series


def test_an_answer_that_is_no_number_is_of_no_confidence(health: Health, sample: Sample) -> None:
    """It is as unsure as can be."""
    outputs = answer([0.9])
    outputs.probabilities[0, 5] = np.nan
    health.offer([gray(0)], outputs)
    health.look()
    assert sample("flatdense_confidence_sum", LABELS) == 0
    assert sample("flatdense_low_confidence_rows_total", LABELS) == 1
    assert sample("flatdense_entropy_nats_sum", LABELS) == pytest.approx(math.log(10))


@given(
    st.lists(st.integers(1, 700), min_size=1, max_size=8).filter(
        lambda sizes: sum(sizes) > ROWS_OF_A_BATCH
    )
)
def test_of_a_big_batch_rows_are_taken_evenly_with_their_answers(sizes: list[int]) -> None:
    """At most so many, each with its own answer, and equally far apart whatever the requests."""
    metrics = Metrics()
    reference = {"class": Histogram(edges=[0.0, 1.0], fractions=[1.0])}
    facts = ModelFacts(
        class_names=[],
        layers=[],
        parameters=0,
        training=None,
        metrics=None,
        created_at=None,
        reference=reference,
    )
    health = Health("mnist", 1, facts, metrics.health, low_confidence=0.8)
    total = sum(sizes)
    numbers = np.arange(total)
    rows = np.repeat(numbers.astype(np.float32)[:, None], PIXELS, axis=1)
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    health.offer(parts, Outputs(numbers[:, None].astype(np.float32), numbers))
    ((kept_parts, probabilities, classes),) = health._seen
    kept = np.concatenate(kept_parts)
    assert kept[:, 0].tolist() == probabilities[:, 0].tolist() == classes.tolist()
    assert ROWS_OF_A_BATCH / 2 < len(classes) <= ROWS_OF_A_BATCH
    assert len(set(np.diff(classes))) <= 1
    assert not any(np.shares_memory(part, rows) for part in kept_parts)


def test_more_than_there_is_room_for_is_let_go(health: Health, sample: Sample) -> None:
    """Between two looks no more than the limit and one batch is kept; then there is room again."""
    for _ in range(2):
        before = count_looked(sample) or 0
        for _ in range(3 * ROWS_PER_LOOK):
            health.offer([gray(51)], answer([0.9]))
        health.look()
        assert (count_looked(sample) or 0) - before == ROWS_PER_LOOK
    health.offer([gray(51, 1000)], answer([0.9] * 1000))
    health.offer([gray(51)], answer([0.9]))
    health.look()
    assert count_looked(sample) == 2 * ROWS_PER_LOOK + 250 + 1


def test_what_is_closed_counts_nothing_and_keeps_nothing(health: Health, sample: Sample) -> None:
    """Neither what was offered before, nor what comes after."""
    health.offer([gray(51)], answer([0.9]))
    health.close()
    health.offer([gray(51)], answer([0.9]))
    health.look()
    assert count_looked(sample) == 0
    assert not health._seen
    assert health.closed
