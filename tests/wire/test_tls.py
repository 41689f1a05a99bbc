"""Encrypted connections to a running server: who is let in, and certificates that change."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
import trustme
from cryptography import x509
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from server_process import ServerProcess, read_command

pytestmark = [pytest.mark.xdist_group("tls"), pytest.mark.usefixtures("compiled")]

Start: TypeAlias = Callable[..., ServerProcess]
ServerFiles: TypeAlias = Any
"""See conftest.py."""

REQUEST = pb.ClassifyRequest(images=bytes(2 * 784), data_type=pb.DATA_TYPE_UINT8)

OWN_CERTIFICATES = "certificates"
"""The event of a pair that is in use from then on."""


@pytest.fixture
def start(exported_model: Path) -> Iterator[Start]:
    """Starts servers with one worker, until options say otherwise. Each ends well."""
    started: list[ServerProcess] = []

    def start(*options: str) -> ServerProcess:
        """Ready."""
        engine = ("--model-dir", str(exported_model), "--engine", "aot")
        server = ServerProcess(*engine, "--workers", "1", *options)
        started.append(server)
        server.ready()
        return server

    yield start
    for server in started:
        with server:
            assert server.stop() == 0
        assert not any("Traceback" in str(event) for event in server.events)


def port_of(address: str) -> int:
    """Of `host:port`, and of a URL."""
    found = urlsplit(address if "//" in address else f"//{address}").port
    assert found
    return found


@contextmanager
def stub_of(
    server: ServerProcess, roots: bytes, leaf: trustme.LeafCert | None = None, name: str = ""
) -> Iterator[ClassifierStub]:
    """The classifier, over a connection of its own."""
    key = leaf.private_key_pem.bytes() if leaf else None
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems) if leaf else None
    credentials = grpc.ssl_channel_credentials(roots, key, chain)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    target = f"localhost:{port_of(server.address)}"
    with grpc.secure_channel(target, credentials, options) as channel:
        yield ClassifierStub(channel)


def classify(server: ServerProcess, roots: bytes, leaf: trustme.LeafCert | None = None) -> int:
    """How many rows a new connection gets answered."""
    with stub_of(server, roots, leaf) as stub:
        return len(stub.Classify(REQUEST, timeout=20).classes)


def refused(
    server: ServerProcess, roots: bytes, leaf: trustme.LeafCert | None = None, name: str = ""
) -> str:
    """Why a new connection gets nothing answered."""
    with stub_of(server, roots, leaf, name) as stub, pytest.raises(grpc.RpcError) as caught:
        stub.Classify(REQUEST, timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    details: str = caught.value.details()
    return details


def serial(address: str, context: ssl.SSLContext | None = None) -> int:
    """Which certificate is shown there now."""
    context = context or ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"] if "//" not in address else ["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port_of(address)), 20) as raw,
        context.wrap_socket(raw) as caller,
    ):
        shown = caller.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown).serial_number


def serial_of(leaf: trustme.LeafCert) -> int:
    """Of a certificate that was issued."""
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number


def https(files: ServerFiles, server: ServerProcess, **options: Any) -> httpx.Client:  # noqa: ANN401
    """A caller that trusts the authority."""
    context = ssl.create_default_context(cadata=files.roots.decode())
    if leaf := options.get("leaf"):
        leaf.configure_cert(context)
    return httpx.Client(verify=context, base_url=server.page, timeout=20)


def gauge(files: ServerFiles, server: ServerProcess, name: str) -> float:
    """One figure of /metrics."""
    with https(files, server) as client:
        lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.parametrize("lane", ["express", "standard"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_both_ports_speak_tls_and_nothing_else(
    start: Start, server_files: ServerFiles, lane: str, workers: str
) -> None:
    """Calls, streams, REST and probes; the service's own way to its workers is not in the way."""
    server = start(*server_files.options, "--lane", lane, "--workers", workers)
    assert server.page.startswith("https://")
    for _ in range(4):
        assert classify(server, server_files.roots) == 2
    with stub_of(server, server_files.roots) as stub:
        assert len(list(stub.ClassifyStream(iter([REQUEST] * 3), timeout=20))) == 3
    with https(server_files, server) as client:
        assert client.get("/readyz").json()["ready"] is True
        answer = client.post("/v1/models/mnist:predict", json={"instances": [[0] * 784]})
        assert answer.status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(server.page.replace("https", "http"), timeout=20)


