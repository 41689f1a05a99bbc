"""The dashboard and the alerts, asked of a real Prometheus that scrapes real servers under load."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import trustme
import yaml
from flatdense_client import Client, FlatdenseError, Tls
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.security.tokens import make_token, write_line
from prometheus_process import PrometheusProcess, Sample, scrape_config
from server_process import ServerProcess

pytestmark = [pytest.mark.xdist_group("dashboard"), pytest.mark.usefixtures("compiled")]

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = DEPLOY / "grafana"
RULES = DEPLOY / "prometheus" / "alerts.yml"

BOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "flatdense.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] not in {"row", "text"}]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
OF_ALL_SERVERS = "ALERTS"
"""What this shows is not for one server alone."""

RULE_LIST: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]

EVERYTHING = {"job": ".+", "instance": ".+", "model": ".*", "version": ".*"}
RATE = "10s"

ROWS = 64
PAUSE_S = 0.05

IMAGES = np.random.default_rng(0).integers(0, 256, (ROWS, 784), np.uint8)
REQUEST = pb.ClassifyRequest(images=IMAGES.tobytes(), data_type=pb.DATA_TYPE_UINT8)

UNLOAD = "/inference.GRPCInferenceService/RepositoryModelUnload"

INFER_AT_ONCE = {
    "parameters": {"timeout": 1},
    "inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}],
}
"""By the Open Inference Protocol; in a microsecond."""

CALLER, ROBOT = make_token(), make_token()


def choose(query: str, **chosen: str) -> str:
    """A query as Grafana sends it where everything is chosen, but for what is named."""
    for name, value in {**EVERYTHING, **chosen}.items():
        query = query.replace(f"${name}", value)
    query = query.replace("$__rate_interval", RATE)
    assert "$" not in query
    return query


def has_data(samples: list[Sample]) -> bool:
    """Whether there is something to draw."""
    return any(math.isfinite(sample.value) for sample in samples)


def start_plain(model_dir: Path) -> ServerProcess:
    """A server on the standard lane, that is easily asked too much."""
    return ServerProcess(
        *("--model-dir", str(model_dir), "--engine", "aot", "--workers", "1"),
        *("--lane", "standard", "--max-streams", "1", "--model-control"),
    )


def start_secured(model_dir: Path, folder: Path, authority: trustme.CA) -> ServerProcess:
    """A server with TLS, tokens, labels and a candidate, on the express lane."""
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    (folder / "cert.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    lines = (write_line("caller", "inference", CALLER), write_line("robot", "admin", ROBOT))
    (folder / "tokens").write_text("\n".join(lines))
    shutil.copytree(model_dir / "1", model_dir / "2")
    (model_dir / "versions.toml").write_text("[labels]\nstable = 1")
    return ServerProcess(
        *("--model-dir", str(model_dir), "--engine", "aot", "--workers", "1", "--lane", "express"),
        *("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")),
        *("--token-file", str(folder / "tokens"), "--drift-window-s", "10"),
        *("--shadow-version", "2", "--shadow-fraction", "1"),
    )


@contextmanager
def calling(*connect: Callable[[], Client]) -> Iterator[None]:
    """Callers, one for each, that classify again and again; whether it goes well is not asked."""
    stopped = threading.Event()

    def call(connect: Callable[[], Client]) -> None:
        """On a thread of its own."""
        with connect() as client:
            while not stopped.wait(PAUSE_S):
                try:
                    client.classify(IMAGES)
                except FlatdenseError:
                    continue

    with ThreadPoolExecutor(len(connect)) as pool:
        calls = [pool.submit(call, each) for each in connect]
        try:
            yield
        finally:
            stopped.set()
    for each in calls:
        each.result()


def ask_too_much(server: ServerProcess) -> None:
    """Calls that are refused: not loaded, too many streams, too late."""
    with grpc.insecure_channel(server.address) as channel:
        unload = channel.unary_unary(UNLOAD)
        unload(b"\x12\x05mnist", timeout=60)
        with pytest.raises(grpc.RpcError):
            ClassifierStub(channel).Classify(REQUEST, timeout=60)
        channel.unary_unary(UNLOAD.replace("Unload", "Load"))(b"\x12\x05mnist", timeout=60)
        first, second = threading.Event(), threading.Event()

        def ask(until: threading.Event) -> Iterator[pb.ClassifyRequest]:
            """One request, and then nothing until then."""
            yield REQUEST
            until.wait(60)

        stub = ClassifierStub(channel)
        stream = stub.ClassifyStream(ask(first), timeout=60)
        assert next(stream)
        with pytest.raises(grpc.RpcError):
            next(stub.ClassifyStream(ask(second), timeout=60))
        first.set()
        second.set()
        assert list(stream) == []
    late = httpx.post(f"{server.page}v2/models/mnist/infer", json=INFER_AT_ONCE, timeout=60)
    assert late.status_code == httpx.codes.GATEWAY_TIMEOUT


def kill_workers(server: ServerProcess, prometheus: PrometheusProcess) -> None:
    """Three, each of them after Prometheus has seen the end of the one before."""
    for kill in range(1, 4):
        os.kill(server.worker_pids[0], signal.SIGKILL)
        server.wait_for_many("worker ready", kill)
        prometheus.wait_for(f"flatdense_worker_restarts_total == {kill}")


@pytest.fixture(scope="module")
def prometheus(
    exported_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusProcess]:
    """Prometheus, with the alerts, scraping two servers that are called and have seen trouble."""
    folder, authority = tmp_path_factory.mktemp("dashboard"), trustme.CA()
    model_dir = Path(shutil.copytree(exported_model, folder / "model"))
    with ExitStack() as stack:
        plain = stack.enter_context(start_plain(exported_model))
        secured = stack.enter_context(start_secured(model_dir, folder, authority))
        plain.ready()
        secured.ready()
        config = scrape_config(plain.page, rules=[RULES])
        encrypted = scrape_config(
            secured.page, scheme="https", tls_config={"ca_file": str(folder / "ca.pem")}
        )["scrape_configs"][0]
        jobs = [*config["scrape_configs"], {**encrypted, "job_name": "secured-flatdense"}]
        config = {**config, "scrape_configs": jobs}
        (folder / "prometheus").mkdir()
        prometheus = stack.enter_context(PrometheusProcess(config, folder / "prometheus"))
        prometheus.wait_for("count(up == 1) == 2")
        ask_too_much(plain)
        kill_workers(plain, prometheus)
        tls = Tls(ca=folder / "ca.pem")
        for token in (ROBOT, "stranger"):
            with (
                Client(secured.address, tls=tls, token=token) as client,
                pytest.raises(FlatdenseError),
            ):
                client.classify(IMAGES)
        callers = calling(
            lambda: Client(plain.address),
            lambda: Client(secured.address, tls=tls, token=CALLER, model_label="stable"),
        )
        with callers:
            yield prometheus


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_of_the_dashboard_returns_data(
    prometheus: PrometheusProcess, query: str
) -> None:
    """Where everything is chosen, there is something to draw."""
    prometheus.wait_for(choose(query), has_data)


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_obeys_the_choice(prometheus: PrometheusProcess, query: str) -> None:
    """Of a server that is not there, there is nothing to draw."""
    if not query.startswith(OF_ALL_SERVERS):
        assert not prometheus.query(choose(query, instance="nobody"))


@pytest.mark.parametrize(
    "variable", BOARD["templating"]["list"][1:], ids=lambda variable: variable["name"]
)
def test_each_variable_has_values(prometheus: PrometheusProcess, variable: dict[str, Any]) -> None:
    """There is something to choose from."""
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
    assert asked
    assert asked[2] == variable["name"]
    assert prometheus.wait_for(f"count by ({asked[2]}) ({choose(asked[1])})")


def test_alerts_are_drawn_into_every_graph(prometheus: PrometheusProcess) -> None:
    """The annotation's query has those that fire."""
    (annotation,) = BOARD["annotations"]["list"]
    names = {sample.labels["alertname"] for sample in prometheus.wait_for(annotation["expr"])}
    assert "FlatdenseWorkersRestart" in names


