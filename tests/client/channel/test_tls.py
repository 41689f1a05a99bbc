"""Encrypted connections, to a real server whose certificates are made here."""

import asyncio
import datetime as dt
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
from flatdense_client import AsyncClient, Client, InvalidInput, Tls, Unavailable
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    add_ClassifierServicer_to_server,
)

IMAGE = np.zeros((28, 28), np.uint8)


class Sevens(ClassifierServicer):
    """Says 7 of everything, and notes the tokens."""

    def __init__(self, tokens: list[object]) -> None:
        self._tokens = tokens

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One row."""
        del request
        self._tokens.append(dict(context.invocation_metadata()).get("authorization"))
        probabilities = np.eye(10, dtype="<f4")[7].tobytes()
        return pb.ClassifyResponse(probabilities=probabilities, classes=[7], model_version=1)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Of no interest."""
        del context
        return pb.GetModelResponse(version=request.model.version)


def _chain(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


def _key(certificate: trustme.LeafCert) -> bytes:
    return certificate.private_key_pem.bytes()


@dataclass
class Authority:
    """Signs certificates; another one is a stranger."""

    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def pem(self) -> bytes:
        """What those who trust it have."""
        return self.ca.cert_pem.bytes()

    def server(self, *names: str) -> trustme.LeafCert:
        """A good certificate for a server of these names."""
        return self.ca.issue_cert(*names)

    def expired(self) -> trustme.LeafCert:
        """One that was good once."""
        return self.ca.issue_cert(
            "127.0.0.1",
            not_before=dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc),
            not_after=dt.datetime(2021, 1, 1, tzinfo=dt.timezone.utc),
        )

    def early(self) -> trustme.LeafCert:
        """One that will be good."""
        return self.ca.issue_cert(
            "127.0.0.1",
            not_before=dt.datetime(2120, 1, 1, tzinfo=dt.timezone.utc),
            not_after=dt.datetime(2121, 1, 1, tzinfo=dt.timezone.utc),
        )

    def person(self) -> trustme.LeafCert:
        """For a client."""
        return self.ca.issue_cert("somebody@flatdense.example")


Serve = Callable[..., str]


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The one that the clients trust."""
    return Authority()


@pytest.fixture
def tokens() -> list[object]:
    """What each call said who it was."""
    return []


@pytest.fixture
def serve_tls(authority: Authority, tokens: list[object]) -> Iterator[Serve]:
    """Serves with a certificate on a free port; gives the address."""
    servers: list[grpc.Server] = []

    def start(certificate: trustme.LeafCert, *, is_mutual: bool = False) -> str:
        server = grpc.server(ThreadPoolExecutor(4))
        add_ClassifierServicer_to_server(Sevens(tokens), server)
        credentials = grpc.ssl_server_credentials(
            [(_key(certificate), _chain(certificate))],
            authority.pem if is_mutual else None,
            is_mutual,
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


def _label(address: str | list[str], tls: bool | Tls) -> str:
    with Client(address, tls=tls) as client:
        return client.classify(IMAGE)[0].label


def _trouble(address: str, tls: bool | Tls) -> str:
    with Client(address, tls=tls) as client, pytest.raises(Unavailable) as caught:
        client.classify(IMAGE)
    told = str(caught.value)
    assert told.startswith(f"{address} cannot be reached: ")
    return told


def test_a_trusted_server_answers(authority: Authority, serve_tls: Serve) -> None:
    """With its authority as `ca` a server is called over TLS."""
    assert (
        _label(serve_tls(authority.server("localhost", "127.0.0.1")), Tls(ca=authority.pem)) == "7"
    )


def test_a_token_travels_encrypted(
    authority: Authority, serve_tls: Serve, tokens: list[object]
) -> None:
    """With TLS a token may leave this machine, and reaches the server."""
    address = serve_tls(authority.server("127.0.0.1"))
    with Client(address, tls=Tls(ca=authority.pem), token="s3cret") as client:
        assert client.classify(IMAGE)[0].label == "7"
    assert tokens == ["Bearer s3cret"]


def test_the_same_in_asyncio(authority: Authority, serve_tls: Serve) -> None:
    """AsyncClient takes what Client takes."""
    address, tls = serve_tls(authority.server("localhost", "127.0.0.1")), Tls(ca=authority.pem)

    async def _law() -> None:
        async with AsyncClient(address, tls=tls) as client:
            assert (await client.classify(IMAGE))[0].label == "7"
        async with AsyncClient(address, tls=True) as client:
            with pytest.raises(Unavailable, match="of an authority that is not trusted here"):
                await client.classify(IMAGE)

    asyncio.run(asyncio.wait_for(_law(), 60))


def test_files_are_as_good_as_bytes(authority: Authority, serve_tls: Serve, tmp_path: Path) -> None:
    """Paths, as str or Path, are read."""
    person = authority.person()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "me.pem").write_bytes(_chain(person))
    (tmp_path / "me.key").write_bytes(_key(person))
    address = serve_tls(authority.server("localhost", "127.0.0.1"), is_mutual=True)
    tls = Tls(ca=str(tmp_path / "ca.pem"), certificate=tmp_path / "me.pem", key=tmp_path / "me.key")
    assert _label(address, tls) == "7"
    assert "PRIVATE" not in repr(Tls(certificate=_chain(person), key=_key(person)))


def test_this_machine_says_whom_to_trust(
    authority: Authority, serve_tls: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tls=True` trusts the roots of the machine's OpenSSL, and nobody else."""
    address = serve_tls(authority.server("localhost", "127.0.0.1"))
    assert "of an authority that is not trusted here; give that as ca" in _trouble(
        address, tls=True
    )
    (tmp_path / "roots.pem").write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    assert _label(address, tls=True) == "7"