def test_http_may_have_another_address(start: Start) -> None:
    """The page, REST and metrics where --http-host says, gRPC where --host does."""
    server = start("--http-host", "127.0.0.2")
    assert server.address.startswith("127.0.0.1:")
    assert server.page.startswith("http://127.0.0.2:")
    assert httpx.get(f"{server.page}readyz").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.page.replace("127.0.0.2", "127.0.0.1"))


def test_nothing_of_the_key_can_be_seen_from_outside(
    start: Start, server_files: ServerFiles
) -> None:
    """Not in the process list and not in the environment, of the supervisor and of the workers."""
    server = start(*server_files.options)
    lines = [line for line in server_files.key.read_text().splitlines() if "-----" not in line]
    assert lines
    assert server.worker_pids
    for pid in (server.pid, *server.worker_pids):
        seen = read_command(pid) + Path(f"/proc/{pid}/environ").read_bytes()
        assert not [line for line in lines if line.encode() in seen]


def test_callers_know_whom_they_talk_to(start: Start, server_files: ServerFiles) -> None:
    """One who trusts another authority, or wants another name, does not go on."""
    server = start(*server_files.options)
    assert refused(server, trustme.CA().cert_pem.bytes())
    assert refused(server, server_files.roots, name="digits.example")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(server.page, timeout=20)
    assert classify(server, server_files.roots) == 2


def test_who_speaks_no_tls_is_told_and_hurts_nobody(
    start: Start, server_files: ServerFiles
) -> None:
    """Plaintext gRPC, plaintext HTTP, noise, half a handshake: calls beside them are answered."""
    server = start(*server_files.options)
    noise = [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(500), b"\x16\x03\x01\x02\x00\x01", b"\xff" * 99]
    with stub_of(server, server_files.roots) as stub, https(server_files, server) as client:
        for address in (server.address, server.page):
            for sent in noise:
                with closing(socket.create_connection(("127.0.0.1", port_of(address)))) as stranger:
                    stranger.sendall(sent)
                    assert len(stub.Classify(REQUEST, timeout=20).classes) == 2
                    assert client.get("/healthz").status_code == 200
        with grpc.insecure_channel(server.address) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                ClassifierStub(channel).Classify(REQUEST, timeout=20)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert len(stub.Classify(REQUEST, timeout=20).classes) == 2
    strangers = [event for event in server.events if event.get("level") != "info"]
    assert strangers == [], "whoever connects writes to the log"


def test_only_those_with_a_certificate_are_let_in(
    start: Start, server_files: ServerFiles, tmp_path: Path
) -> None:
    """On both ports: of the clients' authority and valid now. Probes have a port of their own."""
    clients = trustme.CA()
    path = tmp_path / "clients.pem"
    path.write_bytes(clients.cert_pem.bytes())
    server = start(
        *server_files.options,
        *("--tls-client-ca", str(path), "--plaintext-health-port", "0", "--workers", "2"),
    )
    person = clients.issue_cert("somebody@flatdense.example")
    year = timedelta(days=365)
    expired = clients.issue_cert(
        "late@flatdense.example",
        not_before=datetime.now(UTC) - 2 * year,
        not_after=datetime.now(UTC) - year,
    )
    stranger = trustme.CA().issue_cert("stranger@flatdense.example")
    own = server_files.ca.issue_cert("own@flatdense.example")
    assert classify(server, server_files.roots, person) == 2
    with https(server_files, server, leaf=person) as client:
        assert client.get("/readyz").status_code == 200
    for other in (None, stranger, expired, own):
        assert refused(server, server_files.roots, other)
        with (
            https(server_files, server, leaf=other) as client,
            pytest.raises(httpx.TransportError),
        ):
            client.get("/healthz")
    probes = str(server.wait_for("listening")["probes"])
    assert httpx.get(f"{probes}/readyz").json()["ready"] is True
    assert httpx.get(f"{probes}/metrics").status_code == 404
    assert classify(server, server_files.roots, person) == 2


