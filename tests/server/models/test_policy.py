"""versions.toml: what an operator may write, and what is said of the rest."""

import os
from pathlib import Path

import pytest
from flatdense_server.models.policy import Policy, PolicyInvalid, read_policy


def test_without_a_file_the_newest_version_is_served(tmp_path: Path) -> None:
    """No file is no wish."""
    assert read_policy(tmp_path) == Policy()


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("# nothing but a remark", Policy()),
        ("latest = 3", Policy(latest=3)),
        ("versions = [2, 7]", Policy(versions=[2, 7])),
        ('[labels]\nstable = 2\n"v1.0-rc_2" = 3', Policy(labels={"stable": 2, "v1.0-rc_2": 3})),
        ("versions = []\nlabels = {stable = 2}", Policy(versions=[], labels={"stable": 2})),
    ],
)
def test_a_policy_is_what_the_file_says(tmp_path: Path, text: str, policy: Policy) -> None:
    """Each key by itself, and labels beside either."""
    (tmp_path / "versions.toml").write_text(text)
    assert read_policy(tmp_path) == policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("latest = 1\nversions = [1]", "both `latest` and `versions`"),
        ("versions = []", "names no version"),
        ("latest = 0", "latest"),
        ("versions = [0]", "versions"),
        ("version = 3", "version"),
        ("latest = 1.5", "latest"),
        ("labels = {'' = 1}", "labels"),
        ("labels = {'two words' = 1}", "labels"),
        ("labels = {stable = -1}", "labels"),
        ("labels = {stable", "not as expected"),
        ("\x00", "not as expected"),
    ],
)
def test_anything_else_is_refused_with_the_files_name(tmp_path: Path, text: str, said: str) -> None:
    """The message names the file and what is wrong in it."""
    (tmp_path / "versions.toml").write_text(text)
    with pytest.raises(PolicyInvalid, match=said) as caught:
        read_policy(tmp_path)
    assert str(tmp_path / "versions.toml") in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file of another encoding is a message, not a traceback."""
    (tmp_path / "versions.toml").write_bytes(b"latest = 1 # \xff")
    with pytest.raises(PolicyInvalid, match="not as expected"):
        read_policy(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder of that name is no policy."""
    os.mkdir(tmp_path / "versions.toml")  # noqa: PTH102 -- no file
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        read_policy(tmp_path)
