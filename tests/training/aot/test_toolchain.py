"""The C++ compiler, with scripts in its place."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flatdense_training.aot.toolchain import Toolchain, find_compiler
from flatdense_training.errors import CompileFailed


def test_what_the_compiler_said_is_quoted(tmp_path: Path, broken_compiler: Path) -> None:
    """A failure names the compiler, its status, the file that it did not make, and its words."""
    output = tmp_path / "a.o"
    with pytest.raises(CompileFailed) as caught:
        Toolchain(broken_compiler / "c++").run(["-c", "a.cc"], output)
    for said in (str(broken_compiler / "c++"), "status 7", str(output), "\nno space left\n"):
        assert said in str(caught.value)


def test_the_output_is_named_to_the_compiler(
    tmp_path: Path, write_compiler: Callable[..., Path]
) -> None:
    """The compiler is called with the arguments and `-o`, and its success is silent."""
    folder = write_compiler(tmp_path / "bin", 'echo "$1 $2" > "$4"; echo a warning >&2')
    Toolchain(folder / "c++").run(["-c", "a.cc"], tmp_path / "a.o")
    assert (tmp_path / "a.o").read_text() == "-c a.cc\n"


def test_a_signal_has_its_name(tmp_path: Path, write_compiler: Callable[..., Path]) -> None:
    """A compiler that a signal ended: the message says which, for no output may say it."""
    folder = write_compiler(tmp_path / "bin", "kill -XFSZ $$")
    with pytest.raises(CompileFailed, match=signal.strsignal(signal.SIGXFSZ) or "-"):
        Toolchain(folder / "c++").run([], tmp_path / "a.o")


def test_a_compiler_that_cannot_be_run(tmp_path: Path) -> None:
    """A file that is no program: a sentence, not the system's exception."""
    (tmp_path / "c++").write_bytes(b"\0")
    (tmp_path / "c++").chmod(0o755)
    with pytest.raises(CompileFailed, match=r"cannot be run: .*--engine jit"):
        Toolchain(tmp_path / "c++").run([], tmp_path / "a.o")


def test_stop_ends_what_runs_with_its_children(tmp_path: Path, held_compiler: Path) -> None:
    """Leaving the toolchain ends the compiler and what it started; each `run` then raises."""
    with ThreadPoolExecutor(1) as pool:
        with Toolchain(held_compiler / "c++") as toolchain:
            running = pool.submit(toolchain.run, [], tmp_path / "a.o")
            (held_compiler / "started").read_text()
        assert isinstance(running.exception(timeout=60), CompileFailed)
    with pytest.raises(OSError, match="No such device"):  # nobody reads
        os.open(held_compiler / "held", os.O_WRONLY | os.O_NONBLOCK)


def test_a_stopped_toolchain_runs_nothing(
    tmp_path: Path, write_compiler: Callable[..., Path]
) -> None:
    """After `stop` no process is started, whichever thread asks."""
    folder = write_compiler(tmp_path / "bin", f"touch {tmp_path / 'ran'}")
    toolchain = Toolchain(folder / "c++")
    toolchain.stop()
    with pytest.raises(CompileFailed, match="given up"):
        toolchain.run([], tmp_path / "a.o")
    assert not (tmp_path / "ran").exists()


def test_stop_against_start(tmp_path: Path, write_compiler: Callable[..., Path]) -> None:
    """However `stop` falls among many starts, no process outlives the runs, and each run ends."""
    folder = write_compiler(tmp_path / "bin", "exec cat /dev/zero > /dev/null")
    toolchain = Toolchain(folder / "c++")
    barrier = threading.Barrier(5)

    def run(number: int) -> BaseException | None:
        barrier.wait(timeout=60)
        try:
            toolchain.run([], tmp_path / f"{number}.o")
        except CompileFailed as error:
            return error
        return None

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(run, number) for number in range(4)]
        barrier.wait(timeout=60)
        toolchain.stop()
        assert all(run.result(timeout=60) for run in runs)


def test_the_first_compiler_on_the_path_is_found(
    broken_compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PATH decides; without a compiler the user is told what to install."""
    monkeypatch.setenv("PATH", str(broken_compiler))
    assert find_compiler() == broken_compiler / "c++"
    monkeypatch.setenv("PATH", str(broken_compiler.parent))
    with pytest.raises(CompileFailed, match="apt-get install"):
        find_compiler()
