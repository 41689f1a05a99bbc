"""Workers wait for one another, for a while."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from flatdense_training.errors import WorkerLost
from flatdense_training.fit.meeting import await_others
from flatdense_training.fit.place import Place


def places(count: int) -> list[Place]:
    """Of so many workers on free ports of this machine."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        addresses = tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)
    cluster = {"worker": addresses}
    return [Place(cluster=cluster, job="worker", index=number) for number in range(count)]


def test_all_of_them_meet() -> None:
    """Whoever comes first; and their ports are free again."""
    crew = places(4)
    with ThreadPoolExecutor(len(crew)) as threads:
        for done in [threads.submit(await_others, place, wait_s=60) for place in crew]:
            done.result()
    for address in crew[0].addresses:
        socket.create_server(("", int(address.rpartition(":")[2]))).close()


def test_one_that_does_not_come_is_named() -> None:
    """By everybody else, in bounded time."""
    crew = places(3)
    with ThreadPoolExecutor(2) as threads:
        for waiting in [threads.submit(await_others, place, wait_s=1) for place in crew[:2]]:
            with pytest.raises(WorkerLost, match=f"no word from {crew[0].addresses[2]}. Start"):
                waiting.result()


def test_a_port_that_is_taken() -> None:
    """The message names the address."""
    place = places(2)[0]
    port = int(place.addresses[0].rpartition(":")[2])
    with (
        socket.create_server(("", port)),
        pytest.raises(WorkerLost, match=f"cannot listen at its address {place.addresses[0]}: Addr"),
    ):
        await_others(place, wait_s=1)


def test_strangers_do_not_count() -> None:
    """What connects to a port and says nothing, or something else, is no worker."""
    crew = places(2)
    host, _, port = crew[1].addresses[1].rpartition(":")
    with (
        ThreadPoolExecutor(1) as threads,
        socket.create_server((host, int(port))),  # listens, and never says a number
    ):
        waiting = threads.submit(await_others, crew[0], wait_s=1)
        with pytest.raises(WorkerLost, match=f"no word from {crew[1].addresses[1]}"):
            waiting.result()
