"""Whether a caller may do what it asks for."""

import hmac
from collections.abc import Iterable
from typing import Final

from flatdense_server.errors import Forbidden, Unauthenticated
from flatdense_server.security.tokens import Scope, Token, Tokens, hash_token

HEADER: Final = "authorization"
"""Of a request: `Bearer` and a token."""

SCHEME: Final = b"bearer"

PREFIX_BYTES: Final = 8
"""By so much of its hash a token is looked for."""

UNAUTHENTICATED: Final = Unauthenticated("a valid token is required.")
FORBIDDEN: Final = Forbidden("the token is not for this.")


class Access:
    """Knows the tokens that count now, by their hashes alone. Thread-safe."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens: dict[bytes, tuple[Token, ...]] = {}
        self.replace(tokens)

    def replace(self, tokens: Tokens) -> None:
        """From now on these count, and no others. What was let in before stays so."""
        found: dict[bytes, tuple[Token, ...]] = {}
        for token in tokens:
            prefix = token.digest[:PREFIX_BYTES]
            found[prefix] = (*found.get(prefix, ()), token)
        self._tokens = found

    def judge(self, header: str | bytes | None, scope: Scope) -> Unauthenticated | Forbidden | None:
        """None where a request with this header may do what is of this scope; else why not.

        How long it takes tells nothing of any token: what a caller could compare byte by byte is
        never compared, only hashes, which it cannot choose.
        """
        if header is None:
            return UNAUTHENTICATED
        given = header.encode(errors="replace") if isinstance(header, str) else header
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != SCHEME:
            return UNAUTHENTICATED
        digest = hash_token(token.strip(b" "))
        for known in self._tokens.get(digest[:PREFIX_BYTES], ()):
            if hmac.compare_digest(known.digest, digest):
                return None if scope in known.scopes else FORBIDDEN
        return UNAUTHENTICATED


def find_header(metadata: Iterable[tuple[str, str | bytes]]) -> str | bytes | None:
    """The first such header, by its name in lower case."""
    for name, value in metadata:
        if name == HEADER:
            return value
    return None