def test_curl_is_content(start: Start, server_files: ServerFiles) -> None:
    """With the authority alone."""
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("no curl: apt-get install curl")
    server = start(*server_files.options)
    done = subprocess.run(
        [curl, "--silent", "--fail", "--cacert", server_files.roots_file, f"{server.page}readyz"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert b'"ready":true' in done.stdout


def test_a_new_certificate_is_shown_and_no_call_is_lost(
    start: Start, server_files: ServerFiles
) -> None:
    """Under load, on old connections and new ones, on both ports and in every worker."""
    server = start(*server_files.options, "--workers", "2")
    enough = threading.Event()

    def call() -> int:
        """Calls on one connection, and each time on a new one too."""
        answered = 0
        with stub_of(server, server_files.roots) as stub, https(server_files, server) as client:
            while not enough.is_set():
                assert len(stub.Classify(REQUEST, timeout=20).classes) == 2
                assert classify(server, server_files.roots) == 2
                assert client.get("/healthz").status_code == 200
                with https(server_files, server) as another:
                    assert another.get("/readyz").status_code == 200
                answered += 1
        return answered

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call) for _ in range(4)]
        try:
            for times in range(2, 4):
                leaf = server_files.issue()
                server.wait_for_many(OWN_CERTIFICATES, times)
                wait_until_shown(server.address, serial_of(leaf))
                wait_until_shown(server.page, serial_of(leaf))
        finally:
            enough.set()
        assert all(call.result(60) for call in calls)


def wait_until_shown(address: str, wanted: int) -> None:
    """Until sixteen new connections in a row are shown it: then it is in every worker."""
    in_a_row = 0
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        in_a_row = in_a_row + 1 if serial(address) == wanted else 0
        if in_a_row == 16:
            return
    pytest.fail("the new certificate is not shown")


