"""The token file: who has a token, what it is for, and its hash.

    # name  scope      hash
    alice   inference  sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    deploy  admin      sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752

The tokens themselves are in no file of the server. Each is 256 random bits, so SHA-256 hides it as
well as a slow hash would: there is nothing to guess.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from flatdense_server.security.errors import FileRefused
from flatdense_server.security.files import read_file

OPTION: Final = "--token-file"

Scope: TypeAlias = Literal["inference", "admin"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

MAX_TOKENS: Final = 1000

MARK: Final = "fd_"
"""At the beginning of every token that is made here: who finds one lying about knows what it is."""

TOKEN_BYTES: Final = 32

NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")

FIELDS: Final = "`name scope sha256:...`"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token."""

    name: str
    """Whose it is, for people."""
    scopes: frozenset[Scope]
    """What it is for."""
    digest: bytes = field(repr=False)
    """SHA-256 of it."""


Tokens: TypeAlias = tuple[Token, ...]


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file, at least one. Raises FileRefused."""
    data = read_file(path, OPTION)
    try:
        return parse_tokens(data.decode())
    except UnicodeDecodeError as error:
        raise FileRefused(f"{OPTION} {path}: expected UTF-8 text.") from error
    except ValueError as error:
        raise FileRefused(f"{OPTION} {path}: {error}") from error


def parse_tokens(text: str) -> Tokens:
    """The tokens of a file's text. Raises ValueError, which tells nothing that stands there."""
    tokens: dict[str, Token] = {}
    digests: set[bytes] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        try:
            token = parse_line(fields)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if token.name in tokens:
            raise ValueError(f"line {number}: the name stands on a line above.")
        if token.digest in digests:
            raise ValueError(f"line {number}: the hash stands on a line above.")
        tokens[token.name] = token
        digests.add(token.digest)
        if len(tokens) > MAX_TOKENS:
            raise ValueError(f"expected at most {MAX_TOKENS} tokens, got more.")
    if not tokens:
        raise ValueError("expected a token, got none. --make-token gives one.")
    return tuple(tokens.values())


def parse_line(fields: list[str]) -> Token:
    """One token. Raises ValueError."""
    if len(fields) != len(FIELDS.split()):
        raise ValueError(f"expected {FIELDS}, got {len(fields)} words.")
    name, scope, digest = fields
    if not NAME.fullmatch(name):
        raise ValueError(
            "the name: expected at most 64 letters, digits, dots, dashes, underscores."
        )
    if scope not in SCOPES:
        raise ValueError(f"the scope: expected {' or '.join(SCOPES)}.")
    found = HASH.fullmatch(digest)
    if not found:
        raise ValueError("the hash: expected sha256: and 64 hexadecimal digits in lower case.")
    return Token(name, frozenset({scope}), bytes.fromhex(found[1]))


def make_token() -> str:
    """A new one. Nothing else has it."""
    return MARK + secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: bytes) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token).digest()


def write_line(name: str, scope: str, token: str) -> str:
    """What a token file says of a token. Raises ValueError where it could not be read again."""
    fields = [name, scope, f"sha256:{hash_token(token.encode()).hex()}"]
    parse_line(fields)
    return " ".join(fields)
