"""The pods of the manifests for Kubernetes, run for real: their start, their end, their Secrets."""

import copy
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy as np
import pytest
import yaml
from deploy.conftest import Start
from deploy.image import Image
from deploy.kubelet import Pod, PodSpec, SecretVolume
from deploy.kustomize import KUBECTL, Manifest, Render, container_of, make_render, only
from flatdense_client import Client, Tls, Unauthenticated
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from prometheus_process import Config, PrometheusProcess, scrape_config
from server_process import COMMAND
from tritonclient import grpc as triton

pytestmark = [pytest.mark.xdist_group("kubernetes-pods"), pytest.mark.usefixtures("compiled")]

Run: TypeAlias = Callable[..., Pod]
ServerFiles: TypeAlias = Any
"""See conftest.py."""

IMAGE = np.zeros((28, 28), np.uint8)
REQUEST = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)

CALLERS = 4


@pytest.fixture(scope="module")
def render(install_aside: Callable[[Path], Path]) -> Render:
    """What kubectl makes of a kustomization."""
    return make_render(install_aside(KUBECTL))


@pytest.fixture(scope="module")
def kubernetes(repository: Path) -> Path:
    """The folder of the kustomizations."""
    return repository / "deploy" / "kubernetes"


@pytest.fixture
def run(exported_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Starts pods, with the repository's model where the image or KServe has it."""
    with ExitStack() as pods:

        def start(spec: PodSpec, **mounts: Path) -> Pod:
            """Ready. `mounts` are folders, by the names of the spec's volumes."""
            places = {it["name"]: it["mountPath"] for it in container_of(spec)["volumeMounts"]}
            volumes = {
                places["tmp"]: tmp_path_factory.mktemp("tmp"),
                "/models": exported_model,
                "/mnt/models": exported_model,
                **{places[name]: folder for name, folder in mounts.items()},
            }
            pod = pods.enter_context(Pod(spec, volumes, values={".Name": "mnist"}))
            pod.start()
            return pod

        yield start


@pytest.fixture
def deployment(kubernetes: Path, render: Render) -> PodSpec:
    """The pod of the whole."""
    return spec_of(render(kubernetes))


@pytest.fixture
def secured(kubernetes: Path, render: Render) -> PodSpec:
    """The pod with TLS and tokens."""
    return spec_of(render(kubernetes / "secured"))


def spec_of(manifests: Sequence[Manifest]) -> PodSpec:
    """The pod that a Deployment makes."""
    spec: PodSpec = only(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


class Callers:
    """Threads that call without a pause, until they are told to stop or get no answer."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._stop = threading.Event()
        self._answered = threading.Semaphore(0)
        self.errors: list[Exception] = []
        self.answers = 0
        self._threads = [threading.Thread(target=self._go, daemon=True) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def await_answers(self, count: int) -> None:
        """Waits until so many more calls were answered."""
        for _ in range(count):
            assert self._answered.acquire(timeout=30), self.errors

    def stop(self) -> None:
        """Returns when the last one has its answer."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Returns when each of them got no answer."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _go(self) -> None:
        while not self._stop.is_set():
            try:
                self._call()
            except Exception as error:  # noqa: BLE001 -- the test looks at it
                self.errors.append(error)
                return
            self.answers += 1
            self._answered.release()


def test_probes_say_what_becomes_of_a_pod(deployment: PodSpec, run: Run) -> None:
    """Ready and live once it is started; while it drains live alone, and then it ends with 0."""
    pod = run(deployment)
    assert pod.probe("readinessProbe")
    assert pod.probe("livenessProbe")
    ended = threading.Thread(target=pod.terminate)
    ended.start()
    pod.server.wait_for("draining")
    while pod.probe("readinessProbe"):  # a kubelet asks again too
        pass
    assert pod.probe("livenessProbe")
    ended.join()
    assert pod.server.wait() == 0


@pytest.mark.xdist_group("images")
@pytest.mark.timeout(600)
def test_the_image_takes_the_pods_arguments(
    deployment: PodSpec, start: Start, server_image: Image, ports: dict[str, str]
) -> None:
    """As a user without rights, with a root that is read-only, /tmp, and the image's own model."""
    container = container_of(deployment)
    here = [f"--grpc-port={ports['FLATDENSE_GRPC_PORT']}"]
    here += [f"--http-port={ports['FLATDENSE_HTTP_PORT']}"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    command = (*container["args"], *here)
    running = start("server", server_image, variables=variables, command=command)
    assert running.wait_for("ready")["engine"] == "aot"
    with Client(f"127.0.0.1:{ports['FLATDENSE_GRPC_PORT']}") as client:
        assert len(client.classify(IMAGE)) == 1
    assert running.stop() == 0


@pytest.mark.timeout(120)
def test_a_rolling_update_loses_no_call(deployment: PodSpec, run: Run) -> None:
    """Callers of all pods never notice that one of them goes, and all is over in its grace."""
    old, new = run(deployment), run(deployment)
    with Client([old.address, new.address]) as client:
        callers = Callers(lambda: client.classify(IMAGE))
        callers.await_answers(20 * CALLERS)
        old.await_end_of_pre_stop()
        assert old.probe("readinessProbe")
        assert old.terminate() == 0
        callers.await_answers(20 * CALLERS)
        callers.stop()
    assert callers.errors == []


@pytest.mark.timeout(120)
def test_who_clings_to_a_pod_is_answered_until_the_delay_is_over(
    deployment: PodSpec, run: Run
) -> None:
    """A caller with one connection, no retries and no health check: answers, then UNAVAILABLE."""
    pod = run(deployment)
    with grpc.insecure_channel(pod.address, [("grpc.enable_retries", 0)]) as channel:
        classify = ClassifierStub(channel).Classify
        callers = Callers(lambda: classify(REQUEST, timeout=20))
        callers.await_answers(CALLERS)
        ended = threading.Thread(target=pod.terminate)
        ended.start()
        pod.server.wait_for("draining")
        callers.await_answers(20 * CALLERS)
        callers.join()
        ended.join()
    assert [type(error) for error in callers.errors] == CALLERS * [grpc._channel._InactiveRpcError]
    codes = {error.code() for error in callers.errors if isinstance(error, grpc.RpcError)}
    assert codes == {grpc.StatusCode.UNAVAILABLE}
    assert pod.server.wait() == 0


class Secrets:
    """The Secrets flatdense-tls and flatdense-tokens, mounted. Alice may classify."""

    def __init__(self, files: ServerFiles, folder: Path) -> None:
        self._files = files
        self.alice, line = make_token("alice")
        self.tls = SecretVolume(folder / "tls-secret", self._certificate())
        self.tokens = SecretVolume(folder / "tokens-secret", {"tokens": line})

    @property
    def certificate(self) -> bytes:
        """The server's own that is in the Secret now: DER."""
        return ssl.PEM_cert_to_DER_cert(self._files.cert.read_text().partition("\n\n")[0])

    def renew_certificate(self) -> None:
        """As cert-manager does."""
        self._files.issue("flatdense", "localhost", "127.0.0.1")
        self.tls.update(self._certificate())

    def admit_bob_alone(self) -> str:
        """Gives his token."""
        token, line = make_token("bob")
        self.tokens.update({"tokens": line})
        return token

    def _certificate(self) -> dict[str, bytes]:
        return {
            "ca.crt": self._files.roots,
            "tls.crt": self._files.cert.read_bytes(),
            "tls.key": self._files.key.read_bytes(),
        }


def make_token(name: str) -> tuple[str, bytes]:
    """By the server's command: a token, and its line for the file."""
    done = subprocess.run(
        [COMMAND, "--make-token", name], check=True, capture_output=True, timeout=60
    )
    return done.stderr.decode().split()[-1], done.stdout


@pytest.fixture
def secrets(server_files: ServerFiles, tmp_path: Path) -> Secrets:
    """Both."""
    return Secrets(server_files, tmp_path)


def shown(port: int, protocol: str) -> bytes | None:
    """The certificate that a new connection is shown: DER."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    with (
        socket.create_connection(("127.0.0.1", port), 20) as raw,
        context.wrap_socket(raw) as connection,
    ):
        return connection.getpeercert(binary_form=True)


def await_true(condition: Callable[[], bool]) -> None:
    """Returns when it is so: the workers hear of new credentials a moment after the log."""
    until_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.timeout(120)
def test_new_certificates_of_a_secret_are_shown(
    secured: PodSpec, run: Run, secrets: Secrets
) -> None:
    """On both ports, though no file's own name changes: another folder is behind `..data`."""
    pod = run(secured, tls=secrets.tls.folder, tokens=secrets.tokens.folder)
    assert pod.probe("readinessProbe")
    assert pod.probe("livenessProbe")
    ports = {pod.ports()["--grpc-port"]: "h2", pod.ports()["--http-port"]: "http/1.1"}
    before = secrets.certificate
    assert {shown(*each) for each in ports.items()} == {before}
    secrets.renew_certificate()
    assert secrets.certificate != before
    pod.server.wait_for_many("certificates", 2)
    await_true(lambda: {shown(*each) for each in ports.items()} == {secrets.certificate})


@pytest.mark.timeout(120)
def test_new_tokens_of_a_secret_count(
    secured: PodSpec, run: Run, secrets: Secrets, server_files: ServerFiles
) -> None:
    """Who is in the new Secret may call, and who is in it no more may not."""
    pod = run(secured, tls=secrets.tls.folder, tokens=secrets.tokens.folder)

    def may_call(token: str) -> bool:
        """Over a connection of its own."""
        trust = Tls(ca=server_files.roots_file)
        with Client(pod.address, tls=trust, token=token) as client:
            try:
                return len(client.classify(IMAGE)) == 1
            except Unauthenticated:
                return False

    assert may_call(secrets.alice)
    bob = secrets.admit_bob_alone()
    pod.server.wait_for_many("tokens", 2)
    await_true(lambda: may_call(bob))
    await_true(lambda: not may_call(secrets.alice))


def test_a_service_of_our_name_does_no_harm(deployment: PodSpec, run: Run) -> None:
    """The variables that Kubernetes makes of Services beside the pod change nothing it is told."""
    links = {
        "FLATDENSE_SERVICE_HOST": "10.0.0.1",
        "FLATDENSE_SERVICE_PORT": "8500",
        "FLATDENSE_PORT": "tcp://10.0.0.1:8500",
        "FLATDENSE_PORT_8500_TCP": "tcp://10.0.0.1:8500",
        "FLATDENSE_GRPC_PORT": "tcp://10.0.0.2:8500",
        "FLATDENSE_HTTP_PORT": "tcp://10.0.0.3:8501",
    }
    spec = copy.deepcopy(deployment)
    container_of(spec)["env"] += [{"name": name, "value": link} for name, link in links.items()]
    with Client(run(spec).address) as client:
        assert len(client.classify(IMAGE)) == 1


@pytest.mark.timeout(120)
def test_the_autoscalers_metric_is_how_many_requests_are_in_flight(
    deployment: PodSpec,
    kubernetes: Path,
    run: Run,
    start_prometheus: Callable[[Config], PrometheusProcess],
) -> None:
    """The adapter's rule, asked of a real Prometheus: one figure for each pod."""
    values = yaml.safe_load((kubernetes / "components/autoscaling/adapter-values.yaml").read_text())
    (rule,) = values["rules"]["custom"]
    pod = run(deployment)
    labels = {"namespace": "digits", "pod": "flatdense-1"}
    relabel = [{"target_label": name, "replacement": text} for name, text in labels.items()]
    target = f"127.0.0.1:{pod.ports()['--http-port']}"
    prometheus = start_prometheus(scrape_config(target, relabel_configs=relabel))
    query = (
        rule["metricsQuery"]
        .replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
        .replace("<<.LabelMatchers>>", 'namespace="digits",pod=~"flatdense-1|flatdense-2"')
        .replace("<<.GroupBy>>", "pod")
    )
    with Client(pod.address) as client:
        callers = Callers(lambda: client.classify(IMAGE))
        (found,) = prometheus.wait_for(query, lambda it: any(each.value > 0.1 for each in it))
        callers.stop()
    assert callers.errors == []
    assert found.labels == {"pod": "flatdense-1"}
    # One for each caller is the most; rate() guesses what was before the first scrape, too.
    assert found.value < 2 * CALLERS
    (series,) = prometheus.query(rule["seriesQuery"])
    assert labels.items() <= series.labels.items()
    assert rule["resources"]["overrides"] == {name: {"resource": name} for name in labels}


@pytest.fixture
def kserve(kubernetes: Path, render: Render) -> PodSpec:
    """The pod that KServe makes of the runtime for the inference service."""
    spec: PodSpec = only(render(kubernetes / "kserve"), "ServingRuntime")["spec"]
    return spec


@pytest.mark.timeout(120)
def test_kserves_pod_answers_the_open_inference_protocol(kserve: PodSpec, run: Run) -> None:
    """By the name of the inference service, from /mnt/models; and it ends in time."""
    pod = run(kserve)
    assert pod.probe("livenessProbe")
    tensor = triton.InferInput("images", [2, 784], "UINT8")
    tensor.set_data_from_numpy(np.zeros((2, 784), np.uint8))
    with triton.InferenceServerClient(pod.address) as client:
        assert client.is_model_ready("mnist")
        answer = client.infer("mnist", [tensor])
    assert answer.as_numpy("classes").shape == (2,)
    assert pod.terminate() == 0


@pytest.mark.timeout(120)
def test_a_kserve_storage_of_one_version_is_told(
    kserve: PodSpec, exported_model: Path, tmp_path: Path
) -> None:
    """Where storageUri names a version instead of the folder around it, the log says so."""
    volumes = {"/mnt/models": exported_model / "1", "/tmp": tmp_path}
    with Pod(kserve, volumes, values={".Name": "mnist"}) as pod:
        assert pod.server.wait() == 1
        said = " ".join(str(event) for event in pod.server.events)
    assert "is one version" in said
    assert str(exported_model) in said
