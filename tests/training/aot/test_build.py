"""How a compiled library gets into the cache."""

import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from flatdense_artifact import NetworkShape
from flatdense_training.aot.job import CompileOrder, follow
from flatdense_training.aot.screen import CompileScreen
from flatdense_training.errors import CompileFailed
from flatdense_training.staging import staged
from rich.console import Console

pytestmark = pytest.mark.xdist_group("aot")


def test_a_library_takes_the_place_of_another(tmp_path: Path) -> None:
    """Whatever has the name, a library or a file, makes way, and nothing of it stays."""
    from flatdense_training.aot.build import publish  # noqa: PLC0415 -- takes seconds

    name = tmp_path / "name"
    name.touch()
    for text in ("first", "second"):
        with staged(tmp_path) as folder:
            finished = folder / "finished"
            finished.mkdir()
            (finished / text).touch()
            publish(finished, name, folder / "replaced")
        assert [path.name for path in name.iterdir()] == [text]
        assert list(tmp_path.iterdir()) == [name]


def test_many_at_once(tmp_path: Path) -> None:
    """Of many that publish one library at once none fails, and a whole one has the name."""
    from flatdense_training.aot.build import publish  # noqa: PLC0415 -- takes seconds

    writers = 8
    barrier = threading.Barrier(writers)

    def race(_writer: int) -> None:
        with staged(tmp_path) as folder:
            finished = folder / "finished"
            finished.mkdir()
            for file in "abc":
                (finished / file).touch()
            barrier.wait(timeout=60)
            publish(finished, tmp_path / "name", folder / "replaced")

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(race, range(writers)))
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
    assert sorted(path.name for path in (tmp_path / "name").iterdir()) == ["a", "b", "c"]


def test_a_folder_without_permission_is_told(
    without_privileges: Callable[[], AbstractContextManager[None]],
) -> None:
    """A cache that may not be written: its name and the reason, and what to do."""
    import flatdense_training.aot.build  # noqa: F401, PLC0415 -- while we may read it

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        locked = Path(folder) / "locked"
        locked.mkdir(mode=0o555)
        order = CompileOrder(shape=NetworkShape(pixels=784, hidden=8, classes=10), cache_dir=locked)
        with (
            without_privileges(),
            pytest.raises(CompileFailed, match=r"written to .*locked: Permission.*--cache-dir"),
        ):
            follow(order, CompileScreen(Console(quiet=True)))


@pytest.mark.parametrize(
    ("name", "told"),
    [("ILL", "instruction that is refused here.*--target portable"), ("SEGV", "status -11.*jit")],
)
def test_a_library_that_ends_its_trial_is_no_library(
    name: str,
    told: str,
    tmp_path: Path,
    write_compiler: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process that tries it ends by a signal: why, as far as that says it, and what to do."""
    from flatdense_training.aot.build import try_out  # noqa: PLC0415 -- takes seconds

    python = write_compiler(tmp_path / "bin", f"kill -s {name} $$") / "c++"
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(CompileFailed, match=told):
        try_out(tmp_path)
