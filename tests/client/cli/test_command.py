"""The `flatdense` command from outside: a process of its own against a real server."""

import csv
import io
import json
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client.cli.command import flatdense
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

Serve = Callable[[ClassifierServicer], str]
Probabilities = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

SEVEN = Path(__file__).parents[3] / "examples" / "seven.png"
PROGRAM = [sys.executable, "-c", "from flatdense_client.cli import main; main()"]


def _environment(address: str) -> dict[str, str]:
    return {"FLATDENSE_SERVER": address, "PYTHONUTF8": "1", "COLUMNS": "80"}


def _flatdense(address: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=_environment(address),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def images(tmp_path: Path) -> npt.NDArray[np.uint8]:
    """Fifty images, also in `fifty.npy`."""
    images = np.random.default_rng(5).integers(0, 256, (50, 28, 28), np.uint8)
    np.save(tmp_path / "fifty.npy", images)
    return images


def test_a_picture_in_a_table(address: str) -> None:
    """One picture is one plain line in a pipe: file, label, confidence; nothing on stderr."""
    done = _flatdense(address, "classify", SEVEN)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    header, line = done.stdout.splitlines()
    assert header.split()[:3] == ["file", "label", "confidence"]
    assert line.split()[0] == str(SEVEN)


def test_json_lines_are_every_image_in_order(
    address: str,
    tmp_path: Path,
    images: npt.NDArray[np.uint8],
    probabilities_of: Probabilities,
    class_names: tuple[str, ...],
) -> None:
    """--json writes one object for each image with what the server answered."""
    done = _flatdense(address, "classify", "--json", tmp_path / "fifty.npy", SEVEN)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["index"] for line in lines] == [*range(50), 0]
    expected = probabilities_of(images.reshape(50, 784).astype(np.float32) / 255)
    answered = np.array([line["probabilities"] for line in lines[:50]])
    assert np.allclose(answered, expected, atol=2e-6)
    assert [line["label"] for line in lines[:50]] == [class_names[i] for i in expected.argmax(1)]
    assert {line["model_version"] for line in lines} == {1}
    assert lines[-1]["file"] == str(SEVEN)


@pytest.mark.usefixtures("images")
def test_csv_is_every_image(address: str, tmp_path: Path) -> None:
    """--csv writes a header and one line for each image."""
    done = _flatdense(address, "classify", "--csv", tmp_path / "fifty.npy")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [int(row["index"]) for row in rows] == list(range(50))
    assert all(0 < float(row["confidence"]) <= 1 for row in rows)


@pytest.mark.usefixtures("images")
def test_the_table_of_many_images_ends_in_a_summary(address: str, tmp_path: Path) -> None:
    """The table shows the first twenty images of a file and counts them all by label."""
    done = _flatdense(address, "classify", tmp_path / "fifty.npy")
    table, summary = done.stdout.split("\n\n")
    assert len(table.splitlines()) == 21
    assert "fifty.npy: 50 images" in summary
    counts = [line.split() for line in summary.splitlines()[2:-1]]
    assert sum(int(count[1]) for count in counts) == 50


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text here")
@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_files_name_need_not_be_text(address: str, tmp_path: Path, form: list[str]) -> None:
    """Bytes that are no UTF-8 in a file's name are replaced where the name is written."""
    path = tmp_path / "\udcff.png"
    path.write_bytes(SEVEN.read_bytes())
    done = _flatdense(address, "classify", *form, path, tmp_path / "\udcfe.png")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/\ufffd.png: there is no such file\n"
    assert f"{tmp_path}/\ufffd.png" in done.stdout


def test_a_bad_file_does_not_stop_the_others(address: str, tmp_path: Path) -> None:
    """Each bad file is one line on stderr, the good ones are classified, and the exit code is 1."""
    not_a_picture = tmp_path / "not.png"
    not_a_picture.write_text("hello")
    floats = tmp_path / "floats.npy"
    np.save(floats, np.full((2, 784), 254.0))
    missing = tmp_path / "missing.png"
    done = _flatdense(address, "classify", "--json", not_a_picture, floats, missing, SEVEN)
    assert done.returncode == 1
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(SEVEN)]
    errors = done.stderr.splitlines()
    assert len(errors) == 3
    for error, path in zip(errors, (not_a_picture, floats, missing), strict=True):
        assert error.startswith(f"error: {path}: ")


@pytest.mark.parametrize("held", [None, "notes.txt"])
def test_a_folder_without_images_is_an_error(
    address: str, tmp_path: Path, held: str | None
) -> None:
    """Who names a folder wants images of it: none is an error, which does not stop the others."""
    folder = tmp_path / "scans"
    folder.mkdir()
    if held:
        (folder / held).write_text("no image")
    done = _flatdense(address, "classify", "--csv", folder, SEVEN)
    assert done.returncode == 1
    assert done.stderr == f"error: {folder}: there are no images in this folder\n"
    assert len(done.stdout.splitlines()) == 2


def test_an_array_of_many_messages(address: str, tmp_path: Path) -> None:
    """A file above the step is classified whole, each image under its own number."""
    np.save(tmp_path / "big.npy", np.zeros((20_000, 784), np.uint8))
    done = _flatdense(address, "classify", "--csv", tmp_path / "big.npy")
    assert done.returncode == 0, done.stderr
    indices = [int(line.split(",")[1]) for line in done.stdout.splitlines()[1:]]
    assert indices == list(range(20_000))


