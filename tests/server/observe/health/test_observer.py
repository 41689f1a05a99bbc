"""Answered rows are looked at, aside."""

import threading
from collections.abc import Callable, Iterator

import pytest
from flatdense_server.models.servable import Servable
from flatdense_server.observe.health.observer import Observer
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.summary import ModelFacts
from flatdense_server.tensors import Outputs, Rows

Sample = Callable[..., float | None]

LABELS = {"model": "mnist", "version": "1"}


@pytest.fixture
def observer(metrics: Metrics) -> Iterator[Observer]:
    """Looks by itself, and when it is told to."""
    observer = Observer(metrics.health, low_confidence=0.8)
    yield observer
    observer.close()


def test_what_was_answered_last_is_counted_too(
    observer: Observer,
    facts: ModelFacts,
    sample: Sample,
    draw_rows: Callable[..., Rows],
    predict: Callable[[Rows], Outputs],
) -> None:
    """When a worker ends, nothing that it answered is missing."""
    health = observer.watch("mnist", 1, facts)
    rows = draw_rows(3)
    health.offer([rows], predict(rows))
    observer.close()
    assert sample("flatdense_health_rows_total", LABELS) == 3


def test_every_row_that_a_version_answers_is_seen_until_it_is_closed(
    observer: Observer,
    make_servable: Callable[..., Servable],
    sample: Sample,
    draw_rows: Callable[..., Rows],
) -> None:
    """Batch by batch, in whichever parts; then its series stand still."""
    servable = make_servable(observer=observer)
    for count in (1, 5, 32):
        servable.submit(draw_rows(count), deadline_s=None).result()
    observer.look()
    assert sample("flatdense_health_rows_total", LABELS) == 38
    servable.submit(draw_rows(1), deadline_s=None).result()
    servable.close()
    observer.look()
    seen = sample("flatdense_health_rows_total", LABELS)
    assert seen in (38, 39)  # it looks by itself, too
    observer.look()
    assert sample("flatdense_health_rows_total", LABELS) == seen
    assert not observer._watched


def test_a_failure_is_logged_once_and_hurts_no_call(
    observer: Observer,
    make_servable: Callable[..., Servable],
    sample: Sample,
    draw_rows: Callable[..., Rows],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Versions are looked at apart: one that cannot be told does not silence another."""
    broken, whole = make_servable(1, observer=observer), make_servable(2, observer=observer)
    failed = threading.Semaphore(0)

    def fail(*_: object) -> None:
        """As if numpy could not."""
        failed.release()
        raise MemoryError("no memory for rows")

    monkeypatch.setattr(broken._health, "_count", fail)
    for look in range(1, 4):
        for servable in (broken, whole):
            outputs = servable.submit(draw_rows(2), deadline_s=None).result()
            assert len(outputs.classes) == 2
        failed.acquire()  # whoever looked
        observer.look()
        assert sample("flatdense_health_rows_total", LABELS | {"version": "2"}) == 2 * look
    assert sample("flatdense_health_rows_total", LABELS) == 0
    records = [record for record in caplog.records if "prediction health" in record.message]
    assert len(records) == 1
    assert records[0].exc_info


def test_it_looks_by_itself(
    observer: Observer,
    facts: ModelFacts,
    draw_rows: Callable[..., Rows],
    predict: Callable[[Rows], Outputs],
) -> None:
    """Nobody has to tell it."""
    health, looked = observer.watch("mnist", 1, facts), threading.Event()
    count = health._count

    def count_and_say(*seen: object) -> None:
        """As before, and the test hears of it."""
        count(*seen)
        looked.set()

    health._count = count_and_say
    rows = draw_rows(3)
    health.offer([rows], predict(rows))
    assert looked.wait(30)
