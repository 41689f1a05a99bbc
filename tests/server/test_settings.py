"""The settings: flags, variables, defaults, and what is refused."""

import re
from dataclasses import fields
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from flatdense_server.engine.cpus import usable_cpus
from flatdense_server.settings import OPTIONS, PREFIX, Settings, with_settings
from hypothesis import given
from hypothesis import strategies as st

TABLE = [
    ("host", "0.0.0.0", "127.0.0.1"),
    ("grpc_port", "9000", 8500),
    ("http_port", "9001", 8501),
    ("model_dir", "some/where", Path("exported_model")),
    ("poll_interval_s", "0.5", 1.0),
    ("shadow_fraction", "0.5", 0.1),
    ("cache_dir", "some/where", Path("~/.cache/flatdense")),
    ("model_name", "digits", "mnist"),
    ("engine", "jit", "auto"),
    ("device", "gpu", "auto"),
    ("workers", "3", usable_cpus()),
    ("max_batch_rows", "64", 1024),
    ("batch_wait_us", "500", 0),
    ("max_request_rows", "65", 1024),
    ("max_queued_rows", "66", 16_384),
    ("lane", "standard", "auto"),
    ("max_inflight", "67", 256),
    ("max_streams", "68", 64),
    ("max_connections", "69", 16_384),
    ("max_connection_age_grace_s", "3.5", 30.0),
    ("low_confidence", "0.5", 0.8),
    ("drift_window_s", "60", 600.0),
    ("drain_delay_s", "1.5", 0.0),
    ("grace_s", "2.5", 10.0),
    ("log_format", "json", "text"),
    ("log_level", "debug", "info"),
    ("access_log_sample", "0.25", 0.0),
    ("traces", "otlp", "off"),
]
"""Each option that takes a value: name, another value as text, default."""

NO_DEFAULT = {
    *("shadow_version", "http_host", "plaintext_health_port", "max_connection_age_s"),
    *("tls_cert", "tls_key", "tls_client_ca", "token_file"),
}
ON_OR_OFF = {
    "reflection": "reflection",
    "model_control": "no-model-control",
    "page": "page",
    "prediction_health": "prediction-health",
}
"""Each option that has no value, and its default."""

DEFAULT_IN_WORDS = {"workers": r"\(one for each usable core; 1 on a GPU\)"}


@pytest.fixture
def seen() -> list[Settings]:
    """What the command was run with."""
    return []


@pytest.fixture
def command(seen: list[Settings]) -> click.Command:
    """A command that notes its settings."""

    def run(settings: Settings) -> None:
        """Note the settings."""
        seen.append(settings)

    return with_settings(run)


def invoke(command: click.Command, *arguments: str, **variables: str) -> Result:
    """Runs the command with these FLATDENSE_ variables and no others."""
    clean = {f"{PREFIX}_{field.name.upper()}": None for field in fields(Settings)}
    environment = {f"{PREFIX}_{name.upper()}": value for name, value in variables.items()}
    return CliRunner().invoke(command, arguments, env=clean | environment)


def test_the_table_has_every_option() -> None:
    """Nothing below is left out: one row a field, but for those that no row fits."""
    names = {name for name, _, _ in TABLE} | NO_DEFAULT | ON_OR_OFF.keys()
    assert names == {field.name for field in fields(Settings)}
    assert len(OPTIONS) == len(fields(Settings))


@pytest.mark.parametrize(("name", "text", "default"), TABLE)
def test_an_option_has_its_default_its_flag_and_its_variable(
    command: click.Command, seen: list[Settings], name: str, text: str, default: object
) -> None:
    """Without anything the default; the flag and the variable give the same; the flag wins."""
    flag = "--" + name.replace("_", "-")
    invoke(command)
    invoke(command, flag, text)
    invoke(command, **{name: text})
    invoke(command, flag, str(default), **{name: text})
    by_default, by_flag, by_variable, by_both = (getattr(each, name) for each in seen)
    assert by_default == by_both == default
    assert by_flag == by_variable == type(default)(text)


def test_there_is_no_shadow_until_one_is_named(
    command: click.Command, seen: list[Settings]
) -> None:
    """None by default and by an empty variable; else the number."""
    invoke(command)
    invoke(command, shadow_version="")
    invoke(command, "--shadow-version=7")
    assert [each.shadow_version for each in seen] == [None, None, 7]


