"""flatdense-compile, as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flatdense_artifact import read_library
from flatdense_training.aot.graph import Function
from flatdense_training.aot.job import powers_of_two
from flatdense_training.aot.wrapper import write_source

pytestmark = pytest.mark.xdist_group("aot")

COMMAND = Path(sys.executable).with_name("flatdense-compile")


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with variables added to the environment."""
    return subprocess.run(
        [COMMAND, *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, **variables},  # noqa: TID251 -- handed on, not read
    )


@pytest.mark.parametrize(
    ("top", "sizes"),
    [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (100, (1, 2, 4, 8, 16, 32, 64, 100))],
)
def test_the_ladder_is_powers_of_two_and_its_top(top: int, sizes: tuple[int, ...]) -> None:
    """The sizes that are compiled are those that the jit engine compiles too."""
    assert powers_of_two(top) == sizes


def test_the_source_opens_each_function_by_type_and_rows() -> None:
    """Every compiled function is included and can be opened; weights are set by name."""
    source = write_source([Function("uint8", 1), Function("float32", 64)])
    for said in (
        '#include "uint8_1.h"',
        "dtype == FLATDENSE_UINT8 && rows == 1",
        "new Network<flatdense::float32_64>",
        "set_arg_feed_hidden_kernel_data(hidden_kernel)",
    ):
        assert said in source


def test_without_a_compiler_the_command_says_what_to_install(tmp_path: Path) -> None:
    """No compiler: status 1 and a sentence, before TensorFlow is loaded."""
    done = run("--cache-dir", str(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "no C++ compiler" in done.stderr
    assert "--engine jit" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(tmp_path: Path) -> None:
    """What the compiler said reaches the user, and no half a library stays behind."""
    broken = tmp_path / "bin" / "c++"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 7\n")
    broken.chmod(0o755)
    cache = tmp_path / "cache"
    options = ("--cache-dir", str(cache), "--max-batch-rows", "1", "--hidden", "8")
    done = run(*options, PATH=f"{broken.parent}:{os.defpath}")
    assert done.returncode == 1
    assert "status 7" in done.stderr
    assert "no space left" in done.stderr
    assert list((cache / "aot").iterdir()) == []


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while a compiler runs: status 130, a sentence, and no half a library."""
    started, held = tmp_path / "started", tmp_path / "held"
    os.mkfifo(started)
    os.mkfifo(held)
    compiler = tmp_path / "bin" / "c++"
    compiler.parent.mkdir()
    compiler.write_text(f"#!/bin/sh\necho > {started}\nread line < {held}\n")
    compiler.chmod(0o755)
    cache = tmp_path / "cache"
    with subprocess.Popen(
        [COMMAND, "--cache-dir", cache, "--max-batch-rows", "1", "--hidden", "8"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{compiler.parent}:{os.defpath}"},  # noqa: TID251
        start_new_session=True,
    ) as process:
        started.read_text()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Interrupted" in said
    assert "Traceback" not in said
    assert list((cache / "aot").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, compiled: Path) -> None:
    """A cache that is a file: status 1 and its name."""
    assert compiled.exists()
    (tmp_path / "cache").touch()
    done = run("--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 1
    assert f"could not be written to {tmp_path / 'cache'}" in done.stderr


def test_the_description_says_what_was_compiled(compiled: Path) -> None:
    """library.json has the architecture, the ladder, the target and the digests."""
    library = read_library(compiled)
    assert (library.shape.pixels, library.shape.hidden, library.shape.classes) == (784, 256, 10)
    assert library.ladder_rows == [1 << k for k in range(11)]
    assert compiled.name == library.name
    assert set(json.loads((compiled / "library.json").read_text())["files"]) == set(library.files)


def test_another_architecture_needs_no_new_runtime(compiled: Path, tmp_path: Path) -> None:
    """A library of other widths is compiled, tried, and found up to date the second time."""
    runtime = compiled.parents[1] / "aot-runtime"
    (tmp_path / "aot-runtime").symlink_to(runtime)
    options = ("--cache-dir", str(tmp_path), "--max-batch-rows", "2", "--hidden", "24")
    first, second = run(*options, "--classes", "3"), run(*options, "--classes", "3")
    assert first.returncode == 0, first.stderr
    assert "tried and right" in first.stdout
    assert "up to date" in second.stdout
    (folder,) = (tmp_path / "aot").iterdir()
    assert folder.name.startswith("784-24-3_rows-2_")
