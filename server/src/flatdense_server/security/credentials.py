"""All that a process needs to know its callers, and to be known by them."""

from dataclasses import dataclass

from flatdense_server.security.certificates import Certificates
from flatdense_server.security.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What counts now."""

    certificates: Certificates | None = None
    """None where connections are not encrypted."""
    tokens: Tokens | None = None
    """None where callers need none."""
