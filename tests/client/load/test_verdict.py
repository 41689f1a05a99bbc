"""What recordings say."""

import dataclasses
import math

import numpy as np
import pytest
from flatdense_client._load.plan import ClosedLoop, OpenLoop, Plan
from flatdense_client._load.recording import Recorder, Recording
from flatdense_client._load.verdict import PERCENTILES, distribute, judge
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

PLAN = Plan(
    address="localhost:8500",
    protocol="native",
    messages=[b""],
    rows=4,
    loop=OpenLoop(rate=10, arrivals="poisson"),
    duration_s=2.0,
    warmup_s=0.0,
    timeout_s=1.0,
    connections=1,
)


def _recording(lateness_s: list[float], *, busy: float = 0.1) -> Recording:
    recorder = Recorder()
    for each_s in lateness_s:
        recorder.be_late(0.0, each_s)
        recorder.answer(0.0, each_s, each_s + 1.0)
    return recorder.finish(took_s=2.0, unfinished_s=[], held_back=0, busy=busy, is_cut=False)


@settings(deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 3000), elements=st.floats(0, 1e3)))
def test_percentiles_are_exact(times_s: np.ndarray) -> None:
    """A percentile is the least measured time that so many ten-thousandths of all do not exceed."""
    distribution = distribute(times_s)
    assert distribution is not None
    for name, part in PERCENTILES.items():
        value_s = distribution.percentiles[name]
        assert value_s in times_s
        assert np.count_nonzero(times_s <= value_s) * 10_000 >= part * len(times_s)
        assert np.count_nonzero(times_s < value_s) * 10_000 < part * len(times_s)
    assert distribution.max == times_s.max()
    assert distribution.mean == pytest.approx(times_s.mean())


@settings(deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 3000), elements=st.floats(0, 1e3)))
def test_percentiles_are_numpys(times_s: np.ndarray) -> None:
    """Percentiles are NumPy's of the raw times, by its definition that interpolates nothing."""
    distribution = distribute(times_s)
    assert distribution is not None
    for name, part in PERCENTILES.items():
        if len(times_s) * part % 10_000 == 0:
            continue  # between two ranks NumPy's own rounding decides
        expected_s = np.percentile(times_s, part / 100, method="inverted_cdf")
        assert distribution.percentiles[name] == expected_s


def test_nothing_has_no_distribution() -> None:
    """Where no call has a time there is no percentile."""
    assert distribute(np.array([])) is None


def test_rates_are_those_of_good_answers() -> None:
    """Rates count the calls that were answered, and a call's rows."""
    recorder = Recorder()
    for _ in range(30):
        recorder.answer(0.0, 0.0, 1.0)
        recorder.fail(0.0, 0.0, 1.0, "INTERNAL", "")
    recording = recorder.finish(took_s=2.0, unfinished_s=[], held_back=0, busy=0.1, is_cut=False)
    verdict = judge(PLAN, recording)
    assert verdict.calls_per_s == 15
    assert verdict.rows_per_s == 60


@pytest.mark.parametrize("loop", [PLAN.loop, ClosedLoop(concurrency=1)])
@pytest.mark.parametrize(
    ("lateness_s", "busy", "keeping"),
    [
        ([0.001] * 100, 0.5, "kept up"),
        ([0.001] * 98 + [0.1] * 2, 0.5, "late at times"),
        ([0.1] * 100, 0.5, "limit"),
        ([0.001] * 100, 0.97, "limit"),
    ],
)
def test_a_generator_that_is_the_limit_says_so(
    loop: OpenLoop | ClosedLoop, lateness_s: list[float], busy: float, keeping: str
) -> None:
    """Who is late or busy most of the time is the limit; who is late at its worst says that."""
    verdict = judge(dataclasses.replace(PLAN, loop=loop), _recording(lateness_s, busy=busy))
    assert verdict.keeping == keeping


def test_a_load_that_was_cut_at_once_has_no_rate() -> None:
    """Where nothing was measured nothing is divided."""
    recording = Recorder().finish(
        took_s=0.0, unfinished_s=[0.1], held_back=0, busy=0.0, is_cut=True
    )
    verdict = judge(PLAN, recording)
    assert verdict.calls_per_s == 0
    assert verdict.latency is None
    assert not math.isnan(recording.longest_unfinished_s)
