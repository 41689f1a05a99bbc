"""The console script against a real server process, as a person and as a script use it."""

import contextlib
import csv
import io
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Client, prepare_image
from rich.cells import cell_len
from server_process import ServerProcess

fcntl = pytest.importorskip("fcntl")
pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

pytestmark = pytest.mark.xdist_group("console")

COMMAND = Path(sys.executable).with_name("flatdense")
EXAMPLES = Path(__file__).parents[3] / "examples"
SEVEN = EXAMPLES / "seven.png"

STYLES = re.compile(r"\x1b\[[0-9;]*m")
COLOURS = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])[;m]")

COMMANDS = [
    ["status"],
    ["model"],
    ["classify", str(EXAMPLES)],
    ["explain", str(SEVEN)],
    ["explain", str(EXAMPLES / "photo_of_a_three.png"), "--class-index", "8"],
    ["wait-ready"],
    ["classify", "no-such-file-with-a-name-that-is-longer-than-the-screen.png"],
]


@pytest.fixture(scope="module")
def served(exported_model: Path) -> Iterator[str]:
    """The address of a server with the repository's model."""
    with ServerProcess("--model-dir", str(exported_model), "--workers", "1") as process:
        process.ready()
        yield process.address


@pytest.fixture
def digits(tmp_path: Path) -> npt.NDArray[np.uint8]:
    """A hundred images in `scans/deep/digits.idx`, beside their labels and a picture of a seven."""
    images = np.random.default_rng(3).integers(0, 256, (100, 28, 28), np.uint8)
    deep = tmp_path / "scans" / "deep"
    deep.mkdir(parents=True)
    header = struct.pack(">BBBB3I", 0, 0, 8, 3, *images.shape)
    (deep / "digits.idx").write_bytes(header + images.tobytes())
    (deep / "labels.idx").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 100) + bytes(100))
    (tmp_path / "scans" / "seven").write_bytes(SEVEN.read_bytes())
    return images


def _environment(served: str, **variables: str) -> dict[str, str]:
    return {"FLATDENSE_SERVER": served, "PYTHONUTF8": "1", **variables}


def _run(
    served: str, *arguments: str, stdin: bytes | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, *arguments],
        env=_environment(served, **variables),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    out, error = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, out, error)


def _on_a_screen(served: str, columns: int, *arguments: str, **variables: str) -> str:
    """What a terminal of so many columns is sent, by stdout and stderr."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    screen = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    sent = bytearray()
    with subprocess.Popen(
        [COMMAND, *arguments],
        env=_environment(served, **screen, **variables),
        stdin=its,
        stdout=its,
        stderr=its,
    ):
        os.close(its)
        with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
            while data := os.read(mine, 65_536):
                sent += data
    os.close(mine)
    return sent.decode()


def test_a_folder_is_what_the_sdk_says(
    served: str, tmp_path: Path, digits: npt.NDArray[np.uint8]
) -> None:
    """Every image of a folder is classified as the SDK does it; labels are skipped and named."""
    done = _run(served, "classify", "--json", str(tmp_path / "scans"))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    with Client(served) as client:
        seven = client.classify(prepare_image(SEVEN))
        expected = np.concatenate([seven.probabilities, client.classify(digits).probabilities])
    assert np.allclose(np.float32([line["probabilities"] for line in lines]), expected, atol=1e-6)
    assert [Path(line["file"]).name for line in lines] == ["seven", *["digits.idx"] * 100]
    labels = os.path.join("deep", "labels.idx")  # noqa: PTH118
    assert f"skipped 1 file that holds no images: {labels}" in done.stderr


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("name", ["deep/digits.idx", "seven"])
def test_a_pipe_is_what_the_file_is(served: str, tmp_path: Path, name: str) -> None:
    """`-` reads images of any kind from standard input, and writes what the file would give."""
    path = tmp_path / "scans" / name
    piped = _run(served, "classify", "--csv", "-", stdin=path.read_bytes())
    named = _run(served, "classify", "--csv", str(path))
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout.replace("-,", f"{path},") == named.stdout


def test_mnist_is_classified_as_well_as_the_model_says(
    served: str, mnist_folder: Path, mnist_test: tuple[npt.NDArray[np.uint8], ...]
) -> None:
    """MNIST's own file gives every image in order, right as often as `flatdense model` says."""
    done = _run(served, "classify", "--csv", str(mnist_folder / "t10k-images-idx3-ubyte.gz"))
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [int(row["index"]) for row in rows] == list(range(10_000))
    is_right = np.array([int(row["label"]) for row in rows]) == mnist_test[1]
    told = json.loads(_run(served, "model", "--json").stdout)["training"]["metrics"]
    assert np.isclose(is_right.mean(), told["test_accuracy"], atol=1e-9)


