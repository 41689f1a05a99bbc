"""From start to stop, as an operator sees the process."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from flatdense_artifact import Manifest, digest_files, read_manifest, write_manifest
from flatdense_client import Client, Unavailable
from grpc._cython import cygrpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_process import COMMAND, ServerProcess

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

FREE_PORTS = ("--grpc-port", "0", "--http-port", "0")
SMALL_LADDER = ("--max-batch-rows", "8")
ONE_WORKER = ("--workers", "1")
JIT = ("--engine", "jit")
"""Where a test needs the seconds that TensorFlow takes to load, or its checks."""

AOT = ("--engine", "aot")
IMAGE = np.zeros((28, 28), np.uint8)


@pytest.fixture
def own_model(exported_model: Path, tmp_path: Path) -> Path:
    """A copy of the repository's model folder, to be damaged."""
    return Path(shutil.copytree(exported_model, tmp_path / "model"))


def http_status(url: str) -> int:
    """The status of a GET."""
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("variables", "experiments"),
    [({}, "-event_engine_listener"), ({"GRPC_EXPERIMENTS": "tcp_frame_size_tuning"}, None)],
)
def test_workers_read_sockets_without_a_pool_unless_told_otherwise(
    variables: dict[str, str], experiments: str | None, exported_model: Path
) -> None:
    """A worker starts with the listener chosen, by a name that grpcio knows, or as it was told."""
    options = ("--model-dir", str(exported_model), *AOT, *ONE_WORKER)
    expected = experiments or variables["GRPC_EXPERIMENTS"]
    with ServerProcess(*options, variables=variables) as server:
        server.ready()
        (worker,) = server.worker_pids
        started_with = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    assert f"GRPC_EXPERIMENTS={expected}".encode() in started_with
    assert expected.removeprefix("-").encode() in Path(cygrpc.__file__).read_bytes()


def test_the_life_of_a_server(exported_model: Path) -> None:
    """Live at once and refusing until ready; serving; then NOT_SERVING, drained, and status 0."""
    options = ("--model-dir", str(exported_model), *SMALL_LADDER, *JIT, *ONE_WORKER)
    with ServerProcess(*options) as server, Client(server.address) as client:
        channel = grpc.insecure_channel(server.address)
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watched).status == NOT_SERVING
        assert http_status(server.page + "healthz") == 200
        assert http_status(server.page + "readyz") == 503
        with pytest.raises(Unavailable, match="still loading"):
            client.classify(IMAGE)

        server.ready()
        assert next(watched).status == SERVING
        assert http_status(server.page + "readyz") == 200
        assert len(client.classify(IMAGE)) == 1

        assert server.stop() == 0
        assert next(watched).status == NOT_SERVING
        channel.close()
    events = [event["event"] for event in server.events]
    assert events[0] == "starting"
    assert sorted(events[1:3]) == ["listening", "loading"]
    assert events[3:] == ["ready", "draining", "stopped"]


@pytest.mark.usefixtures("compiled")
def test_rest_is_answered_until_the_drains_delay_is_over(exported_model: Path) -> None:
    """Probes hear at once that the server stops; calls are taken until they had time to."""
    options = ("--model-dir", str(exported_model), *SMALL_LADDER, *ONE_WORKER)
    body = json.dumps({"instances": [[0] * 784]}).encode()
    with ServerProcess(*options, "--drain-delay-s", "4") as server:
        server.ready()
        predict = urllib.request.Request(
            f"{server.page}v1/models/mnist:predict", body, {"content-type": "application/json"}
        )
        server.send(signal.SIGTERM)
        server.wait_for("draining")
        assert http_status(server.page + "readyz") == 503
        with urllib.request.urlopen(predict, timeout=30) as answer:
            assert len(json.load(answer)["predictions"]) == 1
        assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_accepted_call_is_lost_when_the_server_stops(
    exported_model: Path, number: signal.Signals
) -> None:
    """Callers that never pause see answers, then Unavailable, and nothing else."""
    options = ("--model-dir", str(exported_model), *SMALL_LADDER)
    with ServerProcess(*options) as server:
        server.ready()
        warm = threading.Barrier(5)
        ends: list[BaseException] = []

        def call_until_refused() -> None:
            try:
                with Client(server.address) as client:
                    for _ in range(20):
                        client.classify(IMAGE)
                    warm.wait()
                    for _ in range(1_000_000):
                        client.classify(IMAGE)
            except Exception as error:  # noqa: BLE001 -- looked at below
                ends.append(error)

        callers = [threading.Thread(target=call_until_refused, daemon=True) for _ in range(4)]
        for caller in callers:
            caller.start()
        warm.wait()
        assert server.stop(number) == 0
        for caller in callers:
            caller.join()
    assert [type(end) for end in ends] == [Unavailable] * 4