def test_another_authority_is_not_trusted(authority: Authority, serve_tls: Serve) -> None:
    """A certificate that somebody else signed is refused."""
    address = serve_tls(Authority().server("127.0.0.1"))
    told = _trouble(address, Tls(ca=authority.pem))
    assert "its certificate is of an authority that is not trusted here" in told


def test_another_name_is_refused_unless_it_is_given(authority: Authority, serve_tls: Serve) -> None:
    """The certificate must have the host's name, or that of `server_name`."""
    address = serve_tls(authority.server("digits.example"))
    told = _trouble(address, Tls(ca=authority.pem))
    assert "its certificate is for another name; give that as server_name" in told
    assert _label(address, Tls(ca=authority.pem, server_name="digits.example")) == "7"


def test_an_old_certificate_is_refused(authority: Authority, serve_tls: Serve) -> None:
    """One that has expired, and one that is not valid yet, say so."""
    tls = Tls(ca=authority.pem)
    assert "its certificate has expired" in _trouble(serve_tls(authority.expired()), tls)
    assert "not valid yet; check the clocks" in _trouble(serve_tls(authority.early()), tls)


def test_a_server_may_want_a_certificate(authority: Authority, serve_tls: Serve) -> None:
    """With mutual TLS a client shows its own; without one, or with a stranger's, it is told."""
    address = serve_tls(authority.server("localhost", "127.0.0.1"), is_mutual=True)
    person, stranger = authority.person(), Authority().person()
    mutual = Tls(ca=authority.pem, certificate=_chain(person), key=_key(person))
    strange = Tls(ca=authority.pem, certificate=_chain(stranger), key=_key(stranger))
    assert _label(address, mutual) == "7"
    assert "may want a certificate of this client" in _trouble(address, Tls(ca=authority.pem))
    assert "may not accept this client's certificate" in _trouble(address, strange)


def test_one_side_alone_speaks_tls(authority: Authority, serve_tls: Serve, address: str) -> None:
    """Each way round is told apart, and neither hangs."""
    assert "it may speak TLS alone: give tls" in _trouble(
        serve_tls(authority.server("localhost", "127.0.0.1")), tls=False
    )
    assert "does not speak TLS; leave tls out" in _trouble(address, Tls(ca=authority.pem))


def test_several_servers_of_one_name(authority: Authority, serve_tls: Serve) -> None:
    """Several addresses of one host are checked by its name; several hosts need one in common."""
    tls = Tls(ca=authority.pem)
    assert _label([serve_tls(authority.server("127.0.0.1")) for _ in range(2)], tls) == "7"
    one, other = (serve_tls(authority.server("digits.example")) for _ in range(2))
    mixed = [one, other.replace("127.0.0.1", "localhost")]
    with pytest.raises(ValueError, match=r"are several hosts: name in Tls\(server_name=\.\.\.\)"):
        Client(mixed, tls=tls)
    assert _label(mixed, Tls(ca=authority.pem, server_name="digits.example")) == "7"


def test_files_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    """A missing, foreign, damaged or locked file is named when the client is made."""
    person = authority.person()
    locked = _key(person).replace(b"-----BEGIN", b"-----BEGIN ENCRYPTED", 1)
    (tmp_path / "text.pem").write_text("hello")
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for tls, told in (
        (Tls(ca=tmp_path / "none.pem"), f"ca {tmp_path}/none.pem cannot be read: No such file"),
        (Tls(ca=tmp_path), "cannot be read: Is a directory"),
        (Tls(ca=tmp_path / "text.pem"), "text.pem is no certificate: expected PEM"),
        (Tls(ca=broken), "ca holds no certificate that can be read"),
        (Tls(certificate=_chain(person), key=b""), "key is no private key: expected PEM"),
        (Tls(certificate=b"x", key=_key(person)), "certificate is no certificate"),
        (Tls(certificate=_chain(person), key=locked), "key has a passphrase"),
    ):
        for kind in (Client, AsyncClient):
            with pytest.raises(InvalidInput, match=re.escape(told)):
                kind("localhost:1", tls=tls)


def test_a_key_of_another_certificate(
    authority: Authority, serve_tls: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pair that is none is told at the first call: gRPC finds out no sooner."""
    tls = Tls(
        ca=authority.pem, certificate=_chain(authority.person()), key=_key(authority.person())
    )
    address = serve_tls(authority.server("localhost", "127.0.0.1"))
    assert "the key does not fit the certificate" in _trouble(address, tls)
    capfd.readouterr()  # gRPC itself complains


@pytest.mark.parametrize("half", [{"certificate": b"x"}, {"key": b"x"}])
def test_half_a_pair_is_refused(half: dict[str, bytes]) -> None:
    """A certificate without its key, or the other way round, is a mistake."""
    with pytest.raises(ValueError, match="give both or neither"):
        Tls(**half)


@pytest.mark.parametrize("tls", [None, "ca.pem", 1])
def test_what_is_no_tls(tls: bool) -> None:
    """A path in the place of Tls is told what was expected."""
    with pytest.raises(TypeError, match=r"expected True, False or Tls\(\.\.\.\)"):
        Client("localhost:1", tls=tls)
