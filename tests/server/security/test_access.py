"""Whether a header lets its sender do what it asks for."""

import pytest
from flatdense_server.security.access import FORBIDDEN, UNAUTHENTICATED, Access, find_header
from flatdense_server.security.tokens import Token, hash_token
from hypothesis import given
from hypothesis import strategies as st

ALICE, ROBOT = "fd_alice", "fd_robot"
TOKENS = (
    Token("alice", frozenset({"inference"}), hash_token(ALICE.encode())),
    Token("robot", frozenset({"admin"}), hash_token(ROBOT.encode())),
)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("encode", [str, str.encode])
def test_a_token_opens_what_it_is_for_and_nothing_else(scheme: str, encode: type) -> None:
    """Neither scope has the other in it; headers come as text and as bytes."""
    access = Access(TOKENS)
    alice, robot = (encode(f"{scheme} {token}") for token in (ALICE, ROBOT))
    assert access.judge(alice, "inference") is None
    assert access.judge(robot, "admin") is None
    assert access.judge(alice, "admin") is FORBIDDEN
    assert access.judge(robot, "inference") is FORBIDDEN


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        ALICE,
        f"Basic {ALICE}",
        f"Bearer{ALICE}",
        f"Bearer {ALICE}x",
        f"Bearer {ALICE[:-1]}",
        f"Bearer {ALICE} {ALICE}",
        f"Bearer {hash_token(ALICE.encode()).hex()}",
        b"Bearer \xff\xfe",
        "Bearer \udcff",
    ],
)
def test_everything_else_is_refused_in_the_same_words(header: str | bytes | None) -> None:
    """Missing, wrong, malformed, the hash in place of the token: nobody learns which."""
    assert Access(TOKENS).judge(header, "inference") is UNAUTHENTICATED
    assert Access(TOKENS).judge(header, "admin") is UNAUTHENTICATED


@given(header=st.none() | st.text() | st.binary() | st.text().map("Bearer {}".format))
def test_no_header_of_a_stranger_opens_anything(header: str | bytes | None) -> None:
    """Whatever it is made of, it is judged and never a fault."""
    assert Access(TOKENS).judge(header, "inference") is UNAUTHENTICATED


def test_the_whole_hash_counts() -> None:
    """Two tokens whose hashes begin alike are told apart, and a third is neither."""
    digest = hash_token(ALICE.encode())
    twin = Token("twin", frozenset({"admin"}), digest[:8] + bytes(24))
    header = f"Bearer {ALICE}"
    assert Access((twin, *TOKENS)).judge(header, "inference") is None
    assert Access((twin,)).judge(header, "admin") is UNAUTHENTICATED


def test_other_tokens_count_from_the_moment_they_are_given() -> None:
    """Those that went are as unknown as any."""
    access = Access(TOKENS[:1])
    access.replace(TOKENS[1:])
    assert access.judge(f"Bearer {ALICE}", "inference") is UNAUTHENTICATED
    assert access.judge(f"Bearer {ROBOT}", "admin") is None


def test_the_first_header_of_its_name_counts() -> None:
    """Others are not looked at."""
    metadata = (("user-agent", "x"), ("authorization", "a"), ("authorization", "b"))
    assert find_header(metadata) == "a"
    assert find_header(metadata[:1]) is None
