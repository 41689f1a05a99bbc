"""The files beneath a folder: each of them once, in one order, whatever their names are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flatdense_cluster.score.listing import (
    Entry,
    ListingWriter,
    find_files,
    fingerprint,
    read_part,
)
from hypothesis import given
from hypothesis import strategies as st

NOBODY = 65534

NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not set(name) & {0, ord("/")} and not name.startswith(b".")
)


@given(paths=st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=12))
def test_each_file_is_found_once(
    tmp_path_factory: pytest.TempPathFactory, paths: set[tuple[bytes, ...]]
) -> None:
    """Names may be any bytes: other alphabets, line breaks, no text at all."""
    root = tmp_path_factory.mktemp("scans")
    made = set()
    for path in paths:
        file = root.joinpath(*map(os.fsdecode, path))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(exist_ok=False)
        except OSError:  # the name is taken by a folder or a file
            continue
        made.add(b"/".join(path))
    found = [entry.path for entry in find_files(root)]
    assert sorted(found) == sorted(made)
    assert [entry.path for entry in find_files(root)] == found


@given(count=st.integers(0, 50), part_rows=st.integers(1, 60))
def test_the_parts_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, count: int, part_rows: int
) -> None:
    """A listing that is read part by part is what was written, in its order."""
    entries = [Entry(b"%d.png\xff" % n, n, n * n, None if n % 3 else "bad") for n in range(count)]
    file = tmp_path_factory.mktemp("plan") / "listing"
    writer = ListingWriter(iter(entries))
    assert writer.write(file, part_rows) == fingerprint(iter(entries))
    assert writer.rows == count
    parts = -(-count // part_rows)
    assert [entry for part in range(parts) for entry in read_part(file, part)] == entries


def test_what_cannot_be_read_is_not_missed(tmp_path: Path) -> None:
    """A broken link and a pipe are entries with their fault; hidden files are left out."""
    (tmp_path / "gone.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / ".hidden.png").touch()
    faults = {entry.path: entry.fault for entry in find_files(tmp_path)}
    assert faults == {
        b"gone.png": "cannot be read: No such file or directory",
        b"pipe.png": "this is no file but a pipe, a socket or a device",
    }


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in the listing itself: its files would be missed in silence."""
    (tmp_path / "a.png").touch()
    (tmp_path / "closed").mkdir(mode=0o300)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above it may be closed too
    with be_nobody():
        found = list(find_files(Path()))
    assert [entry.path for entry in found] == [b"a.png", b"closed"]
    assert found[1].fault == "the folder cannot be read: Permission denied"


@contextmanager
def be_nobody() -> Iterator[None]:
    """Root may read everything: for this block it is nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("change", ["size", "time", "name", "more", "fewer"])
def test_another_folder_has_another_fingerprint(tmp_path: Path, change: str) -> None:
    """Of the names, sizes and times of change of all files."""
    file = tmp_path / "a.png"
    file.write_bytes(b"abc")
    (tmp_path / "b.png").touch()
    before = fingerprint(find_files(tmp_path))
    assert fingerprint(find_files(tmp_path)) == before
    found = file.stat()
    if change == "size":
        file.write_bytes(b"abcd")
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    elif change == "time":
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    elif change == "name":
        file.rename(tmp_path / "c.png")
    elif change == "more":
        (tmp_path / "c.png").touch()
    else:
        file.unlink()
    assert fingerprint(find_files(tmp_path)) != before
