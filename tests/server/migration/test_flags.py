"""Another server's command line is answered by ours."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flatdense_server.migration import SERVERS, explain_arguments
from flatdense_server.migration.flags import join, read_flags
from flatdense_server.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

NAMES = [
    name for server in SERVERS for row in server.table if not row.are_ours for name in row.names
]
OURS = ["--host=::1", "--grpc-port=1", "--model-dir", "x", "--no-reflection", "--log-format=json"]

values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)


def read_command(explained: str) -> str:
    """The command line that a line ends with."""
    return explained.rpartition("Here it is ")[2]


def test_one_flag_is_one_line_and_status_2(refuse: Callable[[str], Result]) -> None:
    """The flag as it came, whose it is, what to say here; no usage before it."""
    result = refuse("--model_base_path=/models/mnist --model_name=digits")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: --model_base_path=/models/mnist --model_name=digits: those are TensorFlow "
        "Serving's. Here it is --model-dir /models/mnist --model-name digits\n"
    )


@pytest.mark.parametrize("line", ["--prt=8500", "--port_=1", "-p 8500", "model_base_path"])
def test_a_slip_of_our_own_is_answered_by_the_usage(
    refuse: Callable[[str], Result], line: str
) -> None:
    """What is nobody's flag is refused as ever."""
    result = refuse(line)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")


@given(given=st.lists(st.sampled_from(OURS)))
def test_our_own_flags_are_not_explained(given: list[str]) -> None:
    """A line without another server's flag has no explanation."""
    assert explain_arguments(given) is None


@given(
    given=st.lists(st.tuples(st.sampled_from(NAMES), st.none() | values), min_size=1, max_size=5)
)
def test_whatever_their_values_flags_get_one_line(given: list[tuple[str, str | None]]) -> None:
    """Every flag is in it, beside an option, a reason, or the way to leave it out."""
    arguments = [f"--{name}" if value is None else f"--{name}={value}" for name, value in given]
    explained = explain_arguments(arguments)
    assert explained
    assert "\n" not in explained
    head, _, answer = explained.partition(": th")
    assert answer
    for name, _ in given:
        assert f"--{name}" in head


@given(
    port=st.integers(0, 65535),
    http_port=st.integers(1, 65535),
    name=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    folder=values.map(lambda text: Path("/", text)),
    seconds=st.integers(1, 1000),
)
def test_a_line_of_tensorflow_serving_gives_the_same_settings(
    parse: Callable[[str], Settings],
    port: int,
    http_port: int,
    name: str,
    folder: Path,
    seconds: int,
) -> None:
    """Values are carried over, whatever a shell would make of them: our command takes them."""
    explained = explain_arguments(
        [
            *(f"--port={port}", f"--rest_api_port={http_port}", "--enable_batching=true"),
            *(f"--model_name={name}", f"--model_base_path={folder}"),
            *("--file_system_poll_wait_seconds", str(seconds)),
        ]
    )
    assert explained
    settings = parse(read_command(explained))
    assert (settings.grpc_port, settings.http_port) == (port, http_port)
    assert (settings.model_name, settings.model_dir) == (name, folder)
    assert settings.poll_interval_s == seconds


def test_a_line_of_triton_gives_the_same_settings(
    parse: Callable[[str], Settings], tmp_path: Path
) -> None:
    """With values after a sign or in words of their own; what has the same name stays."""
    (tmp_path / "digits" / "1").mkdir(parents=True)
    explained = explain_arguments(
        [
            *("--model-repository", str(tmp_path), "--grpc-port=8001", "--allow-http", "true"),
            *("--http-address=0.0.0.0", "--grpc-address=0.0.0.0", "--exit-timeout-secs", "30"),
            *("--repository-poll-secs=15", "--log-verbose=1", "--load-model=digits"),
        ]
    )
    assert explained
    settings = parse(f"{read_command(explained)} --grpc-port=8001")
    assert settings.model_dir == tmp_path / "digits"
    assert (settings.model_name, settings.host) == ("digits", "0.0.0.0")
    assert (settings.grace_s, settings.poll_interval_s) == (30, 15)
    assert (settings.log_level, settings.grpc_port) == ("debug", 8001)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--rest_api_port=0", "HTTP is always on"),
        ("--model_base_path=gs://bucket/m", "must be local or mounted"),
        ("--model_base_path=/m", "--model-name default"),
        ("--model_base_path=/m --model-name x", "Here it is --model-dir /m\n"),
        ("--file_system_poll_wait_seconds=0", "--poll-interval-s 1000000"),
        ("--enable_batching", "--enable_batching is not needed: "),
        ("--ssl_config_file=/s", "--ssl_config_file is not offered: "),
        ("--trace-rate=1 --trace-level=OFF", "--trace-level and --trace-rate are not offered."),
        ("--model-control-mode=explicit", "Here it is --model-control\n"),
        ("--model-control-mode=none", "always followed"),
        ("--load-model=a --load-model=b", "start another server for b"),
        ("--load-model=*", "Leave it out."),
        ("--log-verbose=0", "Leave it out."),
        ("--log-info=false", "--log-level warning"),
        ("--log-info=false --log-warning=0", "--log-level error"),
        ("--log-info=true", "Leave it out."),
        ("--grpc-max-connection-age=90500", "--max-connection-age-s 90.5"),
        ("--grpc-max-connection-age-grace=soon", "--max-connection-age-grace-s soon"),
        ("--port=1 --id=x", "TensorFlow Serving's and Triton's"),
        ("--port", "Here it is --grpc-port\n"),
    ],
)
def test_values_with_a_meaning_of_their_own(line: str, said: str) -> None:
    """What cannot simply be carried over is said."""
    assert said in f"{explain_arguments(line.split())}\n"


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ([], []),
        (["--a=1", "--b", "2", "--c", "--d="], [("a", "1"), ("b", "2"), ("c", ""), ("d", "")]),
        (["--a=b=c", "x", "--d"], [("a", "b=c"), ("d", "")]),
    ],
)
def test_a_value_follows_a_sign_or_is_the_next_word(
    arguments: list[str], flags: list[tuple[str, str]]
) -> None:
    """As both servers, and ours, read them."""
    assert list(read_flags(arguments)) == flags


def test_words_are_joined_as_they_are_said() -> None:
    """One, two, three."""
    assert [join("a"), join("ab"), join("abc")] == ["a", "a and b", "a, b and c"]


def test_a_server_that_starts_imports_none_of_it() -> None:
    """Neither the command nor a worker: only a flag or a folder that is met."""
    code = (
        "import sys, flatdense_server.__main__, flatdense_server.worker\n"
        "sys.exit(any('migration' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
