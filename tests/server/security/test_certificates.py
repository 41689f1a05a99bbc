"""Certificates as files: what can be served with, and what is said of all else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from flatdense_server.http.context import open_context
from flatdense_server.security.certificates import TlsFiles, read_certificates
from flatdense_server.security.errors import FileRefused

PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2120, 1, 1, tzinfo=UTC)


@pytest.fixture
def files(server_files: Any) -> TlsFiles:  # noqa: ANN401 -- a class of conftest.py
    """A good pair."""
    return TlsFiles(server_files.cert, server_files.key)


def self_signed(key: Any) -> bytes:  # noqa: ANN401 -- of any kind
    """A certificate for a key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(5)
    builder = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def write_pem(key: Any) -> bytes:  # noqa: ANN401 -- of any kind
    """A key without a passphrase."""
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def test_a_good_pair_is_read_whole(files: TlsFiles) -> None:
    """The bytes for gRPC, and a context for HTTP."""
    certificates = read_certificates(files)
    assert certificates.chain == files.cert.read_bytes()
    assert certificates.key == files.key.read_bytes()
    assert certificates.client_ca is None
    assert certificates.expires > datetime.now(UTC)
    assert open_context(files)


def test_nothing_secret_is_shown(files: TlsFiles) -> None:
    """A log that has one by mistake has no key."""
    assert "PRIVATE" not in repr(read_certificates(files))


def test_the_first_of_the_chain_to_expire_counts(server_files: Any) -> None:  # noqa: ANN401
    """Callers turn away when one is missing between the server's and the authority's."""
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    between = server_files.ca.create_child_ca()
    leaf = between.issue_cert("localhost", not_after=soon)
    pems = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    assert pems.count(b"BEGIN") == 2
    server_files.cert.write_bytes(pems)
    server_files.key.write_bytes(leaf.private_key_pem.bytes())
    assert read_certificates(TlsFiles(server_files.cert, server_files.key)).expires == soon


Damage = Callable[[Any, Path, Path], None]


def encrypt(files: Any, _cert: Path, key: Path) -> None:  # noqa: ANN401
    """A key with a passphrase."""
    loaded = load_pem_private_key(files.key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    key.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def swap(files: Any, _cert: Path, key: Path) -> None:  # noqa: ANN401
    """The key of another certificate."""
    key.write_bytes(files.ca.issue_cert("localhost").private_key_pem.bytes())


BAD: dict[str, tuple[Damage, str]] = {
    "no certificate": (lambda _f, cert, _k: cert.unlink(), "--tls-cert .*: No such file"),
    "no key": (lambda _f, _c, key: key.unlink(), "--tls-key .*: No such file"),
    "an empty certificate": (
        lambda _f, cert, _k: cert.write_bytes(b""),
        "certificates as PEM, got",
    ),
    "an empty key": (lambda _f, _c, key: key.write_bytes(b""), "a private key as PEM"),
    "half a certificate": (
        lambda _f, cert, _k: cert.write_bytes(cert.read_bytes()[:300]),
        "one that is damaged",
    ),
    "half a key": (lambda _f, _c, key: key.write_bytes(key.read_bytes()[:90]), "a private key as"),
    "the key as the certificate": (
        lambda _f, cert, key: cert.write_bytes(key.read_bytes()),
        "expected certificates as PEM, got none",
    ),
    "the certificate as the key": (
        lambda _f, cert, key: key.write_bytes(cert.read_bytes()),
        "expected a private key as PEM",
    ),
    "a key with a passphrase": (encrypt, "without a passphrase"),
    "another's key": (swap, "is not the key of the first certificate of --tls-cert"),
    "an expired one": (
        lambda f, _c, _k: f.issue(not_before=PAST, not_after=PAST + timedelta(9)),
        r"expired at 2020-01-10T00:00:00\+00:00",
    ),
    "one that is not valid yet": (
        lambda f, _c, _k: f.issue(not_before=FUTURE, not_after=FUTURE + timedelta(9)),
        r"is not valid before 2120-01-01T00:00:00\+00:00",
    ),
    "a huge file": (
        lambda _f, cert, _k: cert.write_bytes(b" " * ((1 << 20) + 1)),
        "at most 1048576 bytes",
    ),
    "a folder": (lambda _f, cert, _k: (cert.unlink(), cert.mkdir()), "Is a directory"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_served_with_is_named(
    files: TlsFiles,
    server_files: Any,  # noqa: ANN401
    case: str,
) -> None:
    """The option, the file and what is wrong, in one line that has nothing of the key."""
    damage, said = BAD[case]
    secret = files.key.read_text().splitlines()[1]
    damage(server_files, files.cert, files.key)
    with pytest.raises(FileRefused, match=said) as caught:
        read_certificates(files)
    assert "\n" not in str(caught.value)
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (rsa.generate_private_key(65537, 2048), True),
        (ec.generate_private_key(ec.SECP256R1()), True),
        (ec.generate_private_key(ec.SECP384R1()), True),
        (rsa.generate_private_key(65537, 1024), False),
        (ec.generate_private_key(ec.SECP521R1()), False),
        (ec.generate_private_key(ec.SECP224R1()), False),
        (ed25519.Ed25519PrivateKey.generate(), False),
    ],
    ids=["rsa 2048", "p256", "p384", "rsa 1024", "p521", "p224", "ed25519"],
)
def test_only_keys_that_callers_take_are_taken(files: TlsFiles, key: object, *, good: bool) -> None:
    """GRPC would bind the port, and then no handshake would succeed."""
    files.cert.write_bytes(self_signed(key))
    files.key.write_bytes(write_pem(key))
    if good:
        assert read_certificates(files)
        assert open_context(files)
    else:
        with pytest.raises(FileRefused, match="expected an RSA key of at least 2048 bits, or"):
            read_certificates(files)


def test_authorities_of_clients_are_judged_too(files: TlsFiles, tmp_path: Path) -> None:
    """Missing, damaged, all expired: refused. One good one among them is enough."""
    path = tmp_path / "clients.pem"
    mutual = TlsFiles(files.cert, files.key, path)
    with pytest.raises(FileRefused, match=f"--tls-client-ca {path}: No such file"):
        read_certificates(mutual)
    path.write_text("hello")
    with pytest.raises(FileRefused, match="expected certificates as PEM, got none"):
        read_certificates(mutual)
    good = trustme.CA()
    old = good.issue_cert("old", not_before=PAST, not_after=PAST + timedelta(9))
    path.write_bytes(old.cert_chain_pems[0].bytes())
    with pytest.raises(FileRefused, match="every certificate in it has expired"):
        read_certificates(mutual)
    path.write_bytes(old.cert_chain_pems[0].bytes() + good.cert_pem.bytes())
    assert read_certificates(mutual).client_ca == path.read_bytes()


def test_a_key_that_gets_a_passphrase_is_not_asked_for_on_the_terminal(
    files: TlsFiles,
    server_files: Any,  # noqa: ANN401
) -> None:
    """OpenSSL refuses it as well, where the file changed between two reads."""
    encrypt(server_files, files.cert, files.key)
    with pytest.raises(FileRefused, match="OpenSSL does not take them"):
        open_context(files)
