"""docker-compose.yml and its override: by the schema, and by what that leaves open."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from deploy.compose import Service, lay_over, read_compose, read_services
from deploy.dockerfile import fill, read_stages
from flatdense_client.cli.classify import classify
from flatdense_server.settings import with_settings
from flatdense_training.cli import main as train

FILES = ("docker-compose.yml", "docker-compose.gpu.yml")
OWN = ("client", "server", "train")
NAMES = (*OWN, "grafana", "prometheus")
VARIABLES = re.compile(r"\bFLATDENSE_\w+")


@pytest.fixture(scope="session")
def document(repository: Path) -> dict[str, Any]:
    """docker-compose.yml."""
    return read_compose(repository / "docker-compose.yml")


@pytest.fixture(scope="session")
def defaults() -> dict[str, Any]:
    """The server's settings: name -> default."""
    return {option.name: option.default for option in with_settings(lambda *_: None).params}


@pytest.fixture(scope="session")
def gpu_services(repository: Path) -> Mapping[str, Service]:
    """The services with the override laid over them."""
    return read_services(*(repository / name for name in FILES))


@pytest.mark.parametrize("name", FILES)
def test_files_are_what_the_specification_says(repository: Path, name: str) -> None:
    """The compose specification's own schema has nothing against them."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", repository / name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", FILES)
def test_every_variable_has_a_default(repository: Path, name: str) -> None:
    """Nothing needs to be set before `docker compose up`."""
    text = (repository / name).read_text()
    assert len(re.findall(r"\$", text)) == len(re.findall(r"\$\{\w+:-[^}]*\}", text))


def test_up_starts_what_serves(services: Mapping[str, Service]) -> None:
    """Jobs are started when they are asked for, by a profile."""
    started = {name for name, each in services.items() if "profiles" not in each.document}
    assert set(services) == set(NAMES)
    assert started == {"server", "prometheus", "grafana"}
    for name in ("train", "client"):
        assert services[name].document["profiles"] == [name]
        assert services[name].document["restart"] == "no"


@pytest.mark.parametrize("name", OWN)
def test_own_images_are_built_and_carry_the_version(
    services: Mapping[str, Service], repository: Path, name: str
) -> None:
    """Each has its Dockerfile, and the tag of the packages in it."""
    document = services[name].document
    project = tomllib.loads((repository / "server" / "pyproject.toml").read_text())["project"]
    assert document["image"] == f"flatdense-{name}:{project['version']}"
    assert document["build"]["context"] == "."
    assert document["build"]["dockerfile"] == f"deploy/docker/{name}.Dockerfile"
    assert (repository / document["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("name", ["grafana", "prometheus"])
def test_images_of_others_are_pinned(services: Mapping[str, Service], name: str) -> None:
    """A tag names one release, with all three of its numbers."""
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", services[name].document["image"])


@pytest.mark.parametrize("name", NAMES)
def test_containers_are_confined(services: Mapping[str, Service], name: str) -> None:
    """None is root, has a capability, can get one, writes its files, or takes all it finds."""
    service = services[name]
    assert service.user[0] > 0
    assert service.document["read_only"] is True
    assert service.document["cap_drop"] == ["ALL"]
    assert service.document["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & set(service.document)
    assert set(service.limits) == {"cpus", "memory", "pids"}
    assert set(service.document["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", OWN)
def test_the_user_is_the_images(
    services: Mapping[str, Service], dockerfiles: Path, name: str
) -> None:
    """The file says again what the image says, for who reads only one of them."""
    last = read_stages(dockerfiles / f"{name}.Dockerfile")[-1]
    (user,) = (step.value for step in last.steps if step.instruction == "USER")
    assert user == services[name].document["user"]


def test_volumes_and_mounted_files_are_there(
    document: Mapping[str, Any], services: Mapping[str, Service], repository: Path
) -> None:
    """What is mounted is in the repository, and read-only, or is a volume that is declared."""
    used = set()
    for service in services.values():
        for source, _target, mode in service.volumes:
            if source.startswith("."):
                assert (repository / source).exists(), source
                assert mode == "ro"
            else:
                used.add(source)
    assert used == set(document["volumes"])


def test_the_model_is_written_by_training_alone(services: Mapping[str, Service]) -> None:
    """One volume, one place: the server reads, the train service writes."""
    (models,) = (each for each in services["server"].volumes)
    assert models == ("models", "/models", "ro")
    assert ("models", "/models", "rw") in services["train"].volumes


@pytest.mark.parametrize("name", NAMES)
def test_ports_are_this_machines_alone(services: Mapping[str, Service], name: str) -> None:
    """Nothing is published to the network around."""
    assert all(address == "127.0.0.1" for address, _, _ in services[name].ports)


def test_servers_have_the_default_ports_and_do_not_collide(
    services: Mapping[str, Service], dockerfiles: Path, defaults: Mapping[str, Any]
) -> None:
    """Inside they are the settings' defaults; outside any free one, so that replicas fit beside."""
    inside = [defaults["grpc_port"], defaults["http_port"]]
    assert [target for *_, target in services["server"].ports] == inside
    assert [published for _, published, _ in services["server"].ports] == ["", ""]
    for name in ("server", "server-gpu"):
        last = read_stages(dockerfiles / f"{name}.Dockerfile")[-1]
        (exposed,) = (step.value for step in last.steps if step.instruction == "EXPOSE")
        assert list(map(int, exposed.split())) == inside


