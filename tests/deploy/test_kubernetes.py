"""The manifests for Kubernetes agree with published schemas, the server and each other."""

import copy
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml
from deploy.kubelet import PodSpec, fill, grace_s, pre_stop_s
from deploy.kustomize import KUBECTL, Manifest, Render, container_of, make_render, only
from flatdense_server.__main__ import main
from flatdense_server.http.server import END_S
from flatdense_server.settings import PREFIX
from flatdense_server.supervisor import MARGIN_S
from server_process import COMMAND

pytestmark = pytest.mark.xdist_group("kubernetes")

Judge: TypeAlias = Callable[[Sequence[Manifest]], list[str]]

OLDEST = "1.30"
"""The oldest Kubernetes that docs/kubernetes.md promises."""

KUSTOMIZATIONS = (".", "base", "secured", "models", "publish", "kserve")

SERVERS = (".", "base", "secured", "kserve")
"""Those that run the server."""

SETTINGS = {parameter.name: parameter for parameter in main.params}


@pytest.fixture(scope="module")
def render(install_aside: Callable[[Path], Path]) -> Render:
    """What kubectl makes of a kustomization."""
    return make_render(install_aside(KUBECTL))


@pytest.fixture(scope="module")
def kubernetes(repository: Path) -> Path:
    """The folder of the kustomizations."""
    return repository / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def judge(install_aside: Callable[[Path], Path]) -> Judge:
    """What is wrong with manifests, by the schemas of every Kubernetes from the oldest on."""
    beside = Path(__file__)
    folder = install_aside(beside.with_name("published_schemas.txt"))

    def run(manifests: Sequence[Manifest]) -> list[str]:
        done = subprocess.run(
            [sys.executable, beside.with_name("published_schemas.py"), OLDEST],
            input=json.dumps(manifests),
            env={**os.environ, "PYTHONPATH": str(folder)},  # noqa: TID251 -- handed on, not read
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
            check=True,
        )
        problems: list[str] = json.loads(done.stdout)
        return problems

    return run


@pytest.fixture(params=KUSTOMIZATIONS)
def manifests(request: pytest.FixtureRequest, kubernetes: Path, render: Render) -> list[Manifest]:
    """Each kustomization, rendered."""
    return list(render(kubernetes / request.param))


@pytest.fixture(params=SERVERS)
def serving(request: pytest.FixtureRequest, kubernetes: Path, render: Render) -> PodSpec:
    """The pod of each that runs the server."""
    return pod_of(render(kubernetes / request.param))


def pod_of(manifests: Sequence[Manifest]) -> PodSpec:
    """The one pod that these manifests mean."""
    (pod,) = pods_of(manifests)
    return pod


def pods_of(manifests: Sequence[Manifest]) -> Iterator[PodSpec]:
    """What runs, whoever makes pods of it."""
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "Job"}:
            yield manifest["spec"]["template"]["spec"]
        if manifest["kind"] == "ServingRuntime":
            predictor = only(manifests, "InferenceService")["spec"]["predictor"]
            yield {**manifest["spec"], "enableServiceLinks": predictor["enableServiceLinks"]}


def settings_of(spec: PodSpec) -> dict[str, str]:
    """What the server makes of a container's arguments, by the names of variables."""
    return ask_server(*(fill(each, {".Name": "mnist"}) for each in container_of(spec)["args"]))