def test_a_stop_while_loading_ends_with_status_0(exported_model: Path) -> None:
    """Ctrl-C in the seconds before ready is no failure and needs no second one."""
    with ServerProcess("--model-dir", str(exported_model), *JIT) as server:
        server.wait_for("listening")
        assert server.stop(signal.SIGINT) == 0
    assert "ready" not in [event.get("event") for event in server.events]


def test_text_logs_say_what_is_served_and_where(exported_model: Path) -> None:
    """The start-up lines for people name the addresses, the version and the engine."""
    with subprocess.Popen(
        [COMMAND, *FREE_PORTS, *SMALL_LADDER, *ONE_WORKER, *JIT, "--model-dir", exported_model],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        lines = []
        for line in process.stderr:
            lines.append(line)
            if " ready " in line:
                process.terminate()
        assert process.wait() == 0
    text = "".join(lines)
    for said in ("grpc=127.0.0.1:", "page=http://127.0.0.1:", "model=mnist", "engine=jit"):
        assert said in text
    assert len(lines) == 6, text


def refusal(*options: str) -> str:
    """What a server that cannot start says last; it ends with status 1 and shows no traceback."""
    done = subprocess.run(
        [COMMAND, *FREE_PORTS, *SMALL_LADDER, *options],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("use", ["grpc", "http"])
def test_a_port_in_use_is_named(exported_model: Path, use: str) -> None:
    """The message has the address and the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = refusal("--model-dir", str(exported_model), f"--{use}-port", str(port))
    assert f"127.0.0.1:{port} is in use" in said
    assert f"--{use}-port" in said


def test_a_folder_without_versions_is_named(tmp_path: Path) -> None:
    """The message has the folder, what was expected in it, and the command that exports."""
    said = refusal("--model-dir", str(tmp_path))
    assert f"{tmp_path} has no version" in said
    assert "flatdense-train" in said


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The message has the folder and says that it is not there."""
    assert "No such file or directory" in refusal("--model-dir", str(tmp_path / "nowhere"))


def cut_short(path: Path) -> None:
    """Loses the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def seal(folder: Path) -> None:
    """Makes the manifest agree with the files as they are now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = digest_files(folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def damage_saved_model(folder: Path) -> None:
    """A SavedModel that was cut short on the way."""
    cut_short(folder / "saved_model.pb")


def damage_sealed_saved_model(folder: Path) -> None:
    """A SavedModel that is no SavedModel, with a manifest that agrees."""
    cut_short(folder / "saved_model.pb")
    seal(folder)


def damage_sealed_variables(folder: Path) -> None:
    """Variables that are gone, with a manifest that agrees."""
    (folder / "variables" / "variables.index").unlink()
    seal(folder)


def lose_manifest(folder: Path) -> None:
    """No manifest."""
    (folder / "manifest.json").unlink()


def lie_about_golden(folder: Path) -> None:
    """Golden answers that this network does not give."""
    manifest = read_manifest(folder)
    rows = [row[::-1] for row in manifest.golden.probabilities]
    golden = type(manifest.golden)(
        images=manifest.golden.images,
        probabilities=rows,
        tolerance=manifest.golden.tolerance,
    )
    fields = {name: getattr(manifest, name) for name in Manifest.__struct_fields__}
    write_manifest(folder, Manifest(**{**fields, "golden": golden}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_saved_model, "saved_model.pb was altered or cut short"),
        (damage_sealed_saved_model, "TensorFlow cannot load the SavedModel"),
        (damage_sealed_variables, "TensorFlow cannot load the SavedModel"),
        (lose_manifest, "manifest.json is missing"),
        (lie_about_golden, "golden input"),
    ],
)
def test_a_damaged_version_is_refused_with_its_reason(
    own_model: Path, damage: Callable[[Path], None], reason: str
) -> None:
    """A version that cannot be trusted is not served: the log has the file and what is wrong."""
    damage(own_model / "1")
    said = refusal("--model-dir", str(own_model), *JIT)
    assert reason in said
    assert "no version" in said


def damage_weights(folder: Path) -> None:
    """Weights that were cut short, with a manifest that agrees."""
    cut_short(folder / "weights.safetensors")
    seal(folder)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_saved_model, "saved_model.pb was altered or cut short"),
        (damage_weights, "weights.safetensors cannot be read"),
        (lie_about_golden, "golden input"),
    ],
)
def test_aot_refuses_a_damaged_version_with_its_reason(
    own_model: Path, damage: Callable[[Path], None], reason: str
) -> None:
    """A version that cannot be trusted is not served by aot either."""
    damage(own_model / "1")
    assert reason in refusal("--model-dir", str(own_model), *AOT)


def test_an_older_version_serves_where_the_newest_is_damaged(own_model: Path) -> None:
    """The newest version that passes every check is the one that answers."""
    shutil.copytree(own_model / "1", own_model / "2")
    damage_saved_model(own_model / "2")
    with ServerProcess("--model-dir", str(own_model), *SMALL_LADDER) as server:
        assert server.ready()["version"] == 1
        assert server.wait_for("version refused")["version"] == 2
        with Client(server.address) as client:
            assert client.model().version == 1
