"""The runtime's object files, with a script for a compiler."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flatdense_artifact import Target
from flatdense_training.aot.runtime import SOURCES, compile_runtime
from flatdense_training.aot.toolchain import Toolchain
from flatdense_training.errors import CompileFailed

TARGET = Target(machine="x86_64", cpu="x86-64-v3", features=[])


@pytest.fixture
def tensorflow(tmp_path: Path) -> Path:
    """A package with empty sources."""
    folder = tmp_path / "tensorflow"
    for source in SOURCES:
        path = folder / "xla_aot_runtime_src" / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.fixture
def compiler(tmp_path: Path, write_compiler: Callable[..., Path]) -> Path:
    """A compiler that writes the last of its arguments, which is the output."""
    return write_compiler(tmp_path / "bin", 'for last; do :; done; echo object > "$last"') / "c++"


def test_the_runtime_is_compiled_once(tmp_path: Path, tensorflow: Path, compiler: Path) -> None:
    """The second time nothing is compiled, and every step is reported both times."""
    folder = tmp_path / "cache" / "tensorflow-1_cpu"
    steps: list[str] = []
    for program in (compiler, tmp_path / "absent"):
        objects = compile_runtime(
            tensorflow, Toolchain(program), TARGET, folder, lambda: steps.append("step")
        )
        assert [path.read_text() for path in objects] == ["object\n"] * len(SOURCES)
    assert len(steps) == 2 * len(SOURCES)
    assert sorted(folder.parent.iterdir()) == [folder]


def test_two_at_once(tmp_path: Path, tensorflow: Path, compiler: Path) -> None:
    """Two that compile the same runtime at once both succeed, and one whole folder stays."""
    folder = tmp_path / "cache" / "tensorflow-1_cpu"
    barrier = threading.Barrier(2)
    met = set()

    def step() -> None:
        if threading.get_ident() not in met:  # at the first file of each: then both are at work
            met.add(threading.get_ident())
            barrier.wait(timeout=60)

    def compile_it() -> list[Path]:
        return compile_runtime(tensorflow, Toolchain(compiler), TARGET, folder, step)

    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(compile_it) for _ in range(2))
        assert first.result(timeout=60) == second.result(timeout=60)
    assert sorted(folder.parent.iterdir()) == [folder]
    assert sorted(folder.iterdir()) == sorted(first.result())


def test_half_a_runtime_is_not_kept(tmp_path: Path, tensorflow: Path, compiler: Path) -> None:
    """Where a source is missing the reason is told, and no object file stays."""
    (tensorflow / "xla_aot_runtime_src" / SOURCES[-1]).unlink()
    folder = tmp_path / "cache" / "tensorflow-1_cpu"
    with pytest.raises(CompileFailed, match=r"is missing.*constraints\.txt"):
        compile_runtime(tensorflow, Toolchain(compiler), TARGET, folder, lambda: None)
    assert list(folder.parent.iterdir()) == []
