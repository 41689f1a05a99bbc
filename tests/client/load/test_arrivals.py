"""When calls are due."""

import dataclasses
import itertools
from typing import get_args

import numpy as np
from flatdense_client._load.arrivals import BURST_S, SILENCE_S, due_times_s
from flatdense_client._load.plan import Arrivals, OpenLoop, Plan
from hypothesis import given, settings
from hypothesis import strategies as st


def _plan(rate: float, *, arrivals: Arrivals, duration_s: float, warmup_s: float) -> Plan:
    return Plan(
        address="localhost:8500",
        protocol="native",
        messages=[b""],
        rows=1,
        loop=OpenLoop(rate=rate, arrivals=arrivals),
        duration_s=duration_s,
        warmup_s=warmup_s,
        timeout_s=1.0,
        connections=8,
    )


def _times_s(plan: Plan) -> list[float]:
    assert isinstance(plan.loop, OpenLoop)
    return list(due_times_s(plan, plan.loop))


RATES = st.floats(0.1, 2000)
SECONDS = st.floats(0.01, 3)


@settings(deadline=None)
@given(RATES, SECONDS, SECONDS, st.sampled_from(get_args(Arrivals)), st.integers(1, 8))
def test_calls_are_due_in_order_and_in_time(
    rate: float, duration_s: float, warmup_s: float, arrivals: Arrivals, generators: int
) -> None:
    """Due times ascend within warm-up and duration, and are the same each time."""
    plan = _plan(rate, arrivals=arrivals, duration_s=duration_s, warmup_s=warmup_s)
    for share in plan.share(generators):
        times_s = _times_s(share)
        assert times_s == sorted(times_s) == _times_s(share)
        assert all(-warmup_s <= time_s < duration_s for time_s in times_s)


@settings(deadline=None)
@given(RATES, SECONDS, SECONDS, st.integers(1, 8))
def test_even_calls_stay_even_when_they_are_shared(
    rate: float, duration_s: float, warmup_s: float, generators: int
) -> None:
    """All generators' calls together are evenly spaced from the warm-up's first moment on."""
    plan = _plan(rate, arrivals="constant", duration_s=duration_s, warmup_s=warmup_s)
    times_s = sorted(itertools.chain(*map(_times_s, plan.share(generators))))
    expected_s = -warmup_s + np.arange(len(times_s)) / rate
    np.testing.assert_allclose(times_s, expected_s, rtol=0, atol=1e-9)
    assert abs(len(times_s) - (duration_s + warmup_s) * rate) <= 1


def test_random_calls_are_poissons() -> None:
    """Gaps between random calls are exponential, and generators' gaps are not one another's."""
    plan = _plan(1000, arrivals="poisson", duration_s=20, warmup_s=0)
    shares = [np.array(_times_s(share)) for share in plan.share(2)]
    assert not set(shares[0]) & set(shares[1])
    for times_s in (*shares, np.sort(np.concatenate(shares))):
        gaps_s = np.diff(times_s)
        assert abs(len(times_s) / 20 * gaps_s.mean() - 1) < 0.05
        assert abs(gaps_s.std() / gaps_s.mean() - 1) < 0.05
        assert abs((gaps_s > gaps_s.mean()).mean() - np.exp(-1)) < 0.02
    assert abs(len(shares[0]) + len(shares[1]) - 20_000) < 600


def test_bursts_have_the_rate_and_coincide() -> None:
    """Calls keep the mean rate, come in bursts, and those of all generators in the same ones."""
    plan = _plan(1000, arrivals="bursts", duration_s=400, warmup_s=0)
    shares = [np.array(_times_s(share)) for share in plan.share(2)]
    assert not set(shares[0]) & set(shares[1])
    assert abs((len(shares[0]) + len(shares[1])) / 400_000 - 1) < 0.1
    busy = [np.unique(times_s // BURST_S) for times_s in shares]
    assert len(np.intersect1d(*busy)) > 0.95 * len(busy[0])
    gaps_s = np.diff(shares[0])
    silences_s = gaps_s[gaps_s > BURST_S / 5]
    assert abs(silences_s.mean() - BURST_S / 5 - SILENCE_S) < 0.1 * SILENCE_S


def test_a_share_is_of_the_same_load() -> None:
    """A share differs from the whole in its part alone."""
    plan = _plan(10, arrivals="poisson", duration_s=1, warmup_s=0)
    (whole,) = plan.share(1)
    assert dataclasses.replace(whole, number=0, generators=1) == plan
