"""Workers meet before TensorFlow connects them: it waits without end, and deaf to Ctrl-C."""

import socket
import time
from typing import Final

from flatdense_training.errors import WorkerLost
from flatdense_training.fit.place import Place

JOIN_S: Final = 300.0
"""So long the first one waits for the last, and then all for TensorFlow."""

POLL_S: Final = 0.2


def await_others(place: Place, *, wait_s: float = JOIN_S) -> None:
    """Returns when each of the other workers was reached from here, and reached this one.

    Until then it listens at its own address, which is free again afterwards. Raises WorkerLost that
    names those that did not come.
    """
    others = set(range(len(place.addresses))) - {place.number}
    to_reach, to_hear = set(others), set(others)
    deadline_s = time.monotonic() + wait_s
    with listen(place.addresses[place.number]) as listener:
        while to_reach or to_hear:
            to_reach = {other for other in to_reach if not reach(place, other)}
            to_hear.discard(hear(listener))
            if (to_reach or to_hear) and time.monotonic() > deadline_s:
                absent = ", ".join(place.addresses[other] for other in sorted(to_reach | to_hear))
                raise WorkerLost(
                    f"Not all workers came within {wait_s:.0f} s: no word from {absent}. Start "
                    "each with the same command and its own TF_CONFIG, and see that each address "
                    "can be reached from all of them."
                )


def listen(address: str) -> socket.socket:
    """On the port of an address, on all interfaces. Raises WorkerLost where it is taken."""
    try:
        listener = socket.create_server(("", split(address)[1]))
    except OSError as error:
        raise WorkerLost(
            f"This worker cannot listen at its address {address}: {error.strerror}. Give it a free "
            "port in TF_CONFIG, the same for all."
        ) from error
    listener.settimeout(POLL_S)
    return listener


def reach(place: Place, other: int) -> bool:
    """Whether another worker was told that this one is there."""
    try:
        with socket.create_connection(split(place.addresses[other]), POLL_S) as connection:
            connection.sendall(b"%d" % place.number)
    except OSError:
        return False
    return True


def hear(listener: socket.socket) -> int | None:
    """The number of a worker that came; None where none did, or a stranger."""
    try:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(POLL_S)
            return int(connection.recv(8))
    except (OSError, ValueError):
        return None


def split(address: str) -> tuple[str, int]:
    """Host and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
