"""Ten thousand connections that do nothing, and a caller beside: `python bench/connections.py`.

Each has sent HTTP/2's preface and its settings, and has heard those of the server. The caller's
median is printed from before and from meanwhile. Half of them then say goodbye, half are reset.
Several times: ends with an error where descriptors do not come back, or where memory still grows by
the last time.
"""

import argparse
import contextlib
import resource
import socket
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from abuse import PREFACE, SETTINGS, frame, kill
from flatdense_client import Client
from footprint import ONE_ARENA, Footprint, footprint

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

OPTIONS = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")

ROUNDS = 4
CALLS = 500

PER_SOURCE: Final = 20_000
"""Connections from one loopback address: there are 28,000 ports by default."""

GOAWAY: Final = 7
GOODBYE: Final = struct.pack(">II", 0, 0)
"""No stream of the server's was seen, and there was no error."""

SPARE_DESCRIPTORS: Final = 100
"""For what a process has open besides."""

CLOSING_S: Final = 30.0
MOST_GROWTH_MB: Final = 10.0
MOST_NEW_DESCRIPTORS: Final = 5


@contextlib.contextmanager
def crowd(address: str, connections: int) -> Iterator[None]:
    """So many connections, held while the context lasts. Each was accepted when it begins."""
    host, port = address.rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        for number in range(connections):
            source = f"127.0.0.{1 + number // PER_SOURCE}"
            connection = stack.enter_context(
                socket.create_connection((host, int(port)), timeout=30, source_address=(source, 0))
            )
            stack.callback(leave if number % 2 else kill, connection)
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
            if not connection.recv(9):
                raise SystemExit(f"the server ended connection {number + 1}")
        yield


def leave(connection: socket.socket) -> None:
    """Says goodbye, as a caller does that has nothing more to ask."""
    with contextlib.suppress(OSError):  # the server may have been first
        connection.sendall(frame(GOAWAY, 0, 0, GOODBYE))


def allow_descriptors(most: int) -> None:
    """Lets this process, and those that it starts, open so many; ends where the system forbids."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < most:
        raise SystemExit(
            f"{most} descriptors are needed and the hard limit is {hard}. "
            "Raise it (ulimit -Hn), or ask for fewer with --connections."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def median_us(address: str) -> float:
    """The median time of one call after another by a caller of its own; ends where one fails."""
    image = np.zeros((28, 28), np.uint8)
    times_s = []
    with Client(address) as client:
        for _ in range(CALLS):
            began_s = time.perf_counter()
            client.classify(image)
            times_s.append(time.perf_counter() - began_s)
    return 1e6 * statistics.median(times_s)


def settled(pid: int, descriptors: int) -> Footprint:
    """The footprint when no more than so many descriptors are left, or after a while."""
    until_s = time.monotonic() + CLOSING_S
    while (now := footprint(pid)).descriptors > descriptors and time.monotonic() < until_s:
        time.sleep(0.1)
    return now


def main(connections: int) -> None:
    """Holds the crowd again and again, prints, judges."""
    allow_descriptors(connections + SPARE_DESCRIPTORS)
    left: list[Footprint] = []
    with ServerProcess(*OPTIONS, variables=ONE_ARENA) as server:
        server.ready()
        before_us = median_us(server.address)
        empty = footprint(server.pid)
        print(f"before: {describe(empty)}, a call {before_us:,.0f} us")
        for _ in range(ROUNDS):
            with crowd(server.address, connections):
                during_us = median_us(server.address)
                full = footprint(server.pid)
            print(f"{connections:,} connections: {describe(full)}, a call {during_us:,.0f} us")
            left.append(settled(server.pid, empty.descriptors + MOST_NEW_DESCRIPTORS))
            print(f"after them: {describe(left[-1])}")
        status = server.stop()
    growth_mb = left[-1].resident_mb - left[-2].resident_mb
    new = left[-1].descriptors - empty.descriptors
    if status or growth_mb > MOST_GROWTH_MB or new > MOST_NEW_DESCRIPTORS:
        raise SystemExit(
            f"exit status {status}, {new} descriptors more than before, "
            f"{growth_mb:.1f} MB more than after the time before"
        )


def describe(found: Footprint) -> str:
    """In a few words."""
    return f"{found.resident_mb:,.1f} MB, {found.descriptors:,} descriptors"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    main(parser.parse_args().connections)