@cache
def ask_server(*arguments: str) -> dict[str, str]:
    """What it would be run with."""
    command = [COMMAND, *arguments, "--print-config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_manifests_fit_the_published_schemas(manifests: list[Manifest], judge: Judge) -> None:
    """Kubernetes from the oldest to the newest, the Prometheus operator and KServe take them."""
    assert manifests
    assert judge(manifests) == []


WRONG: Sequence[tuple[str, str, Callable[[Manifest], object]]] = [
    (".", "Deployment", lambda it: it["spec"].update(replica=2)),
    (".", "Deployment", lambda it: container_of(pod_of([it]))["ports"].append({"name": "x"})),
    (".", "Service", lambda it: it["spec"]["ports"][0].update(port="grpc")),
    (".", "HorizontalPodAutoscaler", lambda it: it["spec"]["metrics"][0].update(pod={})),
    (".", "PodDisruptionBudget", lambda it: it["spec"].update(maxUnavailable=[1])),
    (".", "NetworkPolicy", lambda it: it["spec"]["ingress"][0].update(ports={})),
    (".", "PodMonitor", lambda it: it["spec"]["podMetricsEndpoints"][0].update(ports="http")),
    (".", "PodMonitor", lambda it: it["spec"].pop("selector")),
    ("kserve", "ServingRuntime", lambda it: it["spec"].update(multimodel=False)),
    ("kserve", "ServingRuntime", lambda it: it["spec"].update(protocolVersions="v2")),
    ("kserve", "ServingRuntime", lambda it: container_of(it["spec"]).pop("name")),
    ("kserve", "InferenceService", lambda it: it["spec"].pop("predictor")),
    ("kserve", "InferenceService", lambda it: it["spec"]["predictor"]["model"].update(uri="x")),
    ("kserve", "InferenceService", lambda it: it["spec"]["predictor"].update(minReplicas="2")),
]
"""Manifests, and what somebody may do to them by mistake."""


def test_the_schemas_find_mistakes(kubernetes: Path, render: Render, judge: Judge) -> None:
    """Fields of other names, of other types, and those that are missing: each one is found."""
    broken = []
    for number, (folder, kind, spoil) in enumerate(WRONG):
        manifest = copy.deepcopy(only(render(kubernetes / folder), kind))
        manifest["metadata"]["name"] = str(number)
        spoil(manifest)
        broken.append(manifest)
    found = {problem.split()[1].rstrip(":") for problem in judge(broken)}
    assert found == {str(number) for number in range(len(WRONG))}


def test_alerts_make_a_rule_for_the_operator(repository: Path, judge: Judge) -> None:
    """The command of the documentation makes a PrometheusRule of the alerts, as they are."""
    (command,) = re.findall(
        r"^    (\{ .*?; \})\s*\|\s*(?:\\\s*)?kubectl apply",
        (repository / "docs" / "kubernetes.md").read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=repository, capture_output=True, text=True, check=True
    )
    rule = yaml.safe_load(done.stdout)
    assert judge([rule]) == []
    alerts = repository / "deploy" / "prometheus" / "alerts.yml"
    assert rule["spec"] == yaml.safe_load(alerts.read_text())


def test_arguments_are_the_servers_own(serving: PodSpec) -> None:
    """Each option of a container exists, and is a setting that the server takes."""
    names = {argument.split("=")[0] for argument in container_of(serving)["args"]}
    known = {flag for parameter in main.params for flag in parameter.opts}
    assert names <= known
    assert settings_of(serving)["FLATDENSE_HOST"] == "0.0.0.0"


def test_variables_are_no_settings_by_accident(serving: PodSpec) -> None:
    """One of the server's prefix is one that it knows, and none is made of a Service's name."""
    known = {f"{PREFIX}_{name.upper()}" for name in SETTINGS}
    given = {each["name"] for each in container_of(serving).get("env", [])}
    assert {name for name in given if name.startswith(PREFIX)} <= known
    assert serving["enableServiceLinks"] is False


def test_ports_are_the_servers_defaults(serving: PodSpec) -> None:
    """Who knows the server from elsewhere finds it here."""
    settings = settings_of(serving)
    assert settings["FLATDENSE_GRPC_PORT"] == str(SETTINGS["grpc_port"].default)
    assert settings["FLATDENSE_HTTP_PORT"] == str(SETTINGS["http_port"].default)
    declared = {str(port["containerPort"]) for port in container_of(serving)["ports"]}
    assert declared <= {value for name, value in settings.items() if name.endswith("_PORT")}


def test_accepted_calls_have_the_servers_own_grace(serving: PodSpec) -> None:
    """--grace-s is the default, and there is a time in which callers hear that the pod goes."""
    settings = settings_of(serving)
    assert float(settings["FLATDENSE_GRACE_S"]) == SETTINGS["grace_s"].default
    assert float(settings["FLATDENSE_DRAIN_DELAY_S"]) >= READINESS_NOTICED_S


READINESS_NOTICED_S = 5
"""For a Service's addresses to reach who asks for them."""


def longest_end_s(spec: PodSpec) -> float:
    """From a pod's deletion to its end, where everything takes its longest."""
    settings = settings_of(spec)
    servers = 1 + ("FLATDENSE_PLAINTEXT_HEALTH_PORT" in settings)
    return (
        pre_stop_s(container_of(spec))
        + float(settings["FLATDENSE_DRAIN_DELAY_S"])
        + float(settings["FLATDENSE_GRACE_S"])
        + MARGIN_S
        + END_S * servers
    )


def test_pods_have_the_time_that_the_server_takes_to_end(serving: PodSpec) -> None:
    """preStop, drain, grace, the supervisor's margin, HTTP's last answers, and a little more."""
    assert grace_s(serving) >= longest_end_s(serving) + 5


def test_the_documentation_adds_up_the_end(
    repository: Path, kubernetes: Path, render: Render
) -> None:
    """Its sum is that of the manifests that take longest."""
    text = (repository / "docs" / "kubernetes.md").read_text()
    spec = pod_of(render(kubernetes / "secured"))
    assert f"together {longest_end_s(spec):g} s" in text
    assert f"`terminationGracePeriodSeconds` is {grace_s(spec):g}" in text


def test_probes_come_in_their_order(serving: PodSpec) -> None:
    """Nothing but startup counts first; ready is whether calls are taken, live never is."""
    container = container_of(serving)
    ready, live = container["readinessProbe"], container["livenessProbe"]
    settings = settings_of(serving)
    encrypted = "FLATDENSE_TLS_CERT" in settings
    if encrypted:
        assert ready["httpGet"] == {"path": "/readyz", "port": "health"}
    else:
        assert ready["grpc"] == {"port": int(settings["FLATDENSE_GRPC_PORT"])}
    assert "grpc" not in live
    assert live.get("httpGet", {}).get("path") in {None, "/healthz"}
    # Not ready comes long before a restart.
    patience = [it["periodSeconds"] * it["failureThreshold"] for it in (ready, live)]
    assert patience[0] < patience[1] / 2
    # Within the time that the server still answers, the pod is known to be going.
    assert patience[0] <= float(settings["FLATDENSE_DRAIN_DELAY_S"]) + SETTINGS["grace_s"].default
    start = container.get("startupProbe")
    if start:
        asked = {key: ready.get(key) for key in ("grpc", "httpGet")}
        assert {key: start.get(key) for key in asked} == asked
        assert start["periodSeconds"] * start["failureThreshold"] >= 120
    else:
        assert live["initialDelaySeconds"] >= 20


def test_pods_are_confined(manifests: list[Manifest]) -> None:
    """What the `restricted` standard of Kubernetes asks for, a read-only root, and no token."""
    for spec in pods_of(manifests):
        container = container_of(spec)
        own = container["securityContext"]
        context = {**spec.get("securityContext", {}), **own}
        assert context["runAsNonRoot"] is True
        assert (context["runAsUser"], context["runAsGroup"]) == (10001, 10001)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        if "supportedModelFormats" not in spec:  # KServe's have no such field
            assert spec["automountServiceAccountToken"] is False
            assert spec["serviceAccountName"] == "flatdense"


def test_images_have_the_servers_version(manifests: list[Manifest], repository: Path) -> None:
    """Of the user that the image was made for, with the entry point that the arguments are for."""
    project = tomllib.loads((repository / "server" / "pyproject.toml").read_text())["project"]
    for spec in pods_of(manifests):
        assert container_of(spec)["image"] == f"flatdense-server:{project['version']}"
    recipe = (repository / "deploy" / "docker" / "server.Dockerfile").read_text()
    assert "USER 10001:10001" in recipe
    assert 'ENTRYPOINT ["flatdense-server"]' in recipe


@pytest.mark.parametrize("folder", [".", "base", "secured"])
def test_names_meet(folder: str, kubernetes: Path, render: Render) -> None:
    """Whatever one manifest says of another is there: labels, ports, accounts, volumes."""
    manifests = render(kubernetes / folder)
    deployment = only(manifests, "Deployment")
    template = deployment["spec"]["template"]
    labels, spec = template["metadata"]["labels"], template["spec"]
    ports = {port["name"] for port in container_of(spec)["ports"]}
    selectors = {it["kind"]: it["spec"].get("selector") for it in manifests if "spec" in it}
    selectors["NetworkPolicy"] = only(manifests, "NetworkPolicy")["spec"]["podSelector"]
    for kind in selectors.keys() & {
        *("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor")
    }:
        chosen = selectors[kind].get("matchLabels", selectors[kind])
        assert chosen.items() <= labels.items(), kind
        assert chosen
    service = only(manifests, "Service")["spec"]
    assert service["clusterIP"] == "None"
    assert {port["targetPort"] for port in service["ports"]} <= ports
    for rule in only(manifests, "NetworkPolicy")["spec"]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= ports
    assert spec["serviceAccountName"] == only(manifests, "ServiceAccount")["metadata"]["name"]
    mounted = {mount["name"] for mount in container_of(spec)["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}
    for monitor in (it for it in manifests if it["kind"] == "PodMonitor"):
        assert {each["port"] for each in monitor["spec"]["podMetricsEndpoints"]} <= ports
        assert labels[monitor["spec"]["jobLabel"]] == "flatdense"
    for scaler in (it for it in manifests if it["kind"] == "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
        assert "replicas" not in deployment["spec"]


def test_nothing_is_down_while_pods_are_replaced(kubernetes: Path, render: Render) -> None:
    """A new pod is ready before an old one goes, and nodes are emptied pod by pod."""
    manifests = render(kubernetes)
    rolling = only(manifests, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1)
    assert only(manifests, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert only(manifests, "HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2


def test_the_volume_is_followed_and_never_written_by_servers(
    kubernetes: Path, render: Render, tmp_path: Path
) -> None:
    """components/models-volume mounts the claim of models/ where the server looks, read-only."""
    here = os.path.relpath(kubernetes, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{here}/base]\ncomponents: [{here}/components/models-volume]\n"
    )
    claim = only(render(kubernetes / "models"), "PersistentVolumeClaim")["metadata"]["name"]
    spec = pod_of(render(tmp_path))
    (mount,) = (it for it in container_of(spec)["volumeMounts"] if it["name"] == "models")
    assert mount["readOnly"] is True
    assert settings_of(spec)["FLATDENSE_MODEL_DIR"] == mount["mountPath"]
    (volume,) = (it for it in spec["volumes"] if it["name"] == "models")
    assert volume["persistentVolumeClaim"] == {"claimName": claim, "readOnly": True}
    publisher = pod_of(render(kubernetes / "publish"))
    assert publisher["volumes"][0]["persistentVolumeClaim"] == {"claimName": claim}
    service = only(render(kubernetes / "kserve"), "InferenceService")
    assert service["spec"]["predictor"]["model"]["storageUri"] == f"pvc://{claim}"


def test_the_inference_service_and_its_runtime_fit(kubernetes: Path, render: Render) -> None:
    """The format, the protocol and the name that one asks for, the other one offers."""
    manifests = render(kubernetes / "kserve")
    runtime = only(manifests, "ServingRuntime")
    model = only(manifests, "InferenceService")["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    # What the one port speaks, and nothing else.
    assert [model["protocolVersion"]] == runtime["spec"]["protocolVersions"] == ["grpc-v2"]
    formats = [(it["name"], it["version"]) for it in runtime["spec"]["supportedModelFormats"]]
    assert (model["modelFormat"]["name"], model["modelFormat"]["version"]) in formats
    container = container_of(runtime["spec"])
    assert container["name"] == "kserve-container"
    assert [port["name"] for port in container["ports"]] == ["h2c"]
    settings = settings_of(runtime["spec"])
    assert settings["FLATDENSE_MODEL_DIR"] == "/mnt/models"
    annotations = runtime["spec"]["annotations"]
    assert annotations["prometheus.kserve.io/port"] == settings["FLATDENSE_HTTP_PORT"]


def test_the_metric_of_the_autoscaler_is_the_adapters(
    repository: Path, kubernetes: Path, render: Render
) -> None:
    """The rule gives the name that the autoscaler asks for, of a metric that is documented."""
    values = yaml.safe_load((kubernetes / "components/autoscaling/adapter-values.yaml").read_text())
    (rule,) = values["rules"]["custom"]
    (metric,) = only(render(kubernetes), "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert rule["name"]["as"] == metric["pods"]["metric"]["name"]
    series = rule["seriesQuery"].partition("{")[0]
    assert f"| `{series}` |" in (repository / "docs" / "metrics.md").read_text()


def test_the_documented_kustomization_works(
    repository: Path, render: Render, judge: Judge, tmp_path: Path
) -> None:
    """Beside deploy/ it gives the whole, with the image and the namespace that it names."""
    text = (repository / "docs" / "kubernetes.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "kustomization.yaml").write_text(block)
    (tmp_path / "deploy").symlink_to(repository / "deploy")
    manifests = render(tmp_path / "digits")
    assert judge(manifests) == []
    kinds = {it["kind"] for it in render(repository / "deploy" / "kubernetes")}
    assert {it["kind"] for it in manifests} == kinds
    assert {it["metadata"]["namespace"] for it in manifests} == {"digits"}
    image = container_of(pod_of(manifests))["image"]
    assert image.startswith("registry.example/flatdense-server:")
    assert f"docker push {image}" in text


def test_the_documentation_names_what_is_there(repository: Path) -> None:
    """Every path below deploy/ in it exists, and every folder of the kustomizations is in it."""
    text = (repository / "docs" / "kubernetes.md").read_text()
    named = set(re.findall(r"deploy/[\w./-]*\w", text))
    assert named
    assert [path for path in sorted(named) if not (repository / path).exists()] == []
    components = (repository / "deploy/kubernetes/components").iterdir()
    for name in {*KUSTOMIZATIONS[1:], *(f"components/{it.name}" for it in components)}:
        assert f"{name}`" in text or f"deploy/kubernetes/{name}" in text, name
    assert f"Kubernetes {OLDEST}" in text
