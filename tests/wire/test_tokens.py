"""Bearer tokens on a running server: each protocol, each port, and tokens that change."""

import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

import grpc
import httpx
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.security.tokens import make_token, write_line
from server_process import ServerProcess, read_command

pytestmark = [pytest.mark.xdist_group("tokens"), pytest.mark.usefixtures("compiled")]

Start: TypeAlias = Callable[..., ServerProcess]

REQUEST = pb.ClassifyRequest(images=bytes(2 * 784), data_type=pb.DATA_TYPE_UINT8)

ALICE, BOB, ROBOT = make_token(), make_token(), make_token()

PREDICT = {"instances": [[0] * 784]}
INFER = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}]}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Alice may classify, the robot may load and unload."""
    path = tmp_path / "tokens"
    lines = [write_line("alice", "inference", ALICE), write_line("robot", "admin", ROBOT)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def start(exported_model: Path, token_file: Path) -> Iterator[Start]:
    """Starts servers that want tokens. Each ends well, and its log has no token."""
    started: list[ServerProcess] = []

    def start(*options: str) -> ServerProcess:
        """Ready."""
        engine = ("--model-dir", str(exported_model), "--engine", "aot", "--workers", "2")
        server = ServerProcess(*engine, "--token-file", str(token_file), *options)
        started.append(server)
        server.ready()
        return server

    yield start
    for server in started:
        with server:
            assert server.stop() == 0
        said = str(server.events)
        for secret in (ALICE, BOB, ROBOT, "Traceback"):
            assert secret not in said


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """A call's metadata."""
    return (("authorization", f"Bearer {token}"),)


