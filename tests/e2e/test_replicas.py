"""Several real servers on addresses of their own: one goes, or comes, and no call is lost."""

import asyncio
import os
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cut import Namespace
from flatdense_client import AsyncClient, Client, Predictions
from name_server import NameServer
from server_process import COMMAND, ServerProcess

NAME = "digits.test"
CALLERS = 4

pytestmark = pytest.mark.xdist_group("replicas")

Images = npt.NDArray[np.uint8]
Address = str | Sequence[str]
Start = Callable[..., ServerProcess]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is entered ends with the test, last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(exported_model: Path, stack: ExitStack) -> Start:
    """Starts a server on an address, ready."""

    def run(host: str, *options: str, prefix: Sequence[str] = ()) -> ServerProcess:
        """With one worker."""
        server = ServerProcess(
            *("--host", host, "--model-dir", str(exported_model), "--workers", "1", *options),
            command=[*prefix, COMMAND],
        )
        stack.enter_context(server).ready()
        return server

    return run


class Callers:
    """Tasks or threads that call without a pause, and check each answer and its order."""

    def __init__(self) -> None:
        self._images = np.random.default_rng(0).integers(0, 256, (CALLERS + 2, 784), np.uint8)
        self._is_over = threading.Event()
        self.calls = [0] * CALLERS
        """That each of them has made."""

    def learn(self, address: Address) -> None:
        """What the right answers are."""
        with Client(address) as client:
            self._expected = client.classify(self._images).probabilities

    def stop(self) -> None:
        """No more calls."""
        self._is_over.set()

    def wait(self, more: int) -> None:
        """Until each of them has made so many more."""
        wanted = [calls + more for calls in self.calls]
        until(lambda: all(map(int.__ge__, self.calls, wanted)) or self._is_over.is_set())

    def call_by_threads(self, address: Address) -> None:
        """Until stop(); raises what a call raises."""

        def call(number: int) -> None:
            while not self._is_over.is_set():
                self._check(number, client.classify(self._some(number)))

        with Client(address) as client, ThreadPoolExecutor(CALLERS) as pool:
            for done in [pool.submit(call, number) for number in range(CALLERS)]:
                self._stop_after(done.result)

    def call_by_tasks(self, address: Address) -> None:
        """The same in asyncio."""

        async def call(client: AsyncClient, number: int) -> None:
            """Without a pause."""
            while not self._is_over.is_set():
                self._check(number, await client.classify(self._some(number)))

        async def call_all() -> None:
            """All of them."""
            async with AsyncClient(address) as client:
                await asyncio.gather(*(call(client, number) for number in range(CALLERS)))

        self._stop_after(lambda: asyncio.run(call_all()))

    def _stop_after(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._is_over.set()

    def _some(self, number: int) -> Images:
        return self._images[number : number + 3]

    def _check(self, number: int, predictions: Predictions) -> None:
        np.testing.assert_allclose(
            predictions.probabilities, self._expected[number : number + 3], rtol=0, atol=1e-5
        )
        self.calls[number] += 1


Calling = Callable[[Address], AbstractContextManager[Callers]]


@pytest.fixture(params=["call_by_threads", "call_by_tasks"])
def calling(request: pytest.FixtureRequest) -> Calling:
    """Callers of an address, by threads and by tasks; in the end, all their calls were answered."""

    @contextmanager
    def make(address: Address) -> Iterator[Callers]:
        callers = Callers()
        callers.learn(address)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(getattr(callers, request.param), address)
            try:
                callers.wait(10)
                yield callers
            finally:
                callers.stop()
            done.result()

    return make


def until(is_so: Callable[[], bool]) -> None:
    """Waits for what others do."""
    end_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def until_called(server: ServerProcess) -> None:
    """Until a server has answered more calls than it has now."""
    before = answered(server)
    until(lambda: answered(server) > before)


def answered(server: ServerProcess) -> float:
    """How many calls of Classify."""
    with urllib.request.urlopen(f"{server.page}metrics", timeout=30) as response:
        told = response.read().decode()
    found = re.search(r'flatdense_requests_total\{.*code="OK".*/Classify".*\} (\S+)', told)
    return float(found[1]) if found else 0


def port_of(server: ServerProcess) -> str:
    """Of gRPC."""
    return server.address.rpartition(":")[2]


@pytest.fixture
def names() -> Iterator[NameServer]:
    """Asked by gRPC alone."""
    with NameServer() as server:
        yield server


def test_one_that_comes_gets_its_share(start: Start, calling: Calling, names: NameServer) -> None:
    """A server that a DNS name means from now on is found when a connection has its age."""
    aging = ("--max-connection-age-s", "1")
    first = start("127.0.0.2", *aging)
    port = port_of(first)
    names.set(NAME, ["127.0.0.2"])
    with calling(names.target(NAME, int(port))):
        second = start("127.0.0.3", "--grpc-port", port, *aging)
        names.set(NAME, ["127.0.0.2", "127.0.0.3"])
        until_called(second)
        until_called(first)


def test_one_that_drains_is_missed_by_no_call(
    start: Start, calling: Calling, names: NameServer
) -> None:
    """A server that is told to end, and leaves its name, ends well under load."""
    servers = [start("127.0.0.2")]
    port = port_of(servers[0])
    servers.append(start("127.0.0.3", "--grpc-port", port))
    names.set(NAME, ["127.0.0.2", "127.0.0.3"])
    with calling(names.target(NAME, int(port))) as callers:
        for server in servers:
            until_called(server)
        names.set(NAME, ["127.0.0.2"])
        assert servers[1].stop() == 0
        callers.wait(20)


def test_one_that_is_killed_is_missed_by_no_call(start: Start, calling: Calling) -> None:
    """A server whose processes are gone at once had calls; others answer them."""
    servers = [start(f"127.0.0.{n}") for n in (2, 3)]
    with calling(",".join(server.address for server in servers)) as callers:
        for server in servers:
            until_called(server)
        for pid in (*servers[1].worker_pids, servers[1].pid):
            os.kill(pid, signal.SIGKILL)
        callers.wait(20)


def test_one_that_stands_still_is_missed_by_no_call(start: Start, calling: Calling) -> None:
    """A server that takes bytes and does nothing is left within the deadline, and found again."""
    servers = [start(f"127.0.0.{n}") for n in (2, 3)]
    with calling([server.address for server in servers]) as callers:
        for server in servers:
            until_called(server)
        (worker,) = servers[1].worker_pids
        os.kill(worker, signal.SIGSTOP)
        try:
            callers.wait(20)
        finally:
            os.kill(worker, signal.SIGCONT)
        until_called(servers[1])


def test_one_that_is_cut_off_is_missed_by_no_call(
    start: Start, calling: Calling, stack: ExitStack
) -> None:
    """An address that nothing reaches any more is left within the deadline, and found again."""
    try:
        far = stack.enter_context(Namespace())
    except PermissionError as error:
        pytest.skip(str(error))
    servers = [start("127.0.0.2"), start(far.address, prefix=far.prefix)]
    with calling([server.address for server in servers]) as callers:
        for server in servers:
            until_called(server)
        far.cut()
        callers.wait(20)
        far.mend()
        until_called(servers[1])
