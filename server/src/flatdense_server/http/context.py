"""How HTTP connections are encrypted, with certificates that are replaced while it is served."""

import ssl

from flatdense_server.security.certificates import CERT, KEY, TlsFiles
from flatdense_server.security.errors import FileRefused


class Contexts:
    """The context to listen with: each new connection is encrypted as the newest one says."""

    def __init__(self, first: ssl.SSLContext) -> None:
        self.listening = first
        self._newest = first
        # OpenSSL calls it for each connection, also where the caller names no server.
        first.sni_callback = self._choose

    def replace(self, newest: ssl.SSLContext) -> None:
        """For connections that come from now on. On any thread."""
        self._newest = newest

    def _choose(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._newest


def open_context(files: TlsFiles) -> ssl.SSLContext:
    """How connections are encrypted by these files. Raises FileRefused.

    Sessions are not resumed: who was let in by a certificate must show it each time. Those of TLS
    1.2 are kept by OpenSSL itself, which Python cannot tell not to: callers who must show a
    certificate need TLS 1.3.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    try:
        # With a password there is no question on the terminal, whatever the key has become.
        context.load_cert_chain(files.cert, files.key, password="")
        if files.client_ca:
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            context.minimum_version = ssl.TLSVersion.TLSv1_3
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise FileRefused(
            f"{CERT} {files.cert}, {KEY} {files.key}: OpenSSL does not take them: {reason}."
        ) from error
    return context
