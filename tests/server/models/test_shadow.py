"""The shadow: a candidate beside what is served."""

import dataclasses
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from flatdense_artifact import Weights
from flatdense_server.engine.engine import Engine
from flatdense_server.models.loader import LoadedVersion
from flatdense_server.models.servable import Servable
from flatdense_server.models.shadow import LiveBatch, Shadow
from flatdense_server.models.statuses import Statuses
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.summary import ModelFacts
from flatdense_server.tensors import Outputs, Rows

LABELS = {"model": "mnist", "version": "1", "shadow": "2"}

RUNS = 2
"""Of one comparison: one to warm up, one to time."""


class Lull:
    """Whether the server has nothing to do; a test says when."""

    def __init__(self) -> None:
        self.idle = True


class Told:
    """An engine that says when it has run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.spec = engine.spec
        self.ran = threading.Semaphore(0)
        self.closed = threading.Event()
        self.fault: Exception | None = None

    def run(self, parts: list[Rows]) -> Outputs:
        """See Engine.run."""
        try:
            if self.fault:
                raise self.fault
            return self._engine.run(parts)
        finally:
            self.ran.release()

    def close(self) -> None:
        """See Engine.close."""
        self.closed.set()


@pytest.fixture
def lull() -> Lull:
    """Idle, until the test says otherwise."""
    return Lull()


@pytest.fixture
def make_shadow(
    lull: Lull, statuses: Statuses, metrics: Metrics
) -> Iterator[Callable[[float], Shadow]]:
    """Gives shadows for version 2, by their fraction."""
    made: list[Shadow] = []

    def make(fraction: float) -> Shadow:
        """With nothing to compare yet."""
        shadow = Shadow(
            "mnist",
            2,
            fraction=fraction,
            is_idle=lambda: lull.idle,
            statuses=statuses,
            metrics=metrics,
        )
        made.append(shadow)
        return shadow

    yield make
    for shadow in made:
        shadow.end()


@pytest.fixture
def candidate(
    facts: ModelFacts, weights: Weights, make_engine: Callable[..., Engine]
) -> LoadedVersion:
    """Version 2, which thinks a little more of the last class."""
    bias = weights.output.bias + np.linspace(0, 0.5, 10, dtype=np.float32)
    other = Weights(weights.hidden, dataclasses.replace(weights.output, bias=bias))
    return LoadedVersion(number=2, facts=facts, engine=Told(make_engine(other)))


def finish(shadow: Shadow, candidate: LoadedVersion, comparisons: int = 1) -> None:
    """Waits until the candidate has run so often, and what it said is counted."""
    for _ in range(comparisons * RUNS):
        candidate.engine.ran.acquire()
    shadow.end()


def test_agreement_and_difference_are_those_of_the_answers(
    make_shadow: Callable[[float], Shadow],
    make_servable: Callable[..., Servable],
    candidate: LoadedVersion,
    sample: Callable[..., float | None],
    draw_rows: Callable[..., Rows],
) -> None:
    """Rows, rows with the same class, and the largest difference are counted exactly."""
    shadow = make_shadow(1.0)
    shadow.begin(candidate)
    servable = make_servable(shadow=shadow)
    rows = draw_rows(40)
    live = servable.submit(rows, deadline_s=None).result()
    finish(shadow, candidate)
    other = candidate.engine.run([rows])
    agreeing = int((live.classes == other.classes).sum())
    assert 0 < agreeing < 40
    assert sample("flatdense_shadow_rows_total", LABELS) == 40
    assert sample("flatdense_shadow_agreeing_rows_total", LABELS) == agreeing
    assert sample("flatdense_shadow_largest_difference", LABELS) == pytest.approx(
        np.abs(live.probabilities - other.probabilities).max()
    )
    assert sample("flatdense_shadow_latency_ratio_count", LABELS) == 1


def test_its_share_of_the_batches_is_the_fraction(
    make_shadow: Callable[[float], Shadow],
    candidate: LoadedVersion,
    sample: Callable[..., float | None],
    draw_rows: Callable[..., Rows],
) -> None:
    """Of 40 batches offered in quiet times a quarter is compared: 10."""
    shadow = make_shadow(0.25)
    shadow.begin(candidate)
    rows = draw_rows(2)
    batch = LiveBatch(1, [rows], candidate.engine.run([rows]), 1e-3)
    candidate.engine.ran.acquire()
    for number in range(1, 41):
        shadow.offer(batch)
        shadow.wake()
        if number % 4 == 0:
            for _ in range(RUNS):
                candidate.engine.ran.acquire()
            with shadow._running:
                pass
    shadow.end()
    assert sample("flatdense_shadow_rows_total", LABELS) == 20


def test_a_busy_server_keeps_one_batch_for_later(
    make_shadow: Callable[[float], Shadow],
    candidate: LoadedVersion,
    sample: Callable[..., float | None],
    lull: Lull,
    draw_rows: Callable[..., Rows],
) -> None:
    """While there is work nothing is compared; afterwards one batch is, however many came."""
    shadow = make_shadow(1.0)
    shadow.begin(candidate)
    rows = draw_rows(3)
    batch = LiveBatch(1, [rows], candidate.engine.run([rows]), 1e-3)
    candidate.engine.ran.acquire()
    lull.idle = False
    for _ in range(5):
        shadow.offer(batch)
        shadow.wake()
    lull.idle = True
    shadow.wake()
    finish(shadow, candidate)
    assert sample("flatdense_shadow_rows_total", LABELS) == 3


def test_a_candidate_that_fails_hurts_nobody(
    make_shadow: Callable[[float], Shadow],
    make_servable: Callable[..., Servable],
    candidate: LoadedVersion,
    statuses: Statuses,
    draw_rows: Callable[..., Rows],
) -> None:
    """Its error is its status and it sees no more; the live calls are answered."""
    candidate.engine.fault = RuntimeError("no such kernel")
    shadow = make_shadow(1.0)
    shadow.begin(candidate)
    servable = make_servable(shadow=shadow)
    assert len(servable.submit(draw_rows(1), deadline_s=None).result().classes) == 1
    candidate.engine.ran.acquire()
    with shadow._running:  # its status is noted
        (status,) = statuses.all({})
    assert (status.version, status.state) == (2, "failed")
    assert "no such kernel" in status.reason
    assert len(servable.submit(draw_rows(1), deadline_s=None).result().classes) == 1
    shadow.end()
    assert not candidate.engine.ran.acquire(blocking=False)


def test_another_number_of_classes_is_a_failure_with_its_reason(
    make_shadow: Callable[[float], Shadow],
    candidate: LoadedVersion,
    statuses: Statuses,
    draw_rows: Callable[..., Rows],
) -> None:
    """Answers that cannot be compared end the comparison, and the status says why."""
    shadow = make_shadow(1.0)
    shadow.begin(candidate)
    rows = draw_rows(2)
    live = Outputs(np.full((2, 3), 1 / 3, np.float32), np.zeros(2, np.int64))
    shadow.offer(LiveBatch(1, [rows], live, 1e-3))
    shadow.wake()
    finish(shadow, candidate)
    (status,) = statuses.all({})
    assert (status.version, status.state) == (2, "failed")
    assert "gives 10 classes, and version 1 3" in status.reason


def test_the_end_lets_go_of_the_engine(
    make_shadow: Callable[[float], Shadow], candidate: LoadedVersion
) -> None:
    """After end() there is no candidate, and its engine is closed."""
    shadow = make_shadow(1.0)
    shadow.begin(candidate)
    assert shadow.runs
    shadow.end()
    assert not shadow.runs
    assert candidate.engine.closed.is_set()
