"""Encrypted connections: whom the client trusts, and who it says it is."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from flatdense_client._errors import InvalidInput

Pem = str | os.PathLike[str] | bytes
"""The path of a PEM file, or what is in one."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How a connection is encrypted, where it takes more than `tls=True`.

        Client("digits.example:8500", tls=Tls(ca="ca.pem"))
        Client("digits.example:8500", tls=Tls(certificate="me.pem", key="me.key"))

    Files are read when a client is made. One that is renewed is read by the next client.

    Raises ValueError: there is a certificate without its key, or a key without its certificate.
    """

    ca: Pem | None = None
    """The authorities that are trusted; left out, those that this machine trusts."""
    certificate: Pem | None = None
    """This client's own, with those between it and its authority, for servers that want one."""
    key: Pem | None = field(default=None, repr=False)
    """The private key of `certificate`, without a passphrase."""
    server_name: str | None = None
    """The name that the server's certificate has; left out, the host of the address."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            msg = "certificate and key belong together: give both or neither"
            raise ValueError(msg)


def channel_credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Reads the files.

    Raises InvalidInput: one cannot be read, or holds something else.
    """
    roots = _machine_roots() if tls.ca is None else _read_roots(tls.ca)
    if tls.certificate is None or tls.key is None:
        return grpc.ssl_channel_credentials(roots)
    certificate = _read(tls.certificate, "CERTIFICATE", "certificate")
    return grpc.ssl_channel_credentials(roots, _read_key(tls.key), certificate)


def _machine_roots() -> bytes | None:
    """What this machine trusts, as its OpenSSL sees it; None, which is gRPC's own, if nothing."""
    roots = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, roots)).encode() or None


def _read_roots(ca: Pem) -> bytes:
    pem = _read(ca, "CERTIFICATE", "ca")
    try:
        # gRPC itself says nothing before the first call, and then nothing of the reason.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        msg = f"{_name(ca, 'ca')} holds no certificate that can be read: {error}"
        raise InvalidInput(msg) from error
    return pem


def _read_key(key: Pem) -> bytes:
    pem = _read(key, "PRIVATE KEY", "key")
    if b"ENCRYPTED" in pem:
        msg = f"{_name(key, 'key')} has a passphrase: give the key without one"
        raise InvalidInput(msg)
    return pem


def _read(pem: Pem, kind: str, name: str) -> bytes:
    try:
        data = pem if isinstance(pem, bytes) else Path(pem).read_bytes()
    except OSError as error:
        msg = f"{_name(pem, name)} cannot be read: {error.strerror}"
        raise InvalidInput(msg) from error
    if f"{kind}-----".encode() not in data:
        msg = f"{_name(pem, name)} is no {kind.lower()}: expected PEM, with -----BEGIN {kind}-----"
        raise InvalidInput(msg)
    return data


def _name(pem: Pem, name: str) -> str:
    return name if isinstance(pem, bytes) else f"{name} {os.fspath(pem)}"
