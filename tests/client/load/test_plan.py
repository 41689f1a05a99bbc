"""A load that is shared."""

import pytest
from flatdense_client._load.plan import ClosedLoop, OpenLoop, Plan
from hypothesis import given, settings
from hypothesis import strategies as st


def _plan(loop: OpenLoop | ClosedLoop, connections: int) -> Plan:
    return Plan(
        address="localhost:8500",
        protocol="native",
        messages=[b""],
        rows=1,
        loop=loop,
        duration_s=1.0,
        warmup_s=1.0,
        timeout_s=1.0,
        connections=connections,
        max_calls=10_000,
    )


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(0, 100), st.integers(0, 100))
def test_shares_make_up_the_whole(generators: int, more_callers: int, more: int) -> None:
    """Callers and connections of all shares are those of the plan, and nobody is without."""
    callers, connections = generators + more_callers, generators + more
    shares = _plan(ClosedLoop(concurrency=callers), connections).share(generators)
    assert sum(share.connections for share in shares) == connections
    counts = [s.loop.concurrency for s in shares if isinstance(s.loop, ClosedLoop)]
    assert sum(counts) == callers
    assert min(counts) >= 1
    assert max(counts) - min(counts) <= 1
    assert [share.number for share in shares] == list(range(generators))
    assert sum(share.max_calls for share in shares) <= 10_000


@settings(deadline=None)
@given(st.floats(0.1, 1e6), st.integers(1, 50))
def test_shares_of_a_rate_add_up(rate: float, generators: int) -> None:
    """The rates of all shares are the rate of the plan."""
    shares = _plan(OpenLoop(rate=rate, arrivals="poisson"), 50).share(generators)
    rates = [share.loop.rate for share in shares if isinstance(share.loop, OpenLoop)]
    assert sum(rates) == pytest.approx(rate)


@pytest.mark.parametrize(("callers", "connections"), [(2, 3), (3, 2)])
def test_what_cannot_be_shared_is_refused(callers: int, connections: int) -> None:
    """A generator without a caller or a connection is refused."""
    with pytest.raises(ValueError, match="2 cannot be shared by 3"):
        _plan(ClosedLoop(concurrency=callers), connections).share(3)
