"""Ray, started or joined without a word on the terminal."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flatdense_server.engine.cpus import usable_cpus

from flatdense_cluster.errors import ClusterError

LOCAL: Final = "local"

CONNECT_S: Final = 10.0

OBJECT_STORE_BYTES: Final = 100 << 20
"""Only the numbers of parts and receipts pass through it: pixels never do."""


@contextmanager
def joined(address: str) -> Iterator[int]:
    """Joins a cluster, or starts one on this machine for `local`. Gives its number of CPUs.

    A cluster that was started ends with the context, or with the process, however that ends. Raises
    ClusterError where there is none, or another Ray.
    """
    check_address(address)
    quieten_backend()
    import ray.data  # noqa: PLC0415 -- takes a second, and reads its settings

    quieten_data()

    own = {
        "num_cpus": usable_cpus(),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    # Ray sets a handler of its own.
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        # It tells of the level that it was told.
        with closed_error_output():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **(own if address == LOCAL else {}),
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise no_cluster(address, str(error).strip().splitlines()[0]) from error
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield int(ray.cluster_resources().get("CPU", 0))
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Raises ClusterError where Ray itself would try for minutes, or fail later."""
    if address.startswith("ray://"):
        raise ClusterError(
            f"{address} is Ray Client's, through which Ray Data does not run. Use --address auto "
            "on a node of the cluster, or hand the command to `ray job submit`."
        )
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise no_cluster(address, f"{error.strerror or error}.") from error


def no_cluster(address: str, reason: str) -> ClusterError:
    """What to do where there is none."""
    return ClusterError(
        f"no Ray cluster at {address}: {reason} Start one with `ray start --head`, or leave "
        "--address out to use this machine alone."
    )


def quieten_backend() -> None:
    """Keeps the lines of Ray's C++ off the terminal. Before its import, or it is too late.

    What the user set stays.
    """
    environment = os.environ  # noqa: TID251 -- Ray is told in no other way
    environment.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    environment.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def quieten_data() -> None:
    """Keeps Ray Data's lines off the terminal; its file in the session's folder has them."""
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL + 1)


@contextmanager
def closed_error_output() -> Iterator[None]:
    """Lets the process's standard error, also that of C++, go nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
