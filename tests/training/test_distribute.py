"""Two workers on this machine learn as one process does."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from flatdense_artifact import read_manifest
from flatdense_training.fit.meeting import await_others
from flatdense_training.fit.place import Place
from safetensors.numpy import load_file

COMMAND = Path(sys.executable).with_name("flatdense-train")

Worker = subprocess.Popen[str]
Start = Callable[..., list[Worker]]

pytestmark = pytest.mark.xdist_group("distribute")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a crew of two, each with folders of its own; they end with the test."""
    with ExitStack() as started:

        def begin(*options: str, differently: tuple[str, ...] = ()) -> list[Worker]:
            """With these options; `differently` are the second one's alone."""
            addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
            crew = []
            for number in range(2):
                task = {"type": "worker", "index": number}
                config = json.dumps({"cluster": {"worker": addresses}, "task": task})
                command = [
                    *(COMMAND, "--distribute", "--tf-config", config, "--dataset", "digits"),
                    *("--cache-dir", tmp_path / f"cache{number}", "--compile", "no"),
                    *("--model-dir", tmp_path / f"models{number}", *options),
                    *(differently if number else ()),
                ]
                process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
                started.enter_context(process)
                started.callback(process.kill)
                crew.append(process)
            return crew

        yield begin


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def until(is_so: Callable[[], bool]) -> None:
    """Waits for what no event tells of."""
    deadline_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def command_of(pid: str) -> str:
    """Its command line; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def end(worker: Worker) -> tuple[int, str]:
    """Exit code, and all that it said."""
    said, _ = worker.communicate(timeout=200)
    assert "Traceback" not in said
    return worker.returncode, said


def await_epoch(worker: Worker) -> None:
    """Until it says that a pass was done."""
    assert worker.stdout
    said = []
    for line in worker.stdout:
        said.append(line)
        if line.startswith("  epoch"):
            return
    pytest.fail("".join(said))


def test_two_workers_learn_as_one_process(start: Start, tmp_path: Path) -> None:
    """The same seed and batches give the same weights, up to rounding, and the same accuracy."""
    options = ("--preset", "quick", "--epochs", "12", "--min-accuracy", "0.5", "--seed", "3")
    chief, other = start(*options)
    code, said = end(chief)
    assert code == 0, said
    code, said = end(other)
    assert code == 0, said
    assert "The chief judges and exports." in said
    assert not (tmp_path / "models1").exists()
    assert not list((tmp_path / "cache1").glob("checkpoints/*"))
    alone = subprocess.run(
        [
            *(COMMAND, "--dataset", "digits", "--model-dir", tmp_path / "alone", *options),
            *("--cache-dir", tmp_path / "cache", "--compile", "no"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert alone.returncode == 0, alone.stderr
    folders = tmp_path / "models0" / "1", tmp_path / "alone" / "1"
    together, single = (load_file(folder / "weights.safetensors") for folder in folders)
    for name, weights in single.items():
        assert np.allclose(together[name], weights, rtol=0, atol=1e-4), name
    accuracies = [read_manifest(folder).metrics.test_accuracy for folder in folders]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.005)


@pytest.mark.parametrize("victim", [0, 1])
def test_one_that_dies_ends_the_others(start: Start, tmp_path: Path, victim: int) -> None:
    """With a sentence; and all go on where the chief's checkpoint is, to the same end."""
    options = ("--preset", "standard", "--epochs", "200", "--min-accuracy", "0.5")
    crew = start(*options)
    await_epoch(crew[victim])
    crew[victim].send_signal(signal.SIGKILL)
    code, said = end(crew[1 - victim])
    assert code == 1, said
    assert "Another worker went away" in said
    assert not (tmp_path / "models0" / "1").exists()
    checkpoints = list((tmp_path / "cache0").glob("checkpoints/*/*.checkpoint"))
    ended = [end(worker) for worker in start(*options, "--resume")]
    assert [code for code, _ in ended] == [0, 0], ended
    went_on = [re.findall(r"goes on after epoch (\d+)", said) for _, said in ended]
    assert went_on[0] == went_on[1]
    assert bool(went_on[0]) == bool(checkpoints)
    assert (tmp_path / "models0" / "1").exists()


JOIN = """
import sys
from flatdense_training.quiet import quiet_tensorflow
with quiet_tensorflow():
    from flatdense_training.fit.crew import join
from flatdense_training.fit.place import parse_place
join(parse_place(sys.argv[1]), wait_s=float(sys.argv[2]))
"""


@contextmanager
def left_alone(wait_s: float) -> Iterator[Worker]:
    """A worker that met another one, which has gone again, and waits so long for TensorFlow."""
    addresses = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    cluster = {"worker": addresses}
    config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    command = [sys.executable, "-c", JOIN, config, str(wait_s)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as worker:
        await_others(Place(cluster=cluster, job="worker", index=1), wait_s=100)
        yield worker


def test_one_that_goes_before_tensorflow_connects_is_not_waited_for() -> None:
    """Those that it had met end with a sentence, in bounded time."""
    with left_alone(wait_s=10) as worker:
        _, said = worker.communicate(timeout=100)
    assert worker.returncode == -signal.SIGKILL
    assert "Error: TensorFlow did not connect the workers within 10 s" in said


def test_ctrl_c_ends_the_wait_for_tensorflow() -> None:
    """At once, and what limits the wait ends with it."""
    with left_alone(wait_s=1000) as worker:
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
        until(lambda: bool(children.read_text()))
        (watch,) = children.read_text().split()
        worker.send_signal(signal.SIGINT)
        _, said = worker.communicate(timeout=100)
        assert worker.returncode == -signal.SIGINT
        assert "Traceback" not in said
    until(lambda: not command_of(watch))


def test_workers_with_other_options_do_not_mix(start: Start) -> None:
    """The one that differs from the chief says so, and the chief does not wait for it."""
    chief, other = start("--preset", "quick", differently=("--seed", "1"))
    code, said = end(other)
    assert code == 1
    assert "would learn something else than the chief" in said
    code, said = end(chief)
    assert code == 1
    assert "Another worker went away" in said
