"""What the server says a call took."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from flatdense_client import AsyncClient, Client, Hedging, Prediction, Timing
from flatdense_client._results.timing import find_timing, read_timing
from hypothesis import given
from hypothesis import strategies as st
from server_process import ServerProcess

IMAGES = np.random.default_rng(5).integers(0, 256, (5, 28, 28), np.uint8)


async def _by_async_client(address: str, **options: object) -> list[Prediction]:
    async with AsyncClient(address, **options) as client:
        return [*await client.classify(IMAGES[0]), *await client.classify(IMAGES)]


def _by_client(address: str, **options: object) -> list[Prediction]:
    with Client(address, **options) as client:
        return [*client.classify(IMAGES[0]), *client.classify(IMAGES)]


WAYS: dict[str, Callable[[str], list[Prediction]]] = {
    "threads": _by_client,
    "threads, coalesced": lambda address: _by_client(address, coalesce=True),
    "threads, hedged": lambda address: _by_client(address, hedging=Hedging(after_s=1)),
    "threads, cut": lambda address: _by_client(address, rows_per_message=2),
    "asyncio": lambda address: asyncio.run(_by_async_client(address)),
    "asyncio, alone": lambda address: asyncio.run(_by_async_client(address, coalesce=False)),
    "asyncio, hedged": lambda address: asyncio.run(
        _by_async_client(address, hedging=Hedging(after_s=1))
    ),
}


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("way", WAYS)
def test_each_answer_tells_what_it_took(server: ServerProcess, way: str) -> None:
    """Whichever way a message travels, the real server's trailer is read."""
    for prediction in WAYS[way](server.address):
        timing = prediction.timing
        assert timing
        assert 0 < timing.compute_s <= timing.total_s
        assert timing.queue_s <= timing.total_s
        assert timing.batch_rows >= 1


@pytest.mark.xdist_group("server")
def test_an_explanation_tells_what_it_took(server: ServerProcess) -> None:
    """As a prediction does."""
    with Client(server.address) as client:
        timing = client.explain(IMAGES)[0].timing
    assert timing
    assert timing.batch_rows >= len(IMAGES)


def test_what_is_written_is_read() -> None:
    """Milliseconds become seconds, and people read milliseconds."""
    written = "queue;dur=0.041, compute;dur=0.112, total;dur=0.190, batch;desc=64"
    timing = read_timing(find_timing([("other", "x"), ("server-timing", written)]))
    assert timing == Timing(
        queue_s=pytest.approx(41e-6),
        compute_s=pytest.approx(112e-6),
        total_s=pytest.approx(190e-6),
        batch_rows=64,
    )
    assert repr(timing) == (
        "Timing(queue=0.041 ms, compute=0.112 ms, total=0.190 ms, batch_rows=64)"
    )


@given(st.lists(st.tuples(st.just("server-timing"), st.text() | st.binary()), max_size=3))
def test_any_other_trailer_is_passed_over(trailers: list[tuple[str, str | bytes]]) -> None:
    """A server may write what it likes there: no timing, and no error."""
    assert read_timing(find_timing(trailers)) is None


def test_a_server_that_does_not_tell_is_no_error(address: str) -> None:
    """Such as an older one: its answers have no timing."""
    with Client(address) as client:
        assert client.classify(IMAGES)[0].timing is None
