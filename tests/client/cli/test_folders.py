"""Which files an argument means."""

import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from flatdense_client.cli.folders import Source, find_sources
from hypothesis import given
from hypothesis import strategies as st

SEVEN = Path(__file__).parents[3] / "examples" / "seven.png"
IDX_HEADER = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (1, 28, 28))
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])

NAMES = st.text("ab.1", min_size=1, max_size=3).filter(lambda name: set(name) != {"."})
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "scans"
    folder.mkdir()
    return folder


def _names(folder: Path) -> list[str]:
    return [os.path.relpath(source.name, folder) for source in find_sources([str(folder)])[0]]


def _make(folder: Path, paths: list[str]) -> Iterator[PurePosixPath]:
    for path in paths:
        target = folder / path
        if not target.exists() and not any(p.is_file() for p in target.parents):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
            yield PurePosixPath(path)


@given(paths=st.lists(PATHS, max_size=8))
def test_a_folder_means_all_beneath_it(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    """Every file is found once, its folders' files before those of deeper ones, each by name."""
    folder = tmp_path_factory.mktemp("tree")
    made = [p for p in _make(folder, paths) if not any(part[0] == "." for part in p.parts)]
    found = [PurePosixPath(name) for name in _names(folder)]
    assert sorted(found) == sorted(made)
    for parent in {path.parent for path in found}:
        own = [path.name for path in found if path.parent == parent]
        assert own == sorted(own)
    shutil.rmtree(folder)


def test_the_order_is_the_arguments(folder: Path) -> None:
    """Files and folders come in the order in which they were named, also twice; `-` is no file."""
    (folder / "a").touch()
    sources, folders = find_sources(["-", str(folder), "missing", str(folder)])
    inside = str(folder / "a")
    assert [source.name for source in sources] == ["-", inside, "missing", inside]
    assert sources[0] == Source(name="-")
    assert sources[1].folder is folders[0]
    assert len(folders) == 2


@pytest.mark.skipif(os.name == "nt", reason="no pipes among files here")
def test_what_could_be_waited_for_is_left_out(folder: Path) -> None:
    """Pipes, links to folders and dangling links are no files of a folder; links to files are."""
    os.mkfifo(folder / "pipe")
    (folder / "again").symlink_to(folder)
    (folder / "nothing").symlink_to(folder / "missing")
    (folder / "seven").symlink_to(SEVEN)
    assert _names(folder) == ["seven"]


@pytest.mark.parametrize(
    ("data", "is_taken"),
    [
        (SEVEN.read_bytes(), True),
        (SEVEN.read_bytes()[:40], True),
        (b"\xff\xd8\xff\xe0 a damaged JPEG", True),
        (IDX_HEADER, True),
        (gzip.compress(IDX_HEADER, mtime=0), True),
        (gzip.compress(IDX_HEADER, mtime=0)[:-9], True),
        (b"\x93NUMPY", True),
        (LABELS, False),
        (gzip.compress(LABELS, mtime=0), False),
        (gzip.compress(b"text", mtime=0), False),
        (b"text", False),
        (b"", False),
        (b"PK\x03\x04", False),
    ],
)
def test_the_first_bytes_decide(folder: Path, data: bytes, is_taken: bool) -> None:
    """What begins like images is taken, damaged or not; labels and all else are skipped by name."""
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_bytes(data)
    (source,), (found,) = find_sources([str(folder)])
    assert found.takes(source.name) is is_taken
    assert found.images == is_taken
    assert found.skipped == ([] if is_taken else [os.path.join("deep", "file")])  # noqa: PTH118


def test_what_cannot_be_opened_is_taken(folder: Path) -> None:
    """A file that is gone by the time is read like any other, so that the reason is told."""
    np.save(folder / "a.npy", np.zeros((1, 784)))
    (source,), (found,) = find_sources([str(folder)])
    (folder / "a.npy").unlink()
    assert found.takes(source.name)
