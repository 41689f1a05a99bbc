"""Files that are followed: what is new counts when it is good, whole and still."""

import os
from pathlib import Path

import pytest
from flatdense_server.security.errors import FileRefused
from flatdense_server.security.files import Followed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that says `one`."""
    path = tmp_path / "file"
    path.write_text("one")
    return path


@pytest.fixture
def followed(path: Path) -> Followed[str]:
    """Its text, in which `bad` is bad."""
    return Followed([path], lambda: read(path))


def read(path: Path) -> str:
    """The text of a file. Raises FileRefused."""
    try:
        text = path.read_text()
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror}") from error
    if text.startswith("bad"):
        raise FileRefused(f"{path}: {text}")
    return text


def test_what_is_bad_at_the_start_is_told(path: Path) -> None:
    """There is nothing before it that could count."""
    path.write_text("bad")
    with pytest.raises(FileRefused, match="bad"):
        Followed([path], lambda: read(path))


def test_nothing_new_changes_nothing(followed: Followed[str]) -> None:
    """However often it is looked at."""
    assert [followed.follow() for _ in range(3)] == [False] * 3
    assert (followed.content, followed.refusal) == ("one", "")


def test_new_content_counts_when_it_stood_still(followed: Followed[str], path: Path) -> None:
    """At the second look; while it is being written the old one counts."""
    for text in ("t", "tw", "two"):
        path.write_text(text)
        assert not followed.follow()
        assert followed.content == "one"
    assert followed.follow()
    assert followed.content == "two"
    assert not followed.follow()


def test_a_change_of_the_same_size_and_time_is_seen(followed: Followed[str], path: Path) -> None:
    """Tools that copy times cannot hide it."""
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    followed.follow()
    assert followed.follow()
    assert followed.content == "two"


@pytest.mark.parametrize("damage", ["write", "remove"])
def test_what_is_bad_is_told_once_and_the_old_one_counts(
    followed: Followed[str], path: Path, damage: str
) -> None:
    """Until it is good again, which is told once too."""
    if damage == "write":
        path.write_text("bad")
    else:
        path.unlink()
    assert [followed.follow() for _ in range(4)] == [False, True, False, False]
    assert followed.content == "one"
    assert str(path) in followed.refusal
    path.write_text("two")
    assert [followed.follow() for _ in range(3)] == [False, True, False]
    assert (followed.content, followed.refusal) == ("two", "")


def test_another_fault_is_told_anew(followed: Followed[str], path: Path) -> None:
    """Who mends it sees whether it helped."""
    for text in ("bad", "bad too"):
        path.write_text(text)
        assert [followed.follow() for _ in range(3)] == [False, True, False]
        assert followed.refusal == f"{path}: {text}"


def test_what_becomes_good_by_itself_counts(path: Path) -> None:
    """As a certificate does that was not valid yet: its file does not change."""
    good = [True, False, False, True]
    followed = Followed([path], lambda: read(path) if good.pop(0) else read(path.parent))
    path.write_text("two")
    assert [followed.follow() for _ in range(4)] == [False, True, False, True]
    assert (followed.content, followed.refusal) == ("two", "")


def test_a_change_while_it_is_read_is_waited_for(path: Path) -> None:
    """What was read then may be half of one and half of another."""

    def change() -> str:
        """Somebody writes in the middle."""
        text = read(path)
        if text == "two":
            path.write_text("three")
        return text

    followed = Followed([path], change)
    path.write_text("two")
    assert [followed.follow() for _ in range(4)] == [False, False, False, True]
    assert followed.content == "three"