def test_a_single_server_can_have_a_port_of_ones_choice(repository: Path) -> None:
    """Two variables name them."""
    told = {"FLATDENSE_GRPC_PUBLISHED": "8500", "FLATDENSE_HTTP_PUBLISHED": "8501"}
    services = read_services(repository / "docker-compose.yml", variables=told)
    assert [published for _, published, _ in services["server"].ports] == ["8500", "8501"]


def test_servers_have_time_to_drain(
    services: Mapping[str, Service], defaults: Mapping[str, Any]
) -> None:
    """An engine kills a server only after the time that it gives its callers."""
    told = services["server"].variables
    delay_s = float(told.get("FLATDENSE_DRAIN_DELAY_S", defaults["drain_delay_s"]))
    grace_s = float(told.get("FLATDENSE_GRACE_S", defaults["grace_s"]))
    assert services["server"].stop_grace_period_s >= delay_s + grace_s + 2


def test_probes_are_the_images(services: Mapping[str, Service], dockerfiles: Path) -> None:
    """The health check is the one that the image has by itself."""
    for name in ("server", "server-gpu"):
        last = read_stages(dockerfiles / f"{name}.Dockerfile")[-1]
        (probe,) = (step.rest for step in last.steps if step.instruction == "HEALTHCHECK")
        assert services["server"].document["healthcheck"]["test"] == ["CMD", "probe"]
        assert probe == 'CMD ["probe"]'


def test_the_client_asks_every_replica(
    services: Mapping[str, Service], defaults: Mapping[str, Any]
) -> None:
    """Its address is the service's name, looked up by gRPC itself."""
    address = services["client"].variables["FLATDENSE_SERVER"]
    assert address == f"dns:///server:{defaults['grpc_port']}"


def test_prometheus_finds_every_replica(
    services: Mapping[str, Service], repository: Path, defaults: Mapping[str, Any]
) -> None:
    """Its mounted configuration looks the service's name up, at the port of /metrics."""
    folder = repository / "deploy" / "prometheus"
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    (found,) = (each for job in config["scrape_configs"] for each in job["dns_sd_configs"])
    assert (found["names"], found["type"], found["port"]) == (
        ["server"],
        "A",
        defaults["http_port"],
    )
    assert all((folder / name).is_file() for name in config["rule_files"])
    (target,) = (
        target
        for source, target, _ in services["prometheus"].volumes
        if (repository / source) == folder
    )
    assert f"--config.file={target}/prometheus.yml" in services["prometheus"].command


def test_prometheus_offers_nothing_administrative(services: Mapping[str, Service]) -> None:
    """Its lifecycle and its administration are off, as they are by default."""
    assert not [each for each in services["prometheus"].command if each.startswith("--web.enable")]


