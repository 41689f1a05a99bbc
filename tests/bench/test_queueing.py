"""The simulated queues obey what is known of queues."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queueing import Service, simulate

ONE_BY_ONE = Service(batch_s=1.0, call_s=0.0, most_calls=1)

CALLS = 200_000

services = st.builds(
    Service,
    batch_s=st.floats(0.01, 2),
    call_s=st.floats(0, 1),
    most_calls=st.integers(1, 20),
)
arrivals = st.lists(st.floats(0, 30), max_size=60).map(sorted)


def poisson(rate: float, calls: int = CALLS, seed: int = 0) -> np.ndarray:
    """So many times at which independent callers come."""
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, calls))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_call_at_a_time_waits_as_in_m_d_1(load: float) -> None:
    """Batches of one with a constant service have the mean wait of Pollaczek and Khinchine."""
    waited_s = simulate(poisson(load), ONE_BY_ONE).latency_s - 1.0
    expected_s = load / (2 * (1 - load))
    assert abs(waited_s.mean() / expected_s - 1) < 0.05


def test_replicas_by_chance_are_queues_of_their_own() -> None:
    """Calls that meet 10 replicas by chance wait as at one with a tenth of the calls."""
    waited_s = simulate(poisson(6.0), ONE_BY_ONE, replicas=10, turns="at random").latency_s - 1.0
    assert abs(waited_s.mean() / 0.75 - 1) < 0.05


def test_taking_turns_is_better_than_chance() -> None:
    """Calls that are dealt out in turn wait less, as they come more evenly to each replica."""
    due_s = poisson(8.0)
    turns_s, chance_s = (
        simulate(due_s, ONE_BY_ONE, replicas=10, turns=turns).latency_s.mean()
        for turns in ("in turn", "at random")
    )
    assert turns_s < chance_s


def test_replicas_on_one_core_share_it_out() -> None:
    """Two batches that run together on one core take twice as long each, and no longer."""
    outcome = simulate([0.0, 0.0, 10.0], ONE_BY_ONE, replicas=2, cores=1)
    np.testing.assert_allclose(outcome.latency_s, [2, 2, 1])
    outcome = simulate([0.0, 0.5], ONE_BY_ONE, replicas=2, cores=1)
    np.testing.assert_allclose(outcome.latency_s, [1.5, 1.5])


def test_a_batch_gathers_while_one_runs() -> None:
    """Calls that come while a batch runs share the next one, up to its limit."""
    service = Service(batch_s=1.0, call_s=0.5, most_calls=2)
    outcome = simulate([0.0, 0.1, 0.2, 0.3], service)
    np.testing.assert_allclose(outcome.latency_s, [1.5, 3.4, 3.3, 4.7])
    assert outcome.batches == 3


@given(arrivals, services, st.integers(1, 5), st.floats(0.1, 5))
def test_every_call_is_answered_and_the_work_is_done(
    due_s: list[float], service: Service, replicas: int, cores: float
) -> None:
    """No call is answered before its batch could be; all are, when all the work can be done."""
    outcome = simulate(due_s, service, replicas=replicas, cores=cores)
    assert outcome.latency_s.shape == (len(due_s),)
    least_s = service.takes_s(1) / min(1.0, cores)
    assert (outcome.latency_s >= min(service.takes_s(1), least_s) - 1e-9).all()
    ended_s = np.add(due_s, outcome.latency_s).max(initial=0.0)
    work_s = outcome.batches * service.batch_s + len(due_s) * service.call_s
    slowest = min(1.0, cores / replicas)
    assert ended_s <= max(due_s, default=0.0) + work_s / slowest + 1e-6
    assert outcome.batches <= len(due_s) <= outcome.batches * service.most_calls


@pytest.mark.parametrize("replicas", [1, 4])
def test_more_load_never_helps(replicas: int) -> None:
    """The same callers in less time wait at least as long."""
    service = Service(batch_s=0.2, call_s=0.05, most_calls=16)
    unit_s = poisson(1.0, 20_000)
    most = replicas * service.most_calls_per_s
    p99_s = [
        simulate(unit_s / (load * most), service, replicas=replicas).percentile_s(99)
        for load in (0.2, 0.5, 0.8, 0.95)
    ]
    assert p99_s == sorted(p99_s)


@pytest.mark.parametrize("turns", ["in turn", "at random"])
def test_all_replicas_together_wait_as_one_that_is_as_fast_at_light_load(turns: str) -> None:
    """Where nobody meets anybody, a call takes what a batch of one takes."""
    service = Service(batch_s=1e-4, call_s=1e-4, most_calls=16)
    outcome = simulate(poisson(0.1, 500), service, replicas=100, turns=turns)
    np.testing.assert_allclose(outcome.latency_s, 2e-4, rtol=1e-6)
