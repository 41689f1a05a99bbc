"""Callers that connect and then do nothing: nobody else is hurt, and nothing is left behind."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from connections import MOST_NEW_DESCRIPTORS, allow_descriptors, crowd, settled
from flatdense_client import AsyncClient, Client
from footprint import footprint
from server_process import ServerProcess

pytestmark = [pytest.mark.xdist_group("connections"), pytest.mark.usefixtures("compiled")]

CONNECTIONS = 500


@pytest.fixture
def server(exported_model: Path) -> Iterator[ServerProcess]:
    """A server whose descriptors nobody else opens."""
    allow_descriptors(CONNECTIONS + 500)
    with ServerProcess("--model-dir", str(exported_model), "--engine", "aot") as server:
        server.ready()
        yield server
        assert server.stop() == 0


def test_a_thousand_calls_at_a_time_on_one_connection_are_all_answered(
    server: ServerProcess,
) -> None:
    """Again and again: the streams of calls that have ended count against nobody."""
    image = np.random.default_rng(8).integers(0, 256, (28, 28), dtype=np.uint8)

    async def classify() -> list[str]:
        """The answers that are not those of a lone call."""
        async with AsyncClient(server.address, coalesce=False, timeout_s=60) as client:
            expected = (await client.classify(image))[0].label

            async def call() -> list[str]:
                """One caller, five calls."""
                return [(await client.classify(image))[0].label for _ in range(5)]

            answers = await asyncio.gather(*(call() for _ in range(1000)))
            return [label for labels in answers for label in labels if label != expected]

    assert asyncio.run(classify()) == []


def test_a_crowd_of_idle_connections_hurts_nobody_and_leaves_nothing(server: ServerProcess) -> None:
    """While they are held a caller gets its answer; when they have ended no descriptor stays."""
    image = np.random.default_rng(8).integers(0, 256, (28, 28), dtype=np.uint8)
    with Client(server.address) as client:
        expected = client.classify(image).probabilities
        before = footprint(server.pid).descriptors
        with crowd(server.address, CONNECTIONS):
            assert footprint(server.pid).descriptors >= before + CONNECTIONS
            got = client.classify(image).probabilities
        left = settled(server.pid, before + MOST_NEW_DESCRIPTORS)
    np.testing.assert_array_equal(got, expected)
    assert left.descriptors <= before + MOST_NEW_DESCRIPTORS
