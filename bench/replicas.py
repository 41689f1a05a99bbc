"""What callers notice when one of several servers goes, or one comes: `python bench/replicas.py`.

Servers of one worker each, on addresses of their own behind one DNS name; a process that begins
calls through the SDK when they are due (open_calls.py); and in the middle of it something happens
to one server, and is mended. The address that is cut off is in a network namespace, which only root
can make. Ends with an error where a call was lost or answered wrongly. Writes
bench/results/replicas.json, with the machine's description, and a table of docs/scaling.md.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cut import Namespace
from machine import describe_machine
from name_server import NameServer
from open_calls import WRONG, Fate
from report import REPLICAS, REPLICAS_PAGE, REPLICAS_SECTION, Results, publish, render_replicas

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import COMMAND, ServerProcess  # noqa: E402 -- after the path that it is on

OPTIONS = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")
NAME = "digits.test"

SERVERS = 3
RATE = 150.0
APIS = ("Client", "AsyncClient")

BEFORE_S = 4.0
TROUBLE_S = 12.0
"""Longer than a call may take."""
AFTER_S = 2.0
BACK_S = 60.0
"""Until a server that is mended must have had a call."""
TICK_S = 0.05

AGE = ("--max-connection-age-s", "5")

SLOW_S = 0.1
RETRYING = b"retrying failed call"
"""What gRPC says of each call that it sends once more, where it is asked to say it."""


class Fleet:
    """Servers behind one name."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._names = stack.enter_context(NameServer())
        self._port = "0"
        self._options: tuple[str, ...] = ()
        self.servers: dict[str, ServerProcess] = {}
        """By address. The last one is that to which something happens."""
        self.far: Namespace | None = None
        """Where the last one is, if it is not here."""

    def start_all(self, options: tuple[str, ...], *, is_last_far: bool) -> None:
        """So many as there are to be. Raises PermissionError: there can be no namespace."""
        self._options = options
        for number in range(SERVERS - is_last_far):
            self.start(f"127.0.0.{2 + number}")
        if is_last_far:
            self.far = self._stack.enter_context(Namespace())
            self.start(self.far.address, prefix=self.far.prefix)

    def start(self, host: str, prefix: tuple[str, ...] = ()) -> None:
        """One more, or one in place of another that is gone; ready, and not in the name yet."""
        server = ServerProcess(
            *(*OPTIONS, "--host", host, "--grpc-port", self._port, *self._options),
            command=(*prefix, COMMAND),
        )
        self._stack.enter_context(server).ready()
        self._port = server.address.rpartition(":")[2]
        self.servers[host] = server

    def name(self, *, is_last_in: bool = True) -> str:
        """From now on the name means all servers, or all but the last. Gives what to tell gRPC."""
        hosts = list(self.servers)
        self._names.set(NAME, hosts if is_last_in else hosts[:-1])
        return self._names.target(NAME, int(self._port))

    @property
    def last_host(self) -> str:
        """The address of the last one."""
        return list(self.servers)[-1]

    @property
    def last(self) -> ServerProcess:
        """The server there."""
        return self.servers[self.last_host]