def test_scripts_wait_and_go_on(served: str) -> None:
    """`wait-ready && classify` is the whole of a script."""
    script = f"{COMMAND} wait-ready --timeout 60 && {COMMAND} classify {SEVEN}"
    done = subprocess.run(
        ["sh", "-c", script],
        env=_environment(served),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith(f"{served} is ready: mnist, version ")
    assert re.search(r"seven\.png +7 ", done.stdout)


def test_an_explanation_adds_up(served: str) -> None:
    """The real network's score is the sum of what its pixels and its biases contribute."""
    told = json.loads(_run(served, "explain", "--json", str(SEVEN)).stdout)
    assert told["explained_label"] == "7"
    score = np.sum(told["contributions"]) + told["bias_contribution"]
    assert np.isclose(score, told["logits"][told["explained_class"]], atol=1e-3)
    assert len(told["hidden"]) == 256


@pytest.mark.parametrize(("columns", "variables"), [(40, {}), (80, {"NO_COLOR": "1"})])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_screen_is_neither_too_narrow_nor_coloured(
    served: str, command: list[str], columns: int, variables: dict[str, str]
) -> None:
    """No command writes a line that a terminal would have to break; NO_COLOR is heard."""
    sent = _on_a_screen(served, columns, *command, **variables)
    lines = [STYLES.sub("", line) for line in sent.replace("\r", "").splitlines()]
    assert lines
    assert max(cell_len(line) for line in lines) <= columns
    assert not (variables and COLOURS.search(sent))


def test_a_person_sees_the_digit(served: str) -> None:
    """On a terminal a picture stands above the table, in colour; --no-picture leaves it out."""
    sent = _on_a_screen(served, 80, "classify", str(SEVEN))
    assert STYLES.sub("", sent).count("▀" * 28) == 14
    assert COLOURS.search(sent)
    assert "28x28 L, as it is" in sent
    assert "▀" not in _on_a_screen(served, 80, "classify", "--no-picture", str(SEVEN))
    assert "▀" not in _run(served, "classify", str(SEVEN)).stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_pipe_that_knows_ascii_alone(served: str, command: list[str]) -> None:
    """A pipe gets no control character; where it is ASCII alone, all is told in ASCII."""
    done = _run(served, *command, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == (1 if command == COMMANDS[-1] else 0), done.stderr
    told = done.stdout + done.stderr
    assert told.isascii()
    assert told.replace("\n", "").isprintable()


def _write_to(served: str, stdout: int, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *command],
        env=_environment(served),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


WRITING = [
    ["classify", str(SEVEN)],
    ["classify", "--csv", str(SEVEN)],
    ["status", "--json"],
    ["completion", "bash"],
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_full_disk_is_one_line(served: str, command: list[str]) -> None:
    """What cannot be written is told in one line, and is no success."""
    with Path("/dev/full").open("wb") as full:
        done = _write_to(served, full.fileno(), *command)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: cannot write: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_reader_that_leaves_hears_nothing(served: str, command: list[str]) -> None:
    """`flatdense ... | head` ends without a word, and not as a success."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = _write_to(served, write_end, *command)
    os.close(write_end)
    assert done.returncode == 1
    assert not [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
