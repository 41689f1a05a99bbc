"""Versions come and go under a running server."""

import shutil
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from flatdense_client import Client, NotFound
from publishing import publish
from server_process import ServerProcess

IMAGE = np.zeros((28, 28), np.uint8)

SWAPS = 10

AOT = ("--engine", "aot", "--poll-interval-s", "0.05")
ONE_WORKER = ("--workers", "1")
"""Each worker follows the folder by itself: with one there is one order of events."""


class Caller(threading.Thread):
    """Calls without a pause, and notes which versions answered, until it is stopped."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._stopped = threading.Event()
        self.versions: set[int] = set()
        self.failure: Exception | None = None

    def run(self) -> None:
        """Any error is a failure."""
        try:
            with Client(self._address) as client:
                while not self._stopped.is_set():
                    self.versions.add(client.classify(IMAGE).model_version)
        except Exception as error:  # noqa: BLE001 -- the test looks at it
            self.failure = error

    def finish(self) -> None:
        """Ends the calls."""
        self._stopped.set()
        self.join()


@pytest.mark.usefixtures("compiled")
def test_versions_swap_without_a_lost_call(exported_model: Path, tmp_path: Path) -> None:
    """Ten new versions, a bad one and a rollback under load: no call fails, and each shows."""
    model_dir = Path(shutil.copytree(exported_model, tmp_path / "model"))
    options = ("--model-dir", str(model_dir), *AOT, *ONE_WORKER)
    with ServerProcess(*options) as server:
        server.ready()
        callers = [Caller(server.address) for _ in range(3)]
        for caller in callers:
            caller.start()
        for version in range(2, SWAPS + 2):
            publish(model_dir, version)
            server.wait_for("swapped", version=version)
        publish(model_dir, 50, damaged=True)
        assert "weights.safetensors" in server.wait_for("version refused")["reason"]
        shutil.rmtree(model_dir / str(SWAPS + 1))
        server.wait_for("swapped", version=SWAPS, was=SWAPS + 1)
        with Client(server.address) as client:
            assert client.model().version == SWAPS
        for caller in callers:
            caller.finish()
        assert server.stop() == 0
    assert [caller.failure for caller in callers] == [None] * 3
    seen = set().union(*(caller.versions for caller in callers))
    assert {1, 2, SWAPS} <= seen


def write_policy(model_dir: Path, text: str) -> None:
    """Replaces versions.toml by one rename."""
    (model_dir / ".versions.toml").write_text(text)
    (model_dir / ".versions.toml").rename(model_dir / "versions.toml")


@pytest.mark.usefixtures("compiled")
def test_moving_a_label_rolls_back_without_a_lost_call(
    exported_model: Path, tmp_path: Path
) -> None:
    """Under load `stable` moves on, to a version that is not there, and back: no call fails."""
    model_dir = Path(shutil.copytree(exported_model, tmp_path / "model"))
    publish(model_dir, 2)
    write_policy(model_dir, "[labels]\nstable = 1\ncanary = 2")
    options = ("--model-dir", str(model_dir), *AOT, *ONE_WORKER)
    with ServerProcess(*options) as server:
        assert server.ready()["version"] == 1
        callers = [Caller(server.address) for _ in range(3)]
        for caller in callers:
            caller.start()
        with Client(server.address, model_label="canary") as canary:
            assert canary.classify(IMAGE).model_version == 2
        write_policy(model_dir, "[labels]\nstable = 2")
        server.wait_for("swapped", version=2, was=1)
        with Client(server.address, model_label="canary") as canary, pytest.raises(NotFound):
            canary.classify(IMAGE)
        write_policy(model_dir, "[labels]\nstable = 9")
        assert "there is no folder" in server.wait_for("version refused", version=9)["reason"]
        with Client(server.address) as client:
            states = {status.version: status for status in client.model().versions}
            assert client.model().version == 2
        assert (states[2].labels, states[9].state) == (("stable",), "failed")
        write_policy(model_dir, "[labels]\nstable = 1")
        server.wait_for("swapped", version=1, was=2)
        for caller in callers:
            caller.finish()
        assert server.stop() == 0
    assert [caller.failure for caller in callers] == [None] * 3
    assert set().union(*(caller.versions for caller in callers)) == {1, 2}


@pytest.mark.usefixtures("compiled")
def test_a_shadow_sees_live_batches_and_answers_nobody(
    exported_model: Path, tmp_path: Path
) -> None:
    """The newest version, named as the shadow, is compared and shown, and version 1 answers."""
    model_dir = Path(shutil.copytree(exported_model, tmp_path / "model"))
    publish(model_dir, 2)
    options = ("--model-dir", str(model_dir), *AOT, *ONE_WORKER)
    with ServerProcess(*options, "--shadow-version", "2", "--shadow-fraction", "1") as server:
        assert server.ready()["version"] == 1
        server.wait_for("comparing", version=2)
        with Client(server.address) as client:
            for _ in range(10_000):
                assert client.classify(IMAGE).model_version == 1
                if read_metric(server.page, "flatdense_shadow_rows_total"):
                    break
            assert [status.state for status in client.model().versions] == ["ready", "shadow"]
        rows = read_metric(server.page, "flatdense_shadow_rows_total")
        assert rows > 0
        assert read_metric(server.page, "flatdense_shadow_agreeing_rows_total") >= rows
        assert read_metric(server.page, "flatdense_shadow_largest_difference") == 0
        assert server.stop() == 0


def read_metric(page: str, name: str) -> float:
    """The sum of a metric's samples; 0 where there is none."""
    with urllib.request.urlopen(page + "metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))
