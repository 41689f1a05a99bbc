"""The certificates of this server, as files and as what they say."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flatdense_server.security.errors import FileRefused
from flatdense_server.security.files import read_file

if TYPE_CHECKING:  # a server without TLS does not import it
    from cryptography import x509

CERT: Final = "--tls-cert"
KEY: Final = "--tls-key"
CLIENT_CA: Final = "--tls-client-ca"

LEAST_RSA_BITS: Final = 2048

CURVES: Final = ("secp256r1", "secp384r1")

KINDS: Final = f"expected an RSA key of at least {LEAST_RSA_BITS} bits, or a P-256 or P-384 one."
"""gRPC shows no other to its callers, and OpenSSL none that is weaker."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates are: PEM."""

    cert: Path
    """The server's own, then those between it and an authority."""
    key: Path
    """Of the first one, without a passphrase."""
    client_ca: Path | None = None
    """The authorities whose certificates clients must have; without them they need none."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.cert, self.key, *([self.client_ca] if self.client_ca else []))


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the files say, and is known to fit. PEM."""

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    client_ca: bytes | None = field(repr=False)
    expires: datetime
    """The first of the chain to expire."""
    subject: str


def read_certificates(files: TlsFiles) -> Certificates:
    """What can be served with now. Raises FileRefused."""
    chain, key = read_file(files.cert, CERT), read_file(files.key, KEY)
    client_ca = read_file(files.client_ca, CLIENT_CA) if files.client_ca else None
    certificates = load_chain(files.cert, CERT, chain)
    check_pair(files, certificates[0], key)
    check_dates(files.cert, certificates, datetime.now(UTC))
    if files.client_ca and client_ca is not None:
        check_authorities(files.client_ca, client_ca)
    return Certificates(
        chain=chain,
        key=key,
        client_ca=client_ca,
        expires=min(certificate.not_valid_after_utc for certificate in certificates),
        subject=describe_name(certificates[0]),
    )


def load_chain(path: Path, option: str, data: bytes) -> "Sequence[x509.Certificate]":
    """The certificates of a file, at least one. Raises FileRefused."""
    from cryptography import x509  # noqa: PLC0415

    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise FileRefused(f"{option} {path}: expected certificates as PEM, got none.")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise FileRefused(
            f"{option} {path}: expected certificates as PEM, got one that is damaged."
        ) from error


def check_pair(files: TlsFiles, certificate: "x509.Certificate", data: bytes) -> None:
    """Raises FileRefused where the key cannot be used, or is not the certificate's."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key: Any = load_pem_private_key(data, None)
        given: Any = certificate.public_key()
    except TypeError as error:
        raise FileRefused(f"{KEY} {files.key}: expected a key without a passphrase.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FileRefused(f"{KEY} {files.key}: expected a private key as PEM.") from error
    if key.public_key() != given:
        raise FileRefused(
            f"{KEY} {files.key} is not the key of the first certificate of {CERT} {files.cert}."
        )
    is_rsa = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= LEAST_RSA_BITS
    is_ec = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES
    if not (is_rsa or is_ec):
        raise FileRefused(f"{KEY} {files.key}: {KINDS}")


def check_dates(path: Path, certificates: "Sequence[x509.Certificate]", now: datetime) -> None:
    """Raises FileRefused where one of them is not valid now: no caller would take it."""
    for certificate in certificates:
        name = describe_name(certificate)
        if certificate.not_valid_after_utc <= now:
            when = certificate.not_valid_after_utc.isoformat()
            raise FileRefused(f"{CERT} {path}: the certificate of {name} expired at {when}.")
        if certificate.not_valid_before_utc > now:
            when = certificate.not_valid_before_utc.isoformat()
            raise FileRefused(
                f"{CERT} {path}: the certificate of {name} is not valid before {when}."
            )


def check_authorities(path: Path, data: bytes) -> None:
    """Raises FileRefused where no client could be let in."""
    authorities, now = load_chain(path, CLIENT_CA, data), datetime.now(UTC)
    # One that has expired may stand beside the one that took its place.
    if all(authority.not_valid_after_utc <= now for authority in authorities):
        raise FileRefused(f"{CLIENT_CA} {path}: every certificate in it has expired.")


def describe_name(certificate: "x509.Certificate") -> str:
    """Whose it is, for people."""
    return certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number}"
