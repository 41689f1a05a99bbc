"""What the Tab key offers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flatdense_proto.v1 import classifier_pb2 as pb

COMMANDS = {"classify", "completion", "explain", "model", "status", "wait-ready"}

COMMAND = Path(sys.executable).with_name("flatdense")

SHELLS = ["bash", "zsh", "fish"]


def _flatdense(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(COMMAND.parent), os.defpath])
    return subprocess.run(
        [COMMAND, *arguments],
        env={"PATH": path, "PYTHONUTF8": "1", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _offered(words: list[str], shell: str = "bash", **variables: str) -> list[str]:
    """What the shell is given for the last word, which is begun."""
    # fish sends the begun word itself where the others send its number.
    word = words[-1] if shell == "fish" else str(len(words) - 1)
    told = {"_FLATDENSE_COMPLETE": f"{shell}_complete", "COMP_CWORD": word}
    done = _flatdense(COMP_WORDS=" ".join(words), **told, **variables)
    assert done.stderr == ""
    if shell == "zsh":  # three lines each: kind, value, help
        return done.stdout.splitlines()[1::3]
    values = [line.partition(",")[2] for line in done.stdout.splitlines() if line]
    return [value.partition("\t")[0] for value in values]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str) -> None:
    """The script names the command and the variable through which the shell asks it."""
    done = _flatdense("completion", shell)
    assert done.returncode == 0, done.stderr
    assert f"_FLATDENSE_COMPLETE={shell}_complete" in done.stdout
    assert "flatdense" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_offered(shell: str) -> None:
    """Every command is offered, and a begun one is completed."""
    assert set(_offered(["flatdense", ""], shell)) >= COMMANDS
    assert _offered(["flatdense", "cl"], shell) == ["classify"]


@pytest.mark.parametrize("shell", SHELLS)
def test_labels_and_versions_are_the_servers(
    shell: str, address: str, described: pb.GetModelResponse
) -> None:
    """The server is asked for the versions that there are, and for their labels."""
    described.versions.add(version=1, state="ready", labels=["previous", "stable"])
    described.versions.add(version=12, state="loading")
    begun = ["flatdense", "classify", "--model-version"]
    assert _offered([*begun, ""], shell, FLATDENSE_SERVER=address) == ["1", "12"]
    assert _offered([*begun, "12"], shell, FLATDENSE_SERVER=address) == ["12"]
    begun = ["flatdense", "explain", "--server", address, "--model-label"]
    assert _offered([*begun, ""], shell) == ["previous", "stable"]
    assert _offered([*begun, "s"], shell) == ["stable"]


@pytest.mark.parametrize("server", ["127.0.0.1:1", "no address"])
def test_no_server_is_no_offer(server: str) -> None:
    """Where the server does not answer there is nothing to offer, and nobody is told of it."""
    assert _offered(["flatdense", "status", "--model-label", ""], FLATDENSE_SERVER=server) == []


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_completes() -> None:
    """Bash itself, with the script that it was given, completes a command and an option."""
    script = """
        eval "$(flatdense completion bash)"
        COMP_WORDS=(flatdense wait) COMP_CWORD=1
        _flatdense_completion flatdense
        echo "${COMPREPLY[@]}"
        COMPREPLY=()
        COMP_WORDS=(flatdense classify --no-p) COMP_CWORD=2
        _flatdense_completion flatdense
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={"PATH": os.pathsep.join([str(COMMAND.parent), os.defpath])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["wait-ready", "--no-picture"]
    assert done.stderr == ""
