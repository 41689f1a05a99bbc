"""What became of the calls, kept and joined."""

import numpy as np
import pytest
from flatdense_client._load.recording import (
    DEADLINE_EXCEEDED,
    NOT_SENT,
    OTHER_MESSAGES,
    WRONG_ANSWER,
    Recorder,
    Recording,
    join,
)
from hypothesis import given, settings
from hypothesis import strategies as st

CODES = ["UNAVAILABLE", "INTERNAL", WRONG_ANSWER, DEADLINE_EXCEEDED, NOT_SENT]

TIMES = st.floats(0, 100)
CALLS = st.lists(st.tuples(st.floats(-1, 9), TIMES, TIMES, st.sampled_from(["OK", *CODES])))


def _finish(recorder: Recorder) -> Recording:
    return recorder.finish(took_s=1.0, unfinished_s=[], held_back=0, busy=0.5, is_cut=False)


def _record(calls: list[tuple[float, float, float, str]]) -> Recording:
    recorder = Recorder()
    for due_s, late_s, took_s, code in calls:
        sent_s = due_s + late_s
        if code == "OK":
            recorder.answer(due_s, sent_s, sent_s + took_s)
        else:
            sent = None if code == NOT_SENT else sent_s
            recorder.fail(due_s, sent, sent_s + took_s, code, f"said {code}")
    return _finish(recorder)


@settings(deadline=None)
@given(CALLS)
def test_every_counted_call_is_in_its_place(calls: list[tuple[float, float, float, str]]) -> None:
    """A call that was due after the warm-up is counted once, and times are those that it took."""
    recording = _record(calls)
    counted = [call for call in calls if call[0] >= 0]
    timed = [call for call in counted if call[3] in {"OK", DEADLINE_EXCEEDED, NOT_SENT}]
    sent = [call for call in timed if call[3] != NOT_SENT]
    assert recording.calls == len(counted)
    assert recording.answered == sum(call[3] == "OK" for call in counted)
    for failure in recording.failures:
        assert failure.calls == sum(call[3] == failure.code for call in counted)
    for recorded_s, expected_s in (
        (recording.latency_s, [late + took for _, late, took, _ in timed]),
        (recording.service_s, [took for _, _, took, _ in sent]),
    ):
        np.testing.assert_allclose(recorded_s, expected_s, rtol=0, atol=1e-9)


@settings(deadline=None)
@given(st.lists(CALLS, min_size=1, max_size=4))
def test_parts_are_joined_to_the_whole(
    parts: list[list[tuple[float, float, float, str]]],
) -> None:
    """Joining the recordings of parts is the recording of all their calls."""
    joined = join([_record(part) for part in parts])
    whole = _record([call for part in parts for call in part])
    assert joined.answered == whole.answered
    assert sorted(map(str, joined.failures)) == sorted(map(str, whole.failures))
    assert joined.took_s == whole.took_s
    assert joined.generators == len(parts)
    np.testing.assert_array_equal(np.sort(joined.latency_s), np.sort(whole.latency_s))
    np.testing.assert_array_equal(np.sort(joined.service_s), np.sort(whole.service_s))


def test_the_most_frequent_code_comes_first() -> None:
    """Failures are in the order of their codes' calls, and within a code of their own."""
    recorder = Recorder()
    for code, message, calls in [("A", "x", 3), ("B", "y", 2), ("B", "z", 4)]:
        for _ in range(calls):
            recorder.fail(0, 0, 1, code, message)
    failures = _finish(recorder).failures
    assert [(each.code, each.message) for each in failures] == [("B", "z"), ("B", "y"), ("A", "x")]


def test_messages_without_end_do_not_fill_memory() -> None:
    """A server that says something else each time is counted whole, its words are not all kept."""
    recorder = Recorder()
    for number in range(1000):
        recorder.fail(0, 0, 1, "INTERNAL", f"request {number} failed")
    failures = _finish(recorder).failures
    assert len(failures) < 100
    assert sum(failure.calls for failure in failures) == 1000
    assert failures[0].message == OTHER_MESSAGES


@pytest.mark.parametrize(("last_s", "took_s"), [(0.5, 1.0), (1.5, 1.5)])
def test_a_load_takes_until_its_last_answer(last_s: float, took_s: float) -> None:
    """A load takes as long as was planned, or until its last good answer."""
    recorder = Recorder()
    recorder.answer(0.25, 0.25, last_s)
    recorder.fail(0.25, 0.25, 9.0, "INTERNAL", "")
    assert _finish(recorder).took_s == took_s
