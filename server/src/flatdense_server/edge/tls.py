"""How gRPC's connections are encrypted, with certificates that are replaced while it is served."""

from collections import deque
from typing import Final

import grpc

from flatdense_server.security.certificates import Certificates


class ServerTls:
    """Shows every new connection the newest certificates. Those that are open keep theirs."""

    def __init__(self, certificates: Certificates) -> None:
        self._newest: deque[grpc.ServerCertificateConfiguration] = deque(maxlen=1)
        self.credentials: Final = grpc.dynamic_ssl_server_credentials(
            configure(certificates),
            self._take,  # type: ignore[arg-type]
            require_client_authentication=certificates.client_ca is not None,
        )

    def replace(self, certificates: Certificates) -> None:
        """For connections that come from now on. On any thread."""
        self._newest.append(configure(certificates))

    def _take(self) -> "grpc.ServerCertificateConfiguration | None":
        """What is new since the last handshake. On one of gRPC's own threads."""
        try:
            return self._newest.pop()
        except IndexError:
            return None


def configure(certificates: Certificates) -> "grpc.ServerCertificateConfiguration":
    """The same in gRPC's terms."""
    return grpc.ssl_server_certificate_configuration(
        [(certificates.key, certificates.chain)], root_certificates=certificates.client_ca
    )
