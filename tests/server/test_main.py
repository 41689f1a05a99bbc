"""The `flatdense-server` command, as far as it goes without TensorFlow."""

import hashlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from flatdense_server.security.tokens import read_tokens


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with these FLATDENSE_ variables and no others."""
    environment = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 -- what a child starts with
        if not name.startswith("FLATDENSE_")
    }
    return subprocess.run(
        [sys.executable, "-m", "flatdense_server", *arguments],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def check_refusal(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    """It ended with 1 and one sentence that has these parts; the user saw no traceback."""
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if " starting  " not in line]
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


def test_print_config_prints_the_effective_settings() -> None:
    """One NAME=value a line, flags and variables applied, and nothing is started."""
    result = run("--print-config", "--grpc-port", "0", FLATDENSE_MODEL_NAME="digits")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert {"FLATDENSE_GRPC_PORT=0", "FLATDENSE_MODEL_NAME=digits"} <= set(lines)
    assert all(line.startswith("FLATDENSE_") for line in lines)


def test_a_variable_with_the_version_is_not_ours() -> None:
    """FLATDENSE_VERSION, as images and pods like to set it, changes nothing."""
    result = run("--print-config", FLATDENSE_VERSION="1.2.3")
    assert result.returncode == 0
    assert "FLATDENSE_HOST=127.0.0.1" in result.stdout


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_model_folder_without_versions_is_refused(tmp_path: Path, folder: str) -> None:
    """The folder is named, and what to do; at once, without loading TensorFlow."""
    (tmp_path / "empty").mkdir()
    result = run("--model-dir", str(tmp_path / folder), "--grpc-port=0", "--http-port=0")
    check_refusal(result, str(tmp_path / folder), "flatdense-train")


def test_flags_of_another_server_are_refused_with_ours() -> None:
    """One line and status 2, and nothing is started."""
    result = run("--port=8500", "--model_base_path=/models/mnist", "--model_name=mnist")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--grpc-port 8500 --model-dir /models/mnist --model-name mnist" in result.stderr


@pytest.mark.parametrize("model", ["mnist/1/model.savedmodel", "mnist/1"])
def test_a_folder_of_another_server_is_refused_with_what_to_point_at(
    tmp_path: Path, model: str
) -> None:
    """Triton's repository, and TensorFlow Serving's folder of models: not their versions."""
    (tmp_path / model).mkdir(parents=True)
    (tmp_path / model / "saved_model.pb").write_bytes(b"")
    result = run("--model-dir", str(tmp_path), "--grpc-port=0", "--http-port=0")
    check_refusal(result, f"The model folder {tmp_path} has models in it", "Here it is --model-dir")


def test_a_token_is_shown_once_and_its_line_is_for_the_file(tmp_path: Path) -> None:
    """The line on standard output, ready to be appended; the token beside it, for its owner."""
    result = run("--make-token", "alice:admin")
    assert result.returncode == 0
    assert re.fullmatch(r"alice admin sha256:[0-9a-f]{64}\n", result.stdout)
    token = result.stderr.splitlines()[-1]
    assert re.fullmatch(r"fd_[A-Za-z0-9_-]{43}", token)
    (tmp_path / "tokens").write_text(result.stdout)
    (known,) = read_tokens(tmp_path / "tokens")
    assert known.digest == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize(("wanted", "said"), [("al ice", "the name"), ("alice:root", "the scope")])
def test_a_token_that_no_file_could_have_is_not_made(wanted: str, said: str) -> None:
    """Status 2 and what was expected."""
    result = run("--make-token", wanted)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--tls-cert=cert.pem", "--tls-key=key.pem"], ["--tls-cert cert.pem: No such file"]),
        (["--token-file=tokens"], ["--token-file tokens: No such file"]),
        (["--token-file=."], ["--token-file .: Is a directory"]),
    ],
)
def test_files_of_security_that_cannot_be_used_end_it(options: list[str], parts: list[str]) -> None:
    """Before a port is bound: nothing is ever served less safely than was meant."""
    result = run(*options, "--grpc-port=0", "--http-port=0")
    check_refusal(result, *parts)
    assert len(result.stderr.splitlines()) == 1


def test_settings_are_printed_with_paths_alone(tmp_path: Path) -> None:
    """Nothing of what is in the files is read, or shown."""
    path = tmp_path / "tokens"
    path.write_text("secret")
    result = run("--print-config", "--token-file", str(path))
    assert result.returncode == 0
    assert f"FLATDENSE_TOKEN_FILE={path}" in result.stdout
    assert "secret" not in result.stdout


def test_a_server_without_tls_imports_nothing_of_it() -> None:
    """Its start-up and its memory are what they were; so are a worker's, with TLS too."""
    modules = "flatdense_server.__main__, flatdense_server.worker, flatdense_server.http.app"
    code = f"import sys, {modules}; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("use", ["grpc", "http", "plaintext-health"])
def test_a_port_in_use_is_refused_with_the_option_to_change(tmp_path: Path, use: str) -> None:
    """Before anything is loaded."""
    (tmp_path / "1").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run(
            *("--model-dir", str(tmp_path), "--grpc-port=0", "--http-port=0"),
            *(f"--{use}-port", str(port)),
        )
    assert f"FLATDENSE_{use.upper().replace('-', '_')}_PORT" in result.stderr
    check_refusal(result, f"127.0.0.1:{port} is in use", f"--{use}-port")
