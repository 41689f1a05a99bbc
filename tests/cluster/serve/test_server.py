"""The server that a replica holds, without Ray."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from flatdense_cluster.errors import ClusterError
from flatdense_cluster.serve.server import COMMAND, Server, write_options

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture
def options(exported_model: Path) -> dict[str, object]:
    """For the repository's model."""
    return {"model_dir": exported_model, "prediction_health": False}


def test_it_answers_when_it_has_started_until_it_is_told_to_end(
    options: dict[str, object],
) -> None:
    """Nothing listens there after stop()."""

    async def live() -> str:
        """Gives where it was."""
        server = await Server.start(options)
        async with grpc.aio.insecure_channel(server.address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
        await server.stop()
        return server.address

    address = asyncio.run(live())
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.FutureTimeoutError):
        grpc.channel_ready_future(channel).result(timeout=0.5)


def test_its_end_is_noticed_though_a_worker_still_answers(options: dict[str, object]) -> None:
    """Whoever waits learns the status of the process, and what it logged last."""

    async def live() -> str:
        """Gives what is said of its end."""
        server = await Server.start({**options, "drain_delay_s": 3})
        os.kill(server.pid, signal.SIGKILL)
        answering = asyncio.create_task(server.stop())
        told = await server.wait()
        assert not answering.done()
        await answering
        return told

    assert "-9" in asyncio.run(live())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"grpc_port": 8500}, "grpc_port: a replica chooses"),
        ({"model_dirr": "x"}, "No such option"),
    ],
)
def test_wrong_settings_are_named(
    options: dict[str, object], wrong: dict[str, object], told: str
) -> None:
    """In a sentence of the replica, or of the server."""
    with pytest.raises(ClusterError, match=told):
        asyncio.run(Server.start({**options, **wrong}))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    """The error has what the server says of it."""
    with pytest.raises(ClusterError, match=str(tmp_path / "nothing")):
        asyncio.run(Server.start({"model_dir": tmp_path / "nothing"}))


def test_settings_become_flags() -> None:
    """Truths too."""
    flags = write_options({"max_queued_rows": 64, "page": False, "model_control": True})
    assert flags[-3:] == ["--max-queued-rows=64", "--no-page", "--model-control"]


def test_it_ends_with_the_process_that_started_it(exported_model: Path) -> None:
    """However that ends: nothing is left behind that holds memory and a port."""
    program = (
        "import subprocess, sys, os, signal;"
        "child = subprocess.Popen([sys.executable, '-m', 'flatdense_cluster.serve.leash',"
        " str(os.getpid()), *sys.argv[1:]], stderr=subprocess.PIPE, text=True);"
        "[print(child.pid, flush=True) for line in child.stderr if 'ready' in line];"
    )
    command = [sys.executable, "-c", program, COMMAND, "--model-dir", str(exported_model)]
    command += ["--grpc-port=0", "--http-port=0", "--workers=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        server = int(parent.stdout.readline())
        watched = os.pidfd_open(server)
        parent.kill()
    try:
        asyncio.run(asyncio.wait_for(wait_for_end(watched), 60))
    finally:
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
        os.close(watched)


async def wait_for_end(watched: int) -> None:
    """Until the process behind a descriptor has ended."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watched)