def answered(server: ServerProcess) -> float:
    """How many calls of Classify it has answered."""
    with urllib.request.urlopen(f"{server.page}metrics") as response:  # noqa: S310 -- our own server
        told = response.read().decode()
    found = re.search(r'flatdense_requests_total\{.*code="OK".*/Classify".*\} (\S+)', told)
    return float(found[1]) if found else 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happens to the last server, and what ends it."""

    happen: Callable[[Fleet], None]
    end: Callable[[Fleet], None] | None = None
    options: tuple[str, ...] = ()
    """Of all servers."""
    is_last_far: bool = False
    is_last_in: bool = True
    """Whether the name means it, too, from the beginning on."""


def kill(fleet: Fleet) -> None:
    """All its processes at once."""
    for pid in (*fleet.last.worker_pids, fleet.last.pid):
        os.kill(pid, signal.SIGKILL)


def drain(fleet: Fleet) -> None:
    """It is told to end."""
    fleet.last.send(signal.SIGTERM)


def replace(fleet: Fleet) -> None:
    """Another one comes to its address."""
    fleet.start(fleet.last_host)


def freeze(fleet: Fleet) -> None:
    """Its worker does nothing any more; the kernel still takes bytes for it."""
    for pid in fleet.last.worker_pids:
        os.kill(pid, signal.SIGSTOP)


def thaw(fleet: Fleet) -> None:
    """It goes on."""
    for pid in fleet.last.worker_pids:
        os.kill(pid, signal.SIGCONT)


def cut(fleet: Fleet) -> None:
    """Nothing reaches its address."""
    if fleet.far:
        fleet.far.cut()


def mend(fleet: Fleet) -> None:
    """Everything does."""
    if fleet.far:
        fleet.far.mend()


def add(fleet: Fleet) -> None:
    """The name means it, too."""
    fleet.name()


EVENTS = {
    "one is killed (SIGKILL)": Event(happen=kill, end=replace),
    "one drains (SIGTERM)": Event(happen=drain, end=replace),
    "one stands still (SIGSTOP)": Event(happen=freeze, end=thaw),
    "one is cut off": Event(happen=cut, end=mend, is_last_far=True),
    f"one comes (`{' '.join(AGE)}`)": Event(happen=add, options=AGE, is_last_in=False),
}


def main(rounds: int) -> None:
    """Measures, writes, prints, judges."""
    events: dict[str, dict[str, list[Results]]] = {}
    absent: dict[str, str] = {}
    for name, event in EVENTS.items():
        try:
            events[name] = {api: [measure(event, api) for _ in range(rounds)] for api in APIS}
        except PermissionError as error:
            absent[name] = str(error)
    results = {
        "machine": describe_machine(),
        "rounds": rounds,
        "servers": SERVERS,
        "rate": RATE,
        "events": events,
        "absent": absent,
    }
    section = render_replicas(results)
    publish(results, REPLICAS, REPLICAS_PAGE, section, REPLICAS_SECTION)
    print(section)
    if faults := [
        f"{name}, {api}: {each['lost']} calls lost, {each['wrong']} wrong: {each['told']}"
        for name, apis in events.items()
        for api, found in apis.items()
        for each in found
        if each["lost"] or each["wrong"]
    ]:
        raise SystemExit("\n".join(faults))


def measure(event: Event, api: str) -> Results:
    """One event, with servers of its own. Raises PermissionError: there can be no namespace."""
    with ExitStack() as stack:
        fleet = Fleet(stack)
        fleet.start_all(event.options, is_last_far=event.is_last_far)
        with calling(fleet.name(is_last_in=event.is_last_in), api) as load:
            time.sleep(BEFORE_S)
            happened_s = time.monotonic()
            event.happen(fleet)
            if event.end:
                time.sleep(TROUBLE_S)
            ended_s = time.monotonic()
            if event.end:
                event.end(fleet)
            back_s = wait_back(fleet)
            time.sleep(AFTER_S)
        found = judge(load.fates, happened_s, ended_s)
    return {**found, "retries": load.retries, "back_s": back_s}


def wait_back(fleet: Fleet) -> float:
    """How long it is until the last server, which can answer, has answered a call more."""
    since_s, before = time.monotonic(), answered(fleet.last)
    while answered(fleet.last) <= before:
        if time.monotonic() > since_s + BACK_S:
            raise SystemExit(f"{fleet.last_host} had no call within {BACK_S:g} s")
        time.sleep(TICK_S)
    return time.monotonic() - since_s


class Load:
    """What became of the calls. When calling() has ended."""

    fates: list[Fate]
    retries: int


@contextmanager
def calling(target: str, api: str, rate: float = RATE) -> Iterator[Load]:
    """Calls are due from the beginning to the end, and all are waited for."""
    script = [sys.executable, HERE / "open_calls.py", target, "--api", api, "--rate", str(rate)]
    speaking = {**os.environ, "GRPC_TRACE": "retry", "GRPC_VERBOSITY": "info"}  # noqa: TID251 -- handed on
    load = Load()
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(  # noqa: S603 -- our own script
            script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=speaking
        ) as process,
    ):
        assert process.stdout  # noqa: S101 -- it was asked for
        if process.stdout.readline() != b"ready\n":
            log.seek(0)
            raise SystemExit(f"open_calls.py did not begin:\n{log.read().decode()}")
        yield load
        said, _ = process.communicate()
        load.fates = [tuple(fate) for fate in json.loads(said)]
        log.seek(0)
        load.retries = sum(RETRYING in line for line in log)


def judge(fates: list[Fate], happened_s: float, ended_s: float) -> Results:
    """What callers noticed."""
    before_s = sorted(took_s for due_s, took_s, _ in fates if due_s < happened_s)
    since = [fate for fate in fates if fate[0] >= happened_s]
    p99_s = before_s[int(0.99 * len(before_s))]
    slow_s = max(SLOW_S, 10 * p99_s)
    disturbed_s = [
        due_s - happened_s
        for due_s, took_s, told in since
        if due_s < ended_s and (took_s > slow_s or told)
    ]
    told = [told for *_, told in fates if told]
    return {
        "calls": len(fates),
        "lost": sum(each != WRONG for each in told),
        "wrong": sum(each == WRONG for each in told),
        "told": sorted(set(told)),
        "p99_before_ms": 1e3 * p99_s,
        "slowest_ms": 1e3 * max(took_s for _, took_s, _ in since),
        "disturbed_s": max(disturbed_s, default=0.0),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    main(parser.parse_args().rounds)
