"""The `flatdense-server` command, as far as it goes without TensorFlow."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


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
    assert result.stderr.startswith("Error: ")
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


@pytest.mark.parametrize("use", ["grpc", "http"])
def test_a_port_in_use_is_refused_with_the_option_to_change(tmp_path: Path, use: str) -> None:
    """Before anything is loaded."""
    (tmp_path / "1").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run(
            *("--model-dir", str(tmp_path), "--grpc-port=0", "--http-port=0"),
            *(f"--{use}-port", str(port)),
        )
    check_refusal(result, f"127.0.0.1:{port} is in use", f"--{use}-port")
