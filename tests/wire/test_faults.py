"""Careless and hostile callers, on both lanes: nobody else is hurt, and nothing is left behind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from abuse import ABUSES, Abuse
from server_process import ServerProcess
from soak import GoodCaller, descriptors

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.usefixtures("compiled")]

TIMES = 3

SPARE_DESCRIPTORS = 5
"""Connections of the good caller, and such as are just being closed."""


@pytest.fixture(scope="module", params=["express", "standard"])
def abused(exported_model: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server of its own for each lane."""
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--lane", request.param)
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


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.__name__)
@pytest.mark.usefixtures("good")
def test_an_abuse_hurts_nobody_else(abused: ServerProcess, abuse: Abuse) -> None:
    """While it goes on a good caller gets its answers, and its connections do not stay."""
    before = descriptors(abused.pid)
    for _ in range(TIMES):
        abuse(abused.address)
    for _ in range(1000):  # the server closes what callers left when it gets to it
        if descriptors(abused.pid) <= before + SPARE_DESCRIPTORS:
            break
        threading.Event().wait(0.01)
    assert descriptors(abused.pid) <= before + SPARE_DESCRIPTORS