def code_of(server: ServerProcess, token: str) -> grpc.StatusCode:
    """How a call on a new connection ends."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(server.address, options) as channel:
        try:
            ClassifierStub(channel).Classify(REQUEST, metadata=bearer(token), timeout=20)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("lane", ["express", "standard"])
def test_each_protocol_wants_a_token(start: Start, lane: str) -> None:
    """By gRPC and by REST; the right one is answered, the others told apart and no more."""
    server = start("--lane", lane, "--model-control")
    assert code_of(server, ALICE) is grpc.StatusCode.OK
    assert code_of(server, BOB) is grpc.StatusCode.UNAUTHENTICATED
    assert code_of(server, ROBOT) is grpc.StatusCode.PERMISSION_DENIED
    for path, body in (
        ("v1/models/mnist:predict", PREDICT),
        ("v2/models/mnist/infer", INFER),
        ("v2/repository/index", {}),
    ):
        admin = "repository" in path
        for token, status in ((ALICE, 403 if admin else 200), (ROBOT, 200 if admin else 403)):
            headers = dict(bearer(token))
            answer = httpx.post(server.page + path, json=body, headers=headers, timeout=20)
            assert answer.status_code == status, answer.text
        assert httpx.post(server.page + path, json=body, timeout=20).status_code == 401
    assert httpx.get(f"{server.page}readyz").json()["ready"] is True
    text = httpx.get(f"{server.page}metrics").text
    assert 'flatdense_rejected_total{reason="unauthenticated"}' in text
    assert 'flatdense_rejected_total{reason="forbidden"}' in text


def test_the_robot_loads_and_unloads_and_nobody_else_does(start: Start) -> None:
    """By gRPC, in every worker; what it may not do is refused before anything happens."""
    server = start("--model-control")
    unload = "/inference.GRPCInferenceService/RepositoryModelUnload"
    load = unload.replace("Unload", "Load")
    with grpc.insecure_channel(server.address) as channel:
        for metadata in ((), bearer(BOB), bearer(ALICE)):
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(unload)(b"\x12\x05mnist", metadata=metadata, timeout=20)
        assert code_of(server, ALICE) is grpc.StatusCode.OK
        channel.unary_unary(unload)(b"\x12\x05mnist", metadata=bearer(ROBOT), timeout=60)
        assert code_of(server, ALICE) is grpc.StatusCode.UNAVAILABLE
        assert code_of(server, BOB) is grpc.StatusCode.UNAUTHENTICATED
        channel.unary_unary(load)(b"\x12\x05mnist", metadata=bearer(ROBOT), timeout=60)
        assert code_of(server, ALICE) is grpc.StatusCode.OK


def test_tokens_change_without_a_restart(start: Start, token_file: Path) -> None:
    """In every worker, in one that comes later, and on the HTTP port; an open stream goes on."""
    server = start()
    url = f"{server.page}v2/models/mnist"
    with grpc.insecure_channel(server.address) as channel:
        feed: SimpleQueue[pb.ClassifyRequest | None] = SimpleQueue()
        requests = iter(feed.get, None)
        stream = ClassifierStub(channel).ClassifyStream(
            requests, metadata=bearer(ALICE), timeout=60
        )
        feed.put(REQUEST)
        assert next(stream)
        alice, bob = write_line("alice", "inference", ALICE), write_line("bob", "inference", BOB)
        token_file.write_text(f"{alice}\n{bob}\n")
        wait_until(server, BOB, is_in=True)
        wait_until(server, ALICE, is_in=True)
        token_file.write_text(f"{bob}\n")
        wait_until(server, ALICE, is_in=False)
        wait_until(server, BOB, is_in=True)
        assert httpx.get(url, headers=dict(bearer(BOB)), timeout=20).status_code == 200
        assert httpx.get(url, headers=dict(bearer(ALICE)), timeout=20).status_code == 401
        feed.put(REQUEST)
        assert next(stream)
        feed.put(None)
    pid = server.worker_pids[0]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    server.wait_for("worker ready")
    for _ in range(16):
        assert code_of(server, BOB) is grpc.StatusCode.OK
        assert code_of(server, ALICE) is grpc.StatusCode.UNAUTHENTICATED


def wait_until(server: ServerProcess, token: str, *, is_in: bool) -> None:
    """Until sixteen new connections in a row are let in, or not: then every worker knows."""
    wanted = grpc.StatusCode.OK if is_in else grpc.StatusCode.UNAUTHENTICATED
    in_a_row = 0
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        in_a_row = in_a_row + 1 if code_of(server, token) is wanted else 0
        if in_a_row == 16:
            return
    pytest.fail(f"{wanted} was not reached")


def test_a_bad_file_locks_nobody_out_and_lets_nobody_in(start: Start, token_file: Path) -> None:
    """The tokens before it count; the log says once why, and nothing of what is in the file."""
    server = start()
    token_file.write_text(f"bob inference {BOB}\n")
    event = server.wait_for("tokens refused, the ones before stay in use")
    assert event["reason"].startswith(f"--token-file {token_file}: line 1: the hash")
    assert code_of(server, ALICE) is grpc.StatusCode.OK
    assert code_of(server, BOB) is grpc.StatusCode.UNAUTHENTICATED
    assert "flatdense_token_file_valid 0.0" in httpx.get(f"{server.page}metrics").text


def test_nothing_of_a_token_can_be_seen_from_outside(start: Start, token_file: Path) -> None:
    """Not in the process list, not in the environment; the sockets are for this user alone."""
    server = start()
    digests = [line.split(":")[1] for line in token_file.read_text().splitlines()]
    for pid in (server.pid, *server.worker_pids):
        seen = read_command(pid) + Path(f"/proc/{pid}/environ").read_bytes()
        for secret in (ALICE, ROBOT, *digests):
            assert secret.encode() not in seen
    listening = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()]
    folders = {Path(path).parent for path in listening if "/flatdense-" in path}
    # Those of other servers may have another root, or have just ended.
    there = [folder for folder in folders if folder.is_dir()]
    own = [folder for folder in there if folder.stat().st_uid == os_uid(server.pid)]
    assert own
    for folder in own:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def os_uid(pid: int) -> int:
    """Whose process it is."""
    return Path(f"/proc/{pid}").stat().st_uid


def test_the_sockets_of_the_workers_want_a_token_too(start: Start) -> None:
    """Another process of the same user is no caller either."""
    server = start()
    paths = {
        line.split()[-1]
        for line in Path("/proc/net/unix").read_text().splitlines()
        if "/flatdense-" in line and line.split()[-1].endswith("/worker-1")
    }
    codes = set()
    for path in paths:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            try:
                ClassifierStub(channel).Classify(REQUEST, timeout=20)
            except grpc.RpcError as error:
                codes.add(error.code())
    assert grpc.StatusCode.UNAUTHENTICATED in codes
    assert code_of(server, ALICE) is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("options", "warns"),
    [
        (("--host", "127.0.0.1"), False),
        (("--host", "localhost"), False),
        (("--host", "0.0.0.0"), True),
        (("--host", "127.0.0.1", "--http-host", "0.0.0.0"), True),
    ],
)
def test_tokens_that_a_network_could_read_are_warned_of(
    start: Start, options: tuple[str, ...], *, warns: bool
) -> None:
    """In one line at the start; where nothing leaves the machine there is nothing to warn of."""
    server = start(*options)
    warned = [event for event in server.events if "plaintext" in str(event.get("event"))]
    assert len(warned) == warns


def test_tls_needs_no_warning(start: Start, server_files: Any) -> None:  # noqa: ANN401
    """Tokens are encrypted on their way."""
    server = start("--host", "0.0.0.0", *server_files.options)
    assert not [event for event in server.events if "plaintext" in str(event.get("event"))]