def test_nothing_is_encrypted_or_asked_for_until_files_are_named(
    command: click.Command, seen: list[Settings]
) -> None:
    """None by default and by an empty variable, of every option of security."""
    names = sorted(NO_DEFAULT - {"shadow_version"})
    invoke(command)
    invoke(command, **dict.fromkeys(names, ""))
    assert [getattr(each, name) for each in seen for name in names] == [None] * 2 * len(names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tls-cert=a"], "--tls-cert needs --tls-key."),
        (["--tls-key=a"], "--tls-key needs --tls-cert."),
        (["--tls-client-ca=a"], "--tls-client-ca needs --tls-cert and --tls-key."),
        (["--tls-client-ca=a", "--tls-key=b"], "--tls-key needs --tls-cert."),
    ],
)
def test_half_of_the_tls_files_is_refused(
    command: click.Command, seen: list[Settings], options: list[str], said: str
) -> None:
    """Status 2, and what is missing by name: nothing is served less safely than was meant."""
    result = invoke(command, *options)
    assert (result.exit_code, seen) == (2, [])
    assert said in result.stderr


@pytest.mark.parametrize("name", ["grpc_port", "http_port", "plaintext_health_port"])
@pytest.mark.parametrize("scheme", ["tcp", "udp", "sctp"])
def test_what_kubernetes_makes_of_a_service_is_no_port(
    command: click.Command, seen: list[Settings], name: str, scheme: str
) -> None:
    """Status 2: whose variable it is, and what turns it off. The flag goes over it."""
    link = f"{scheme}://10.0.0.1:8500"
    result = invoke(command, **{name: link})
    assert (result.exit_code, seen) == (2, [])
    service = "flatdense-" + name.removesuffix("_port").replace("_", "-")
    for said in (f"got {link}", f"a Service named {service}.", "enableServiceLinks: false"):
        assert said in result.stderr
    assert "Kubernetes" not in invoke(command, f"--{name.replace('_', '-')}={link}").stderr
    invoke(command, f"--{name.replace('_', '-')}=9", **{name: link})
    assert [getattr(each, name) for each in seen] == [9]


@pytest.mark.parametrize(("value", "reflection"), [("false", False), ("0", False), ("true", True)])
def test_reflection_is_on_until_it_is_turned_off(
    command: click.Command, seen: list[Settings], value: str, *, reflection: bool
) -> None:
    """--no-reflection and FLATDENSE_REFLECTION=false turn it off."""
    invoke(command)
    invoke(command, "--no-reflection")
    invoke(command, reflection=value)
    assert [each.reflection for each in seen] == [True, False, reflection]


words = st.text("abcXYZ019_-. /:", min_size=1).filter(str.strip)
paths = words.map(Path)
tls_files = st.fixed_dictionaries(
    {"tls_cert": paths, "tls_key": paths, "tls_client_ca": st.none() | paths}
)
no_tls = st.just(dict.fromkeys(("tls_cert", "tls_key", "tls_client_ca")))
plain_settings = st.builds(
    partial,
    st.just(Settings),
    host=words,
    http_host=st.none() | words,
    plaintext_health_port=st.none() | st.integers(0, 65535),
    token_file=st.none() | paths,
    grpc_port=st.integers(0, 65535),
    http_port=st.integers(0, 65535),
    model_dir=words.map(Path),
    cache_dir=words.map(Path),
    poll_interval_s=st.floats(0.01, 1e6),
    shadow_version=st.none() | st.integers(1, 1 << 40),
    shadow_fraction=st.floats(1e-6, 1),
    model_name=words,
    engine=st.sampled_from(["auto", "aot", "jit"]),
    device=st.sampled_from(["auto", "cpu", "gpu"]),
    max_batch_rows=st.integers(1, 65536),
    batch_wait_us=st.integers(0, 1_000_000),
    max_request_rows=st.integers(1, 65536),
    max_queued_rows=st.integers(1, 1 << 24),
    lane=st.sampled_from(["auto", "express", "standard"]),
    max_inflight=st.integers(1, 4096),
    max_streams=st.integers(1, 4096),
    max_connections=st.integers(1, 1 << 20),
    max_connection_age_s=st.none() | st.floats(1, 1e6),
    max_connection_age_grace_s=st.floats(0, 1e6),
    workers=st.integers(1, 1024),
    reflection=st.booleans(),
    model_control=st.booleans(),
    page=st.booleans(),
    prediction_health=st.booleans(),
    low_confidence=st.floats(0, 1),
    drift_window_s=st.floats(1, 1e6),
    drain_delay_s=st.floats(0, 1e6),
    grace_s=st.floats(0, 1e6),
    log_format=st.sampled_from(["text", "json"]),
    log_level=st.sampled_from(["debug", "info", "warning", "error"]),
    access_log_sample=st.floats(0, 1),
    traces=st.sampled_from(["off", "otlp"]),
)
settings = st.builds(lambda make, tls: make(**tls), plain_settings, tls_files | no_tls)