@pytest.mark.parametrize("rule", RULE_LIST, ids=lambda rule: rule.get("alert", rule.get("record")))
def test_each_rule_computes_from_what_servers_say(
    prometheus: PrometheusProcess, rule: dict[str, Any]
) -> None:
    """With bounds that everything is beyond, every rule has data."""
    query = re.sub(r"(==|>=|<=|>|<) [\d.]+", "> -Inf", rule["expr"])
    query = query.replace("unless", "and").replace("absent(", "count(")
    prometheus.wait_for(query, has_data)


def test_an_alert_reads_well(prometheus: PrometheusProcess) -> None:
    """What fires has its labels and its figure in its text."""
    alert = prometheus.wait_for_alert("FlatdenseWorkersRestart")
    assert alert.labels["instance"] in alert.annotations["summary"]
    # At least the 3 that ended: Prometheus reckons with what may lie between two scrapes.
    assert re.match("[3-9] worker processes", alert.annotations["description"])


def test_the_dashboard_is_what_its_code_writes(tmp_path: Path) -> None:
    """Writing it again gives the checked-in file: nobody forgot `make dashboard`."""
    fresh = tmp_path / "flatdense.json"
    subprocess.run([sys.executable, GRAFANA / "dashboard.py", fresh], check=True, timeout=60)
    assert fresh.read_text() == (GRAFANA / "dashboards" / "flatdense.json").read_text()


def test_each_panel_explains_itself() -> None:
    """It has a title of its own, and says what it shows."""
    titles = [panel["title"] for panel in PANELS]
    assert len(titles) == len(set(titles))
    assert all(panel["description"].endswith(".") for panel in PANELS)


def test_panels_fill_their_rows() -> None:
    """None lies on another, and none hangs over the edge."""
    cells: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        grid = panel["gridPos"]
        taken = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(x for x, _ in taken) < 24
        assert not cells & taken
        cells |= taken


def test_grafana_finds_what_is_provisioned() -> None:
    """The data source is the one that the variable finds; the folder is the one that is mounted."""
    (source,) = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"]
    assert source["type"] == BOARD["templating"]["list"][0]["query"]
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    (provider,) = yaml.safe_load(
        (GRAFANA / "provisioning" / "dashboards" / "flatdense.yaml").read_text()
    )["providers"]
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())
    mounts = [each.split(":") for each in compose["services"]["grafana"]["volumes"]]
    assert ["./deploy/grafana/dashboards", provider["options"]["path"], "ro"] in mounts
    assert ["./deploy/grafana/provisioning", "/etc/grafana/provisioning", "ro"] in mounts
