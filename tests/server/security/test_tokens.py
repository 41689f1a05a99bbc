"""The token file: what is read, what is refused, and that nothing of it is told."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
from flatdense_server.security.errors import FileRefused
from flatdense_server.security.tokens import (
    MAX_TOKENS,
    Token,
    make_token,
    parse_tokens,
    read_tokens,
    write_line,
)
from hypothesis import given
from hypothesis import strategies as st

HASH = "sha256:" + "0f" * 32

names = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
scopes = st.sampled_from(["inference", "admin"])
digests = st.binary(min_size=32, max_size=32)
entries = st.lists(
    st.tuples(names, scopes, digests),
    min_size=1,
    max_size=20,
    unique_by=(lambda entry: entry[0], lambda entry: entry[2]),
)
spaces = st.text(" \t", min_size=1, max_size=3)
between = st.lists(st.sampled_from(["", "  ", "# alice", "\t# a b sha256:"]), max_size=3)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, tuple[Token, ...]]:
    """A good file in any layout, and the tokens that it means."""
    lines: list[str] = []
    tokens = []
    for name, scope, digest in draw(entries):
        lines += draw(between)
        fields = [draw(spaces), name, draw(spaces), scope, draw(spaces), f"sha256:{digest.hex()}"]
        lines.append("".join(fields) + draw(st.sampled_from(["", " ", "# his", "\t#"])))
        tokens.append(Token(name, frozenset({scope}), digest))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join(lines) + draw(st.sampled_from(["", end])), tuple(tokens)


@given(file=files())
def test_a_good_file_is_read_as_it_was_meant(file: tuple[str, tuple[Token, ...]]) -> None:
    """Whatever blanks, comments and ends of lines it has; in its order."""
    text, tokens = file
    assert parse_tokens(text) == tokens


@given(text=st.text() | st.text("alicedeplnfr shm25:60#\n\t", max_size=200))
def test_any_text_is_tokens_or_refused(text: str) -> None:
    """Strangers' files raise ValueError and nothing else."""
    with suppress(ValueError):
        assert parse_tokens(text)


@given(
    secret=st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True),
    layout=st.sampled_from(
        ["{}", "{} inference", "{0} inference {0}", "a {} " + HASH, "a inference {}", "a b c {}"]
    ),
)
def test_what_is_refused_is_not_told(secret: str, layout: str) -> None:
    """Somebody may write the token itself into the file: no error repeats it."""
    secret = f"!{secret}"  # so that it is no name
    with pytest.raises(ValueError, match=r"^line 2: ") as caught:
        parse_tokens(f"ok admin {HASH[:-1]}0\n" + layout.format(secret))
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("alice", "got 1 words"),
        (f"alice inference {HASH} more", "got 4 words"),
        (f"al/ice inference {HASH}", "the name"),
        (f"{'a' * 65} inference {HASH}", "the name"),
        (f"alice root {HASH}", "expected inference or admin"),
        (f"alice Inference {HASH}", "expected inference or admin"),
        ("alice inference " + "0f" * 32, "the hash"),
        (f"alice inference {HASH}0", "the hash"),
        (f"alice inference {HASH[:-1]}", "the hash"),
        (f"alice inference {HASH.upper()}", "the hash"),
        (f"first admin {HASH}", "the name stands on a line above"),
        (f"alice admin {HASH[:-1]}0", "the hash stands on a line above"),
    ],
)
def test_a_bad_line_is_told_by_its_number(line: str, said: str) -> None:
    """And what was expected in it."""
    with pytest.raises(ValueError, match=f"^line 3: .*{said}"):
        parse_tokens(f"# people\nfirst inference {HASH[:-1]}0\n{line}\n")


def test_a_file_without_tokens_is_refused() -> None:
    """Nobody could call."""
    with pytest.raises(ValueError, match="expected a token, got none"):
        parse_tokens("# nobody yet\n")


def test_there_are_not_any_number_of_tokens() -> None:
    """Each process has them in memory."""
    lines = [f"n{number} admin sha256:{number:064x}" for number in range(MAX_TOKENS + 1)]
    assert len(parse_tokens("\n".join(lines[:-1]))) == MAX_TOKENS
    with pytest.raises(ValueError, match=f"at most {MAX_TOKENS}"):
        parse_tokens("\n".join(lines))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "expected UTF-8"),
        (b"a b c", "line 1: the scope"),
        (b"#" * ((1 << 20) + 1), "at most 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """With the option that names it."""
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileRefused, match=f"^--token-file {path}: .*{said}"):
        read_tokens(path)


def test_a_folder_is_no_token_file(tmp_path: Path) -> None:
    """It says what it is."""
    with pytest.raises(FileRefused, match="Is a directory"):
        read_tokens(tmp_path)


def test_a_new_token_is_another_one_and_its_line_does_not_have_it() -> None:
    """256 bits at random; what is kept is their SHA-256."""
    token, other = make_token(), make_token()
    assert token != other
    assert len(token) >= 43
    line = write_line("alice", "admin", token)
    assert token not in line
    digest = hashlib.sha256(token.encode()).digest()
    assert parse_tokens(line) == (Token("alice", frozenset({"admin"}), digest),)


def test_what_is_logged_of_a_token_has_no_hash() -> None:
    """Its name and what it is for may be seen."""
    (token,) = parse_tokens(write_line("alice", "admin", make_token()))
    assert "alice" in repr(token)
    assert repr(token.digest) not in repr(token)
