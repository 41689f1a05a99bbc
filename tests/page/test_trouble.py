"""Servers that go and come back, versions that vanish: a sentence, and it recovers by itself."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest
from page.handwriting import write_digits
from page.sheet import NOTHING, OpenPage
from server_process import ServerProcess

pytestmark = [pytest.mark.xdist_group("page"), pytest.mark.usefixtures("compiled")]

Start: TypeAlias = Callable[..., ServerProcess]

SEVEN = next(digit for digit in write_digits() if digit.label == 7)
THREE = next(digit for digit in write_digits() if digit.label == 3)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers of a model folder; they end with the test."""
    with ExitStack() as started:

        def start(model_dir: Path, *options: str) -> ServerProcess:
            """Not waiting until it is ready."""
            served = ("--model-dir", str(model_dir), "--engine", "aot", "--workers", "1")
            return started.enter_context(ServerProcess(*served, *options))

        yield start


def find_port() -> str:
    """A free one, which two servers after one another can have."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return str(listener.getsockname()[1])


def test_a_server_that_restarts_while_somebody_draws(
    open_page: OpenPage, start: Start, exported_model: Path
) -> None:
    """The page says so, and answers what was drawn meanwhile when the server is back."""
    port = find_port()
    first = start(exported_model, "--http-port", port)
    first.ready()
    sheet = open_page(first.page)
    assert sheet.write(SEVEN) == "7"
    assert first.stop() == 0
    sheet.clear()
    sheet.draw(*THREE.strokes)
    sheet.wait_for_text("#status", "The server does not answer.")
    assert sheet.text("#best") == NOTHING
    start(exported_model, "--http-port", port).ready()
    sheet.wait_for_text("#best", "3")
    sheet.page.locator("#status").wait_for(state="hidden")


def test_a_version_that_vanishes(
    open_page: OpenPage, start: Start, exported_model: Path, tmp_path: Path
) -> None:
    """Who looks at it is told, and sees the version that is served by default."""
    for version in ("1", "2"):
        shutil.copytree(exported_model / "1", tmp_path / version)
    policy = tmp_path / "versions.toml"
    policy.write_text("versions = [1, 2]\n")
    server = start(tmp_path, "--poll-interval-s", "0.1")
    server.ready()
    sheet = open_page(server.page)
    sheet.page.locator("#version").select_option("1")
    assert sheet.write(SEVEN) == "7"
    sheet.wait_for_text("#timing", "Version 1.")
    policy.write_text("versions = [2]\n")
    sheet.wait_for_text("#status", "Version 1 is not served any more.")
    sheet.wait_for_text("#timing", "Version 2.")
    assert sheet.page.locator("#version").input_value() == ""
    assert sheet.text("#best") == "7"


def test_a_new_version_is_noticed(
    open_page: OpenPage, start: Start, exported_model: Path, tmp_path: Path
) -> None:
    """What is drawn is answered by it, and nothing has to be done."""
    shutil.copytree(exported_model / "1", tmp_path / "1")
    server = start(tmp_path, "--poll-interval-s", "0.1")
    server.ready()
    sheet = open_page(server.page)
    assert sheet.write(SEVEN) == "7"
    aside = shutil.copytree(exported_model / "1", tmp_path / ".aside")
    Path(aside).rename(tmp_path / "2")
    sheet.wait_for_text("#timing", "Version 2.")
    sheet.wait_for_text("#model-lead", "version 2")


def test_a_model_that_is_unloaded(open_page: OpenPage, start: Start, exported_model: Path) -> None:
    """The page says so; what is drawn meanwhile is answered once the model is loaded again."""
    server = start(exported_model, "--model-control")
    server.ready()
    sheet = open_page(server.page)
    assert sheet.write(SEVEN) == "7"
    control = f"{server.page}v2/repository/models/mnist"
    assert httpx.post(f"{control}/unload", timeout=60).status_code == 200
    sheet.wait_for_text("#status", "It is asked again and again.")
    sheet.clear()
    sheet.draw(*THREE.strokes)
    assert httpx.post(f"{control}/load", timeout=60).status_code == 200
    sheet.wait_for_text("#best", "3")
    sheet.page.locator("#status").wait_for(state="hidden")


CONVOLUTION = """
import sys
import keras
layers = keras.layers
model = keras.Sequential([
    keras.Input((28, 28, 1)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(),
    layers.Dense(10, activation="softmax"),
])
model.export(sys.argv[1], verbose=False)
"""
"""A network whose logits are no sums over one layer of neurons, untrained."""


def test_a_version_that_cannot_be_explained(
    open_page: OpenPage, start: Start, tmp_path: Path
) -> None:
    """It is said once, though more is drawn; what is drawn is answered."""
    subprocess.run([sys.executable, "-c", CONVOLUTION, tmp_path / "1"], check=True, timeout=120)
    server = start(tmp_path, "--engine", "jit", "--cache-dir", str(tmp_path / "cache"))
    server.ready()
    sheet = open_page(server.page)
    asked: list[str] = []
    sheet.page.on("request", lambda request: asked.append(request.url))
    sheet.page.locator("#circuit").scroll_into_view_if_needed()
    for digit in (SEVEN, THREE, SEVEN):
        sheet.write(digit)
        sheet.page.locator("#circuit").scroll_into_view_if_needed()
        sheet.page.wait_for_selector("#circuit[aria-busy=false]")
    assert "version 1 cannot be explained" in (sheet.page.locator("#status").text_content() or "")
    assert sum(url.endswith(":explain") for url in asked) == 1
