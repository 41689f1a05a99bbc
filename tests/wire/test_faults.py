"""Careless and hostile callers, on both lanes: nobody else is hurt, and nothing is left behind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from abuse import ABUSES, Abuse, half_open, hold_streams_open
from flatdense_client import Client, Overloaded
from footprint import footprint
from server_process import ServerProcess
from soak import GoodCaller

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.usefixtures("compiled")]

TIMES = 3

BRIEF = [abuse for abuse in ABUSES if abuse is not hold_streams_open]
"""That one has a test of its own below: the lanes differ."""

SPARE_DESCRIPTORS = 5
"""Connections of the good caller, and such as are just being closed."""


@pytest.fixture(scope="module", params=["express", "standard"])
def lane(request: pytest.FixtureRequest) -> str:
    """Which way unary calls go."""
    return str(request.param)


@pytest.fixture(scope="module")
def abused(exported_model: Path, lane: str) -> Iterator[ServerProcess]:
    """A server of its own for each lane."""
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--lane", lane)
    with ServerProcess(*options) as server:
        server.ready()
        yield server
        assert server.stop() == 0
        assert not any("Traceback" in str(event) for event in server.events)


@pytest.fixture
def good(abused: ServerProcess) -> Iterator[GoodCaller]:
    """A caller that goes on all the time; in the end each of its answers was right."""
    caller = GoodCaller(abused.address)
    caller.start()
    yield caller
    caller.end()
    assert caller.failure == ""
    assert caller.calls > 0


@pytest.mark.parametrize("abuse", BRIEF, ids=lambda abuse: abuse.__name__)
@pytest.mark.usefixtures("good")
def test_an_abuse_hurts_nobody_else(abused: ServerProcess, abuse: Abuse) -> None:
    """While it goes on a good caller gets its answers, and its connections do not stay."""
    before = footprint(abused.pid).descriptors
    for _ in range(TIMES):
        abuse(abused.address)
    assert descriptors_come_back(abused, before)


def test_thousands_of_half_open_calls_hurt_nobody_else(abused: ServerProcess, lane: str) -> None:
    """While they are held another caller is served; the standard lane refuses it until they end."""
    image = np.random.default_rng(6).integers(0, 256, (28, 28), dtype=np.uint8)
    before = footprint(abused.pid).descriptors
    with Client(abused.address) as client:
        expected = client.classify(image).probabilities
        with half_open(abused.address, connections=30, streams=100):
            if lane == "express":
                got = client.classify(image).probabilities
            else:
                with pytest.raises(Overloaded):
                    client.classify(image)
        assert descriptors_come_back(abused, before)
        if lane == "standard":
            got = client.classify(image).probabilities
    np.testing.assert_array_equal(got, expected)


def descriptors_come_back(server: ServerProcess, before: int) -> bool:
    """Whether the server closes what callers left, when it gets to it."""
    for _ in range(1000):
        if footprint(server.pid).descriptors <= before + SPARE_DESCRIPTORS:
            return True
        threading.Event().wait(0.01)
    return False