@given(settings=settings)
def test_the_printed_lines_are_an_environment_that_gives_the_same_settings(
    settings: Settings,
) -> None:
    """Whatever the settings, NAME=value read back as variables is the same settings."""
    seen: list[Settings] = []

    def run(settings: Settings) -> None:
        """Note the settings."""
        seen.append(settings)

    environment = dict(line.split("=", 1) for line in settings.lines())
    result = CliRunner().invoke(with_settings(run), [], env=environment)
    assert result.exit_code == 0, result.output
    assert seen == [settings]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grpc_port", "65536"),
        ("grpc_port", "-1"),
        ("http_port", "eighty"),
        ("engine", "cuda"),
        ("device", "tpu"),
        ("shadow_version", "0"),
        ("shadow_version", "canary"),
        ("shadow_fraction", "0"),
        ("shadow_fraction", "1.1"),
        ("max_batch_rows", "0"),
        ("max_batch_rows", "65537"),
        ("max_request_rows", "-5"),
        ("max_queued_rows", "1.5"),
        ("lane", "fast"),
        ("max_inflight", "0"),
        ("max_streams", "4097"),
        ("max_connections", "0"),
        ("max_connection_age_s", "0.9"),
        ("max_connection_age_s", "10000000.0"),
        ("max_connection_age_grace_s", "-1"),
        ("plaintext_health_port", "65536"),
        ("workers", "0"),
        ("low_confidence", "1.1"),
        ("low_confidence", "-0.1"),
        ("drift_window_s", "0.9"),
        ("drain_delay_s", "-0.1"),
        ("grace_s", "soon"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("access_log_sample", "1.5"),
        ("traces", "jaeger"),
    ],
)
def test_a_bad_value_ends_with_2_and_names_the_option(
    command: click.Command, seen: list[Settings], name: str, value: str
) -> None:
    """By flag or by variable: usage on standard error, the option and the value, no traceback."""
    flag = "--" + name.replace("_", "-")
    for result in (invoke(command, f"{flag}={value}"), invoke(command, **{name: value})):
        assert result.exit_code == 2
        assert f"'{flag}'" in result.stderr
        assert value in result.stderr
        assert "Traceback" not in result.output
    assert seen == []


def test_help_shows_each_options_variable_and_default(command: click.Command) -> None:
    """Every setting is in --help with its flag, its FLATDENSE_ variable and its default."""
    text = re.sub(r"\s+", " ", invoke(command, "--help").stdout)
    for name, _, default in TABLE:
        flag = "--" + name.replace("_", "-")
        said = DEFAULT_IN_WORDS.get(name, default)
        pattern = rf"{flag} .*?\[env var: {PREFIX}_{name.upper()}; default: {said}[;\]]"
        assert re.search(pattern, text), flag
    text = text.replace("- ", "-")  # of a word that is broken
    for name, default in ON_OR_OFF.items():
        flag = name.replace("_", "-")
        assert f"--{flag} / --no-{flag} " in text
        assert f"[env var: {PREFIX}_{name.upper()}; default: {default}]" in text


def test_one_worker_is_enough_for_a_gpu(command: click.Command, seen: list[Settings]) -> None:
    """It does the work of all cores, and its memory is not for several processes."""
    invoke(command, "--device", "gpu")
    assert [settings.workers for settings in seen] == [1]
