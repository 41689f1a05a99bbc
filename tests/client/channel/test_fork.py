"""Clients in forked processes: they work or say why not, and never hang or hurt the parent."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("forking.py")

if sys.platform == "win32":
    pytest.skip("there is no fork", allow_module_level=True)

WAYS = pytest.mark.parametrize("way", ["os.fork", "multiprocessing"])

WORKS = {
    "call": "zero",
    "call on threads": "zero",
    "stream": "zero",
    "close": "closed",
    "forget": "forgotten",
    "new client": "zero",
    "new async client": "zero",
}


def _fork(parent: str, way: str, address: str, **variables: str) -> dict[str, dict[str, Any]]:
    """What children of a process say; each has ended by itself, and the parent is whole."""
    environment = os.environ | {"GRPC_VERBOSITY": "NONE"} | variables  # noqa: TID251  # handed on
    done = subprocess.run(
        [sys.executable, PROGRAM, parent, way, address],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, dict[str, Any]] = json.loads(done.stdout)
    for act, child in told.items():
        assert child["status"] == 0, (act, child, done.stderr)
        assert child["parent answers"], act
    return told


@WAYS
@pytest.mark.parametrize("parent", ["nothing", "client"])
def test_a_client_works_in_a_child(address: str, parent: str, way: str) -> None:
    """A client that the parent made, used or not, works in a child, as does a new one."""
    told = _fork(parent, way, address)
    assert {act: child["said"] for act, child in told.items()} == WORKS


@WAYS
@pytest.mark.parametrize("parent", ["async client", "closed async client"])
def test_after_an_async_client_children_are_told(address: str, parent: str, way: str) -> None:
    """After AsyncClient was used no client works in a child, and each call says so at once."""
    told = _fork(parent, way, address)
    for act, child in told.items():
        if WORKS.get(act) not in {"closed", "forgotten"}:
            assert child["said"].startswith("RuntimeError: "), act
            assert "AsyncClient" in child["said"], act
            assert "spawn" in child["said"], act


def test_where_grpc_must_not_survive_children_are_told(address: str) -> None:
    """With gRPC's fork support off calls in a child say so; without a call before they work."""
    told = _fork("client", "os.fork", address, GRPC_ENABLE_FORK_SUPPORT="0")
    for act, child in told.items():
        if WORKS[act] == "zero":
            assert child["said"].startswith("RuntimeError: "), act
            assert "GRPC_ENABLE_FORK_SUPPORT" in child["said"], act
    told = _fork("nothing", "os.fork", address, GRPC_ENABLE_FORK_SUPPORT="0")
    assert {act: child["said"] for act, child in told.items()} == WORKS
