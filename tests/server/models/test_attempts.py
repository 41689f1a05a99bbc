"""Attempts: a version is tried once, and again when its files change."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_artifact import version_folder
from flatdense_server.engine.engine import Engine
from flatdense_server.models.attempts import Attempts
from flatdense_server.models.loader import LoadedVersion, VersionRefused
from flatdense_server.summary import ModelFacts


class CountingLoader:
    """Loads whatever it is told to, or refuses it, and notes what it was told."""

    def __init__(self, facts: ModelFacts, engine: Engine) -> None:
        self.tried: list[int] = []
        self.refuses = False
        self._facts, self._engine = facts, engine

    def load(self, version: int) -> LoadedVersion:
        """See Loader.load."""
        self.tried.append(version)
        if self.refuses:
            raise VersionRefused
        return LoadedVersion(number=version, facts=self._facts, engine=self._engine)


@pytest.fixture
def loader(facts: ModelFacts, make_engine: Callable[..., Engine]) -> CountingLoader:
    """A loader that lets everything in."""
    return CountingLoader(facts, make_engine())


@pytest.fixture
def attempts(tmp_path: Path, loader: CountingLoader) -> Attempts:
    """Nothing was tried yet."""
    return Attempts(tmp_path, loader)


@pytest.fixture
def copy_foreign(tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes version 1 without a manifest, as far as it was copied."""

    def copy(so_far: bytes) -> Path:
        """The graph alone."""
        folder = version_folder(tmp_path, 1)
        folder.mkdir(exist_ok=True)
        (folder / "saved_model.pb").write_bytes(so_far)
        return folder

    return copy


def test_a_version_without_a_manifest_waits_until_its_files_are_still(
    attempts: Attempts, loader: CountingLoader, copy_foreign: Callable[[bytes], Path]
) -> None:
    """While files come between two looks it is left alone; then it is loaded."""
    copy_foreign(b"a")
    assert attempts.load(1) is None
    copy_foreign(b"ab")
    assert attempts.load(1) is None
    assert loader.tried == []
    assert attempts.load(1) is not None
    assert loader.tried == [1]


def test_what_lies_there_at_the_start_is_whole(
    attempts: Attempts, copy_foreign: Callable[[bytes], Path]
) -> None:
    """A version that is trusted is loaded at the first look."""
    copy_foreign(b"a")
    attempts.trust([1])
    assert attempts.load(1) is not None


def test_a_version_with_a_manifest_is_tried_at_once(
    attempts: Attempts, write_version: Callable[..., Path]
) -> None:
    """Its digests tell whether it is whole."""
    write_version(3)
    assert attempts.load(3) is not None


def test_a_refused_version_is_tried_again_when_its_files_change(
    attempts: Attempts, loader: CountingLoader, write_version: Callable[..., Path]
) -> None:
    """Not before; and when it went and came back it is a new one."""
    folder = write_version(3)
    loader.refuses = True
    for _ in range(3):
        assert attempts.load(3) is None
    assert loader.tried == [3]
    (folder / "saved_model.pb").write_bytes(b"more")
    assert attempts.load(3) is None
    assert loader.tried == [3, 3]
    shutil.rmtree(folder)
    assert attempts.load(3) is None
    assert loader.tried == [3, 3, 3]


def test_a_foreign_version_is_stale_when_its_files_change(
    attempts: Attempts, copy_foreign: Callable[[bytes], Path], write_version: Callable[..., Path]
) -> None:
    """Nothing else tells that it is another one; a version with a manifest is never changed."""
    copy_foreign(b"a")
    own = write_version(2)
    attempts.trust([1])
    for version in (1, 2):
        assert attempts.load(version) is not None
    assert not attempts.is_stale(1)
    copy_foreign(b"another")
    (own / "saved_model.pb").write_bytes(b"another")
    assert attempts.is_stale(1)
    assert not attempts.is_stale(2)


def test_what_is_not_kept_is_forgotten(
    attempts: Attempts, loader: CountingLoader, write_version: Callable[..., Path]
) -> None:
    """A refusal that nobody asks about any more is no reason not to try again."""
    write_version(3)
    loader.refuses = True
    attempts.load(3)
    attempts.keep({4})
    attempts.load(3)
    assert loader.tried == [3, 3]
