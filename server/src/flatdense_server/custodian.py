"""Holds the certificates and the tokens of the service, and follows their files."""

import logging
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.security.access import Access
from flatdense_server.security.certificates import Certificates, TlsFiles, read_certificates
from flatdense_server.security.credentials import Credentials
from flatdense_server.security.files import Followed
from flatdense_server.security.tokens import (
    SCOPES,
    Token,
    Tokens,
    hash_token,
    make_token,
    read_tokens,
)

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Between two looks at the files."""

HOUSE: Final = "flatdense"
"""Whose token it is that the service's own processes have."""

Pair: TypeAlias = tuple[Certificates, ssl.SSLContext]
"""For gRPC, and for HTTP."""


class Custodian:
    """Reads the files at the start and whenever they have changed; what is bad changes nothing.

    All processes get what it read: it is looked at, logged and counted once. The constructor raises
    FileRefused.
    """

    def __init__(
        self, tls_files: TlsFiles | None, token_file: Path | None, metrics: Metrics
    ) -> None:
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="custodian", daemon=True)
        self._tell: Callable[[Credentials], None] = lambda _credentials: None
        self._tls = follow_tls(tls_files) if tls_files else None
        self._tokens = (
            Followed([token_file], lambda: read_tokens(token_file)) if token_file else None
        )
        self._expiry_told = False
        self.house_token: Final = make_token() if token_file else ""
        """Opens everything to the service's own processes; it is in their memory alone."""
        self.access: Final = Access(self._all_tokens()) if token_file else None
        """Of those who call this process."""
        self._note_tls()
        self._note_tokens()

    @property
    def credentials(self) -> Credentials:
        """What counts now, for a worker."""
        return Credentials(
            certificates=self._tls.content[0] if self._tls else None,
            tokens=self._all_tokens() if self._tokens else None,
        )

    @property
    def context(self) -> ssl.SSLContext | None:
        """How this process encrypts connections now."""
        return self._tls.content[1] if self._tls else None

    def start(self, tell: Callable[[Credentials], None]) -> None:
        """Follows the files. `tell` hears what counts from now on, on a thread of its own."""
        self._tell = tell
        if self._tls or self._tokens:
            self._thread.start()

    def stop(self) -> None:
        """Follows them no more."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self._look()
            except Exception:
                # Whatever it was, what counted counts, and the next look is another try.
                log.exception("the credentials could not be looked at")

    def _look(self) -> None:
        before = self.credentials
        if self._tls and self._tls.follow():
            self._note_tls()
        if self._tokens and self._tokens.follow():
            self._note_tokens()
        if self.credentials != before:
            if self.access:
                self.access.replace(self._all_tokens())
            self._tell(self.credentials)
        self._watch_expiry()

    def _all_tokens(self) -> Tokens:
        house = Token(HOUSE, frozenset(SCOPES), hash_token(self.house_token.encode()))
        return (*(self._tokens.content if self._tokens else ()), house)

    def _note_tls(self) -> None:
        if not self._tls:
            return
        (certificates, _), refusal = self._tls.content, self._tls.refusal
        self._metrics.certificate_expiry_s.labels().set(certificates.expires.timestamp())
        self._metrics.certificate_valid.labels().set(not refusal)
        if refusal:
            log.warning(
                "certificates refused, the ones before stay in use", extra={"reason": refusal}
            )
        else:
            self._expiry_told = False
            log.info(
                "certificates",
                extra={"subject": certificates.subject, "expires": certificates.expires},
            )

    def _note_tokens(self) -> None:
        if not self._tokens:
            return
        self._metrics.token_file_valid.labels().set(not self._tokens.refusal)
        if self._tokens.refusal:
            log.warning(
                "tokens refused, the ones before stay in use",
                extra={"reason": self._tokens.refusal},
            )
        else:
            names = [token.name for token in self._tokens.content]
            log.info("tokens", extra={"count": len(names)})

    def _watch_expiry(self) -> None:
        """Says once when callers begin to turn away."""
        if not self._tls or self._expiry_told:
            return
        expires = self._tls.content[0].expires
        if expires <= datetime.now(UTC):
            self._expiry_told = True
            log.error("the certificate has expired", extra={"expires": expires})


def follow_tls(files: TlsFiles) -> Followed[Pair]:
    """Raises FileRefused."""
    # Here: a server without TLS needs nothing of it.
    from flatdense_server.http.context import open_context  # noqa: PLC0415

    return Followed(files.paths, lambda: (read_certificates(files), open_context(files)))
