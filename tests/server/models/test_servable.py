"""One served version: rows in, each caller's own answers out, everything counted."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from flatdense_server.errors import Draining, InferenceFailed
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import FLOAT32, UINT8, Outputs, Rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LABELS = {"model": "mnist", "version": "1"}


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(st.tuples(st.integers(1, 20), st.sampled_from([UINT8, FLOAT32])), max_size=9))
def test_each_caller_gets_the_answers_to_its_own_rows(
    make_servable: Callable[..., Servable],
    gate: threading.Event,
    draw_rows: Callable[..., Rows],
    predict: Callable[[Rows], Outputs],
    sizes: list[tuple[int, np.dtype]],
) -> None:
    """However requests of both dtypes share batches, nobody gets another's answers."""
    servable = make_servable()
    gate.clear()
    sent = [draw_rows(rows, dtype, seed) for seed, (rows, dtype) in enumerate(sizes)]
    futures = [servable.submit(rows, deadline_s=None) for rows in sent]
    gate.set()
    for rows, future in zip(sent, futures, strict=True):
        expected, got = predict(rows), future.result()
        np.testing.assert_allclose(got.probabilities, expected.probabilities, rtol=0, atol=1e-5)
        assert np.array_equal(got.classes, expected.classes)


def test_batches_rows_padding_and_classes_are_counted_exactly(
    make_servable: Callable[..., Servable],
    sample: Callable[..., float | None],
    gate: threading.Event,
    running: threading.Semaphore,
    draw_rows: Callable[..., Rows],
    predict: Callable[[Rows], Outputs],
) -> None:
    """Batches of 1 and 2+3 rows on the ladder 1, 2, 4, 8 are 6 rows, 3 of padding, 3 requests."""
    servable = make_servable()
    sent = [draw_rows(rows, seed=rows) for rows in (1, 2, 3)]
    gate.clear()
    futures = [servable.submit(sent[0], deadline_s=None)]
    running.acquire()
    futures += [servable.submit(rows, deadline_s=None) for rows in sent[1:]]
    gate.set()
    for future in futures:
        future.result()
    assert sample("flatdense_rows_total", LABELS) == 6
    assert sample("flatdense_batch_rows_count", LABELS) == 2
    assert sample("flatdense_batch_rows_sum", LABELS) == 6
    assert sample("flatdense_padding_rows_total") == 3
    assert sample("flatdense_queue_duration_seconds_count", LABELS) == 3
    assert sample("flatdense_inference_duration_seconds_count", LABELS | {"engine": "numpy"}) == 2
    counts = np.bincount(predict(np.concatenate(sent)).classes, minlength=10)
    for index, count in enumerate(counts):
        labels = LABELS | {"class": f"class {index}"}
        assert sample("flatdense_predictions_total", labels) == count


def test_an_engine_that_fails_is_told_without_its_reason(
    make_servable: Callable[..., Servable],
    sample: Callable[..., float | None],
    faults: list[Exception],
    draw_rows: Callable[..., Rows],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """InferenceFailed has nothing of the engine's message; the log has it; the next call works."""
    servable = make_servable()
    faults.append(RuntimeError("secret pointer 0xdead"))
    with pytest.raises(InferenceFailed) as caught:
        servable.submit(draw_rows(2), deadline_s=None).result()
    assert "secret" not in str(caught.value)
    assert "secret pointer 0xdead" in caplog.text
    assert servable.submit(draw_rows(2), deadline_s=None).result().classes.shape == (2,)
    assert sample("flatdense_rows_total", LABELS) == 2


def test_close_answers_what_was_accepted_and_refuses_the_rest(
    make_servable: Callable[..., Servable], draw_rows: Callable[..., Rows]
) -> None:
    """After close() every accepted future is done, and submit() raises Draining."""
    servable = make_servable()
    futures = [servable.submit(draw_rows(1), deadline_s=None) for _ in range(20)]
    servable.close()
    assert all(future.done() for future in futures)
    with pytest.raises(Draining):
        servable.submit(draw_rows(1), deadline_s=None)


def test_a_batch_is_expected_to_take_its_best_time(
    make_servable: Callable[..., Servable], draw_rows: Callable[..., Rows]
) -> None:
    """Nothing of a size that never ran; later the least of its times, piece by piece."""
    servable = make_servable()
    assert servable.expected_s(3) == 0
    took_s = [servable.compute([draw_rows(count)]).ran.took_s for count in (3, 4, 3, 8)]
    assert servable.expected_s(4) == min(took_s[:3])
    assert servable.expected_s(1) == 0
    assert servable.expected_s(20) == pytest.approx(2 * took_s[3] + min(took_s[:3]))