def test_other_authorities_of_clients_count_for_new_connections(
    start: Start, server_files: ServerFiles, tmp_path: Path
) -> None:
    """On both ports; who was let in by an old one, and is still connected, stays."""
    old, new = trustme.CA(), trustme.CA()
    path = tmp_path / "clients.pem"
    path.write_bytes(old.cert_pem.bytes())
    server = start(*server_files.options, "--tls-client-ca", str(path))
    before, after = (ca.issue_cert("me@flatdense.example") for ca in (old, new))
    with (
        stub_of(server, server_files.roots, before) as stub,
        https(server_files, server, leaf=before) as client,
    ):
        assert len(stub.Classify(REQUEST, timeout=20).classes) == 2
        assert client.get("/healthz").status_code == 200
        path.write_bytes(new.cert_pem.bytes())
        server.wait_for_many(OWN_CERTIFICATES, 2)
        until_s = time.monotonic() + 30
        while not classify_or_not(server, server_files.roots, after):
            assert time.monotonic() < until_s
        assert len(stub.Classify(REQUEST, timeout=20).classes) == 2
    assert refused(server, server_files.roots, before)
    with (
        https(server_files, server, leaf=before) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get("/healthz")
    with https(server_files, server, leaf=after) as client:
        assert client.get("/healthz").status_code == 200


def test_a_session_is_not_resumed(start: Start, server_files: ServerFiles) -> None:
    """By HTTP each connection shows its certificate: its authority may be trusted no more.

    By TLS 1.2, whose sessions could be resumed, nobody comes in.
    """
    clients = server_files.folder / "clients.pem"
    clients.write_bytes(server_files.roots)
    server = start(*server_files.options, "--tls-client-ca", str(clients))
    context = ssl.create_default_context(cadata=server_files.roots.decode())
    server_files.ca.issue_cert("me@flatdense.example").configure_cert(context)
    session = None
    for _ in range(2):
        raw = socket.create_connection(("127.0.0.1", port_of(server.page)), 20)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as caller:
            caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert b"200 OK" in caller.recv(1000)
            assert not caller.session_reused
            session = caller.session
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    raw = socket.create_connection(("127.0.0.1", port_of(server.page)), 20)
    with pytest.raises(ssl.SSLError), raw:
        context.wrap_socket(raw, server_hostname="localhost")


def classify_or_not(server: ServerProcess, roots: bytes, leaf: trustme.LeafCert) -> int:
    """How many rows a new connection gets answered; 0 where it is not let in."""
    try:
        return classify(server, roots, leaf)
    except grpc.RpcError:
        return 0


def test_what_cannot_be_used_changes_nothing(start: Start, server_files: ServerFiles) -> None:
    """Half a file, another's key, an expired one: the old pair is shown, and the reason told once.

    A worker that is replaced meanwhile has the old pair too.
    """
    server = start(*server_files.options)
    good = serial(server.address)
    cert, key = server_files.cert.read_bytes(), server_files.key.read_bytes()
    expired = {
        "not_before": datetime(2020, 1, 1, tzinfo=UTC),
        "not_after": datetime(2021, 1, 1, tzinfo=UTC),
    }
    damages: list[tuple[Callable[[], object], str]] = [
        (lambda: server_files.cert.write_bytes(cert[:200]), "damaged"),
        (lambda: (server_files.issue(), server_files.key.write_bytes(key)), "is not the key of"),
        (lambda: server_files.issue("localhost", **expired), "expired at 2021-01-01"),
        (server_files.key.unlink, "No such file"),
    ]
    for number, (damage, said) in enumerate(damages, start=1):
        damage()
        server.wait_for_many("certificates refused, the ones before stay in use", number)
        told = [event for event in server.events if "refused" in str(event.get("event"))]
        assert len(told) == number
        assert said in told[-1]["reason"]
        assert gauge(server_files, server, "flatdense_tls_certificate_valid") == 0
        assert serial(server.address) == serial(server.page) == good
    (pid,) = server.worker_pids
    subprocess.run(["kill", "-9", str(pid)], check=True)
    server.wait_for("worker ready")
    assert serial(server.address) == good
    server_files.cert.write_bytes(cert)
    server_files.key.write_bytes(key)
    server.wait_for_many(OWN_CERTIFICATES, 2)
    assert gauge(server_files, server, "flatdense_tls_certificate_valid") == 1


def test_a_worker_that_comes_later_shows_what_is_new(
    start: Start, server_files: ServerFiles
) -> None:
    """It is given what counts when it is spawned, not what counted at the start."""
    server = start(*server_files.options)
    leaf = server_files.issue()
    server.wait_for_many(OWN_CERTIFICATES, 2)
    (pid,) = server.worker_pids
    subprocess.run(["kill", "-9", str(pid)], check=True)
    server.wait_for("worker ready")
    assert serial(server.address) == serial_of(leaf)


def test_when_it_expires_is_a_metric(start: Start, server_files: ServerFiles) -> None:
    """In seconds since the epoch, as the certificate says it; of the newest one."""
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    server_files.issue("localhost", "127.0.0.1", not_after=soon)
    server = start(*server_files.options)
    name = "flatdense_tls_certificate_expiry_timestamp_seconds"
    assert gauge(server_files, server, name) == soon.timestamp()
    later = soon + timedelta(days=20)
    server_files.issue("localhost", "127.0.0.1", not_after=later)
    server.wait_for_many(OWN_CERTIFICATES, 2)
    assert gauge(server_files, server, name) == later.timestamp()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.key.unlink(), "No such file"),
        (lambda files: files.cert.write_text("hello"), "expected certificates as PEM, got none"),
        (lambda files: files.key.write_bytes(b""), "expected a private key as PEM"),
        (
            lambda files: files.issue(
                "localhost",
                not_before=datetime(2020, 1, 1, tzinfo=UTC),
                not_after=datetime(2021, 1, 1, tzinfo=UTC),
            ),
            "expired at",
        ),
        (
            lambda files: files.issue("localhost", not_before=datetime(2120, 1, 1, tzinfo=UTC)),
            "is not valid before",
        ),
    ],
    ids=["missing", "no certificate", "no key", "expired", "early"],
)
def test_it_does_not_start_with_what_no_caller_would_take(
    server_files: ServerFiles,
    exported_model: Path,
    change: Callable[[ServerFiles], None],
    said: str,
) -> None:
    """Status 1 and one line: what is rolled out with it does not get ready."""
    change(server_files)
    with ServerProcess("--model-dir", str(exported_model), *server_files.options) as server:
        assert server.wait() == 1
        (line,) = server.events
        assert line["raw"].startswith("Error: --tls-")
        assert said in line["raw"]


def test_workers_import_nothing_to_read_certificates(
    start: Start, server_files: ServerFiles
) -> None:
    """Only the one process that reads them does; without TLS none."""
    for options, readers in (((), 0), (server_files.options, 1)):
        server = start(*options)
        pids = [server.pid, *server.worker_pids]
        mapped = ["cryptography" in Path(f"/proc/{pid}/maps").read_text() for pid in pids]
        assert mapped == [readers == 1, False]