@pytest.mark.parametrize("command", [["classify", str(SEVEN)], ["status"]])
def test_no_server_is_one_line(command: list[str]) -> None:
    """Where nothing listens the command says so in one line and exits with 1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    done = _flatdense(address, *command)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"{address} cannot be reached" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["classify"],
        ["classify", "--json", "--csv", "x.png"],
        ["classify", "--no-such-option", "x.png"],
        ["status", "--server", "http://localhost"],
        ["status", "--timeout-s", "0"],
        ["status", "--model-version", "zero"],
        ["status", "--timeout-s", "nan"],
        ["classify", "--csv", "--picture", "x.png"],
        ["classify", "-", "-"],
        ["explain"],
        ["explain", "--index", "-1", "x.png"],
        ["completion", "tcsh"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    """Wrong usage exits with 2 and shows the usage on stderr."""
    done = _flatdense("127.0.0.1:1", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: flatdense" in done.stderr


@pytest.mark.parametrize("name", sorted(flatdense.commands))
def test_every_command_shows_an_example(name: str) -> None:
    """The help of each command has an example, and fits a screen of 80 columns."""
    done = _flatdense("127.0.0.1:1", name, "--help")
    assert done.returncode == 0
    assert f"flatdense {name}" in done.stdout.partition("\n  Example")[2]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_the_help_tells_the_exit_codes() -> None:
    """Scripts find what the exit codes mean."""
    told = _flatdense("127.0.0.1:1", "--help").stdout
    for line in ("0    done", "1    something failed", "2    wrong usage", "130  interrupted"):
        assert line in told


def test_a_defect_is_one_line() -> None:
    """What nobody thought of is told in one line and asks to be reported; developers get it all."""
    program = (
        "from flatdense_client.cli.command import *\n"
        "flatdense.add_command(click.Command('boom', callback=lambda: 1 / 0))\n"
        "main(['boom'])"
    )
    for mode, is_traced in ([], False), (["-X", "dev"], True):
        done = subprocess.run(
            [sys.executable, *mode, "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == is_traced
        assert ("error: unexpected ZeroDivisionError: " in done.stderr) == (not is_traced)


@pytest.mark.skipif(sys.platform == "win32", reason="no closing of stdout here")
@pytest.mark.parametrize("redirect", [">&-", "<&- >&-"])
def test_a_closed_stdout_is_no_traceback(address: str, redirect: str) -> None:
    """Who closes stdout wants no output, and gets none."""
    program = " ".join(map(shlex.quote, [*PROGRAM, "classify", "--json", str(SEVEN)]))
    done = subprocess.run(
        ["sh", "-c", f"{program} {redirect}"],
        env=_environment(address),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_status(address: str) -> None:
    """A ready server is described, and the exit code is 0."""
    done = _flatdense(address, "status")
    assert done.returncode == 0, done.stderr
    for told in (
        "● ready",
        "mnist, version 1, also 2",
        "98.12% of 10,000 test images",
        "Flatten 784 → Dense 256 relu → Dense 10 softmax",
        "203,530",
        "jit on cpu",
        "1 2 4 8 rows compiled; at most 4,096 rows a request",
    ):
        assert told in done.stdout


def test_status_for_programs(address: str) -> None:
    """--json is the same as one object."""
    status = json.loads(_flatdense(address, "status", "--json").stdout)
    assert status["ready"] is True
    assert status["model"]["training"]["metrics"] == {"test_accuracy": 0.9812}
    assert status["model"]["training"]["created_at"] == "2025-06-15T15:06:40+00:00"


def test_a_version_that_is_not_there(address: str) -> None:
    """The server's words about a wrong version reach the user."""
    done = _flatdense(address, "classify", "--model-version", 2, SEVEN)
    assert done.returncode == 1
    assert "there is no version 2; there is 1" in done.stderr


def test_a_label_that_is_not_there(address: str) -> None:
    """--model-label chooses what answers, and the server's words about a wrong one are shown."""
    assert _flatdense(address, "classify", "--model-label", "stable", SEVEN).returncode == 0
    done = _flatdense(address, "classify", "--model-label", "canary", SEVEN)
    assert done.returncode == 1
    assert "there is no label 'canary'; there is 'stable'" in done.stderr


def test_ctrl_c_is_130(serve: Serve) -> None:
    """Ctrl-C in the middle of a call ends the command with 130 and no traceback."""
    entered, release = threading.Event(), threading.Event()

    class Waits(ClassifierServicer):
        """A server that answers when it is told to."""

        def Classify(  # noqa: N802  # gRPC's name
            self, request: pb.ClassifyRequest, context: grpc.ServicerContext
        ) -> pb.ClassifyResponse:
            """Says that it was called, and waits."""
            del request, context
            entered.set()
            release.wait(60)
            return pb.ClassifyResponse()

    process = subprocess.Popen(
        [*PROGRAM, "classify", str(SEVEN)],
        env=_environment(serve(Waits())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert entered.wait(60)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    release.set()
    assert process.returncode == 130
    assert told.strip() == "error: interrupted"


def test_a_reader_that_leaves_is_no_traceback(address: str, tmp_path: Path) -> None:
    """`flatdense ... | head -1` ends quietly."""
    np.save(tmp_path / "big.npy", np.zeros((9000, 784), np.uint8))
    with subprocess.Popen(
        [*PROGRAM, "classify", "--json", str(tmp_path / "big.npy")],
        env=_environment(address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
