"""What the service knows of its callers and shows them, followed while it runs."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from flatdense_server import custodian as module
from flatdense_server.custodian import Custodian
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.security.access import FORBIDDEN, UNAUTHENTICATED
from flatdense_server.security.certificates import TlsFiles
from flatdense_server.security.credentials import Credentials
from flatdense_server.security.errors import FileRefused
from flatdense_server.security.tokens import make_token, write_line

Sample = Callable[..., float | None]

EXPIRY = "flatdense_tls_certificate_expiry_timestamp_seconds"
CERTIFICATE_VALID = "flatdense_tls_certificate_valid"
TOKENS_VALID = "flatdense_token_file_valid"

ALICE = make_token()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Alice may classify."""
    path = tmp_path / "tokens"
    path.write_text(write_line("alice", "inference", ALICE))
    return path


@pytest.fixture
def tls_files(server_files: Any) -> TlsFiles:  # noqa: ANN401 -- a class of conftest.py
    """A good pair."""
    return TlsFiles(server_files.cert, server_files.key)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What somebody should look at."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_without_files_nobody_is_asked_for_anything(metrics: Metrics, sample: Sample) -> None:
    """No metric says that something would be followed."""
    custodian = Custodian(None, None, metrics)
    assert custodian.credentials == Credentials()
    assert (custodian.context, custodian.access, custodian.house_token) == (None, None, "")
    assert [sample(name) for name in (EXPIRY, CERTIFICATE_VALID, TOKENS_VALID)] == [None] * 3


def test_bad_files_are_told_at_the_start(metrics: Metrics, tmp_path: Path) -> None:
    """There is nothing before them that could count."""
    with pytest.raises(FileRefused, match="--token-file"):
        Custodian(None, tmp_path / "none", metrics)
    with pytest.raises(FileRefused, match="--tls-cert"):
        Custodian(TlsFiles(tmp_path / "none", tmp_path / "none"), None, metrics)


def test_its_own_token_opens_everything_and_is_in_no_file(
    metrics: Metrics, token_file: Path
) -> None:
    """For the service's own processes; another one each time."""
    custodian = Custodian(None, token_file, metrics)
    assert custodian.access
    header = f"Bearer {custodian.house_token}"
    assert custodian.access.judge(header, "inference") is None
    assert custodian.access.judge(header, "admin") is None
    assert custodian.access.judge(f"Bearer {ALICE}", "admin") is FORBIDDEN
    assert Custodian(None, token_file, metrics).access.judge(header, "admin") is UNAUTHENTICATED


def test_a_new_certificate_is_told_to_all(
    metrics: Metrics,
    tls_files: TlsFiles,
    server_files: Any,  # noqa: ANN401
    sample: Sample,
) -> None:
    """Once it stood still: the bytes for the workers, a context for HTTP, the gauge of its end."""
    custodian = Custodian(tls_files, None, metrics)
    context = custodian.context
    told: list[Credentials] = []
    custodian._tell = told.append
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    server_files.issue("localhost", not_after=soon)
    for _ in range(4):
        custodian._look()
    (credentials,) = told
    assert credentials.certificates
    assert credentials.certificates.chain == tls_files.cert.read_bytes()
    assert custodian.context is not context
    assert sample(EXPIRY) == soon.timestamp()
    assert sample(CERTIFICATE_VALID) == 1


def test_a_pair_that_does_not_fit_changes_nothing_and_is_told_once(
    metrics: Metrics,
    tls_files: TlsFiles,
    server_files: Any,  # noqa: ANN401
    sample: Sample,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The old one is served; the gauge shows it, until both files fit again."""
    custodian = Custodian(tls_files, None, metrics)
    before, told = custodian.credentials, []
    custodian._tell = told.append
    leaf = server_files.ca.issue_cert("localhost")
    server_files.cert.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    for _ in range(4):
        custodian._look()
    assert (custodian.credentials, told) == (before, [])
    assert warnings(caplog) == ["certificates refused, the ones before stay in use"]
    assert sample(CERTIFICATE_VALID) == 0
    server_files.key.write_bytes(leaf.private_key_pem.bytes())
    for _ in range(2):
        custodian._look()
    assert len(told) == 1
    assert sample(CERTIFICATE_VALID) == 1


def test_other_tokens_count_at_once_in_this_process(metrics: Metrics, token_file: Path) -> None:
    """And are told to the others with the house's own."""
    custodian = Custodian(None, token_file, metrics)
    assert custodian.access
    told: list[Credentials] = []
    custodian._tell = told.append
    bob = make_token()
    token_file.write_text(write_line("bob", "admin", bob))
    for _ in range(2):
        custodian._look()
    assert custodian.access.judge(f"Bearer {ALICE}", "inference") is UNAUTHENTICATED
    assert custodian.access.judge(f"Bearer {bob}", "admin") is None
    assert custodian.access.judge(f"Bearer {custodian.house_token}", "inference") is None
    (credentials,) = told
    assert {token.name for token in credentials.tokens or ()} == {"bob", module.HOUSE}


@pytest.mark.parametrize("content", [b"", b"alice inference\n", b"\xff"])
def test_a_bad_token_file_changes_nothing_and_is_told_once(
    metrics: Metrics,
    token_file: Path,
    sample: Sample,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    """Those who could call still can, and no stranger."""
    custodian = Custodian(None, token_file, metrics)
    assert custodian.access
    token_file.write_bytes(content)
    for _ in range(4):
        custodian._look()
    assert custodian.access.judge(f"Bearer {ALICE}", "inference") is None
    assert custodian.access.judge("Bearer x", "inference") is UNAUTHENTICATED
    assert warnings(caplog) == ["tokens refused, the ones before stay in use"]
    assert sample(TOKENS_VALID) == 0


def test_an_end_that_nobody_heeded_is_told_once(
    metrics: Metrics, tls_files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on serving, and callers turn away: the log has the reason."""
    custodian = Custodian(tls_files, None, metrics)
    custodian._look()
    assert warnings(caplog) == []
    (certificates, context) = custodian._tls.content
    expired = type(certificates)(
        chain=certificates.chain,
        key=certificates.key,
        client_ca=None,
        expires=datetime.now(UTC) - timedelta(seconds=1),
        subject="x",
    )
    custodian._tls.content = (expired, context)
    for _ in range(3):
        custodian._look()
    assert warnings(caplog) == ["the certificate has expired"]


def test_a_fault_while_looking_is_survived(
    metrics: Metrics,
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What counted counts, and the next look comes."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    custodian = Custodian(None, token_file, metrics)
    looks: SimpleQueue[None] = SimpleQueue()

    def fail() -> None:
        looks.put(None)
        raise OSError("what nobody thought of")

    monkeypatch.setattr(custodian, "_look", fail)
    custodian.start(lambda _credentials: None)
    for _ in range(2):
        looks.get(timeout=10)
    custodian.stop()
    custodian._thread.join(10)
    assert "the credentials could not be looked at" in warnings(caplog)


def test_nothing_secret_is_logged(
    metrics: Metrics, tls_files: TlsFiles, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No token, no hash, no key: neither at the start nor later."""
    caplog.set_level(logging.DEBUG)
    custodian = Custodian(tls_files, token_file, metrics)
    token_file.write_text(f"alice inference {ALICE}")
    for _ in range(3):
        custodian._look()
    said = " ".join(str(vars(record)) for record in caplog.records) + repr(custodian.credentials)
    key = tls_files.key.read_text().splitlines()[1]
    for secret in (ALICE, custodian.house_token, key):
        assert secret not in said