def test_grafana_has_its_dashboard_and_data_at_the_start(
    services: Mapping[str, Service], repository: Path
) -> None:
    """What is provisioned is mounted where it is looked for, and asks the service prometheus."""
    mounted = {target: repository / source for source, target, _ in services["grafana"].volumes}
    provisioning = mounted["/etc/grafana/provisioning"]
    (sources,) = provisioning.glob("datasources/*.y*ml")
    (source,) = yaml.safe_load(sources.read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (providers,) = provisioning.glob("dashboards/*.y*ml")
    (provider,) = yaml.safe_load(providers.read_text())["providers"]
    home = Path(services["grafana"].variables["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert provider["options"]["path"] == str(home.parent)
    assert (mounted[str(home.parent)] / home.name).is_file()


def test_nobody_administers_grafana(services: Mapping[str, Service]) -> None:
    """Who comes is a viewer; there is no account, and no way to sign in or up."""
    told = services["grafana"].variables
    assert told["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert told["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert told["GF_AUTH_BASIC_ENABLED"] == "false"
    assert told["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert told["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert told["GF_USERS_ALLOW_SIGN_UP"] == "false"


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_in_a_variable_or_a_command(
    services: Mapping[str, Service], name: str
) -> None:
    """Others on the machine can see both: secrets are files."""
    service = services[name]
    words = [*service.variables, *service.command, *service.entrypoint]
    secret = re.compile("password|secret|token|key", re.IGNORECASE)
    assert not list(filter(secret.search, words))


def read_variables(command: click.Command) -> set[str]:
    """The variables that a command reads."""
    prefix = command.context_settings.get("auto_envvar_prefix")
    own = {option.envvar for option in command.params if isinstance(option.envvar, str)}
    return own | (
        {f"{prefix}_{option.name}".upper() for option in command.params} if prefix else set()
    )


@pytest.mark.parametrize(
    ("service", "image", "command"),
    [
        ("server", "server", with_settings(lambda *_: None)),
        ("server", "server-gpu", with_settings(lambda *_: None)),
        ("train", "train", train),
        ("client", "client", classify),
    ],
)
def test_variables_are_known(
    gpu_services: Mapping[str, Service],
    dockerfiles: Path,
    service: str,
    image: str,
    command: click.Command,
) -> None:
    """Each FLATDENSE_ variable of a service or its image is one that its command reads."""
    last = read_stages(dockerfiles / f"{image}.Dockerfile")[-1]
    in_image = {
        found
        for step in last.steps
        if step.instruction == "ENV"
        for found in VARIABLES.findall(re.sub(r"=\S*", "", step.value))
    }
    told = in_image | {name for name in gpu_services[service].variables if VARIABLES.match(name)}
    assert told <= read_variables(command)


def test_gpu_file_changes_the_engine_and_nothing_of_the_confinement(
    services: Mapping[str, Service], gpu_services: Mapping[str, Service], repository: Path
) -> None:
    """With the override the server has a GPU and the jit engine, and the rest is as before."""
    server = gpu_services["server"]
    assert (server.variables["FLATDENSE_ENGINE"], server.variables["FLATDENSE_DEVICE"]) == (
        "jit",
        "gpu",
    )
    assert (repository / server.document["build"]["dockerfile"]).is_file()
    (device,) = server.document["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    changed = {"image", "build", "environment", "deploy", "healthcheck"}
    for key in set(server.document) | set(services["server"].document):
        same = server.document.get(key) == services["server"].document.get(key)
        assert same != (key in changed), key
    assert {name for name in NAMES if gpu_services[name] != services[name]} == {"server"}


def test_an_override_is_laid_over_as_the_specification_says() -> None:
    """Mappings meet key by key, lists are joined, and anything else is replaced."""
    below = {"a": {"b": 1, "c": [1]}, "d": 1}
    assert lay_over(below, {"a": {"b": 2, "c": [2]}, "e": 3}) == {
        "a": {"b": 2, "c": [1, 2]},
        "d": 1,
        "e": 3,
    }


def test_the_context_has_what_is_copied(repository: Path, dockerfiles: Path) -> None:
    """.dockerignore leaves every source of a COPY, and nothing that no Dockerfile copies."""
    left = {
        line.removeprefix("!")
        for line in (repository / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for path in dockerfiles.glob("*.Dockerfile")
        for stage in read_stages(path)
        for step in stage.steps
        if step.instruction == "COPY" and not any(f.startswith("--from") for f in step.flags)
        for source in step.rest.split()[:-1]
    }
    assert copied == left
    assert all((repository / each).exists() for each in left)


def test_a_variable_that_is_not_known_is_an_error() -> None:
    """Where a Dockerfile names one that it never set, reading it fails."""
    with pytest.raises(KeyError):
        fill("${NEVER}", {})
