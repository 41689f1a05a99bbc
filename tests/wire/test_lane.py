"""The lane on the releases of grpcio that are declared: it uses what grpcio does not promise."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import trustme

CONTRACT = Path(__file__).with_name("lane_contract.py")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """For localhost, and its key: files."""
    made = trustme.CA().issue_cert("localhost")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for blob in made.cert_chain_pems:
        blob.write_to_path(files[0], append=True)
    made.private_key_pem.write_to_path(files[1])
    return files


def run_contract(certificate: tuple[Path, Path], *path: Path) -> str:
    """The contract in a process of its own, with folders before its path; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", CONTRACT, *certificate],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},  # noqa: TID251
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def oldest(repository: Path) -> str:
    """The oldest grpcio that the server declares."""
    project = tomllib.loads((repository / "server" / "pyproject.toml").read_text())["project"]
    (declared,) = (line for line in project["dependencies"] if re.match(r"grpcio\b(?!-)", line))
    return declared.removeprefix("grpcio>=")


def test_the_lane_keeps_its_promises_on_the_installed_grpcio(
    repository: Path, certificate: tuple[Path, Path]
) -> None:
    """The newest that the constraints name: answers, refusals, deadlines, ends."""
    constraints = (repository / "constraints.txt").read_text()
    assert f"grpcio=={run_contract(certificate)}\n" in constraints


def test_the_lane_keeps_its_promises_on_the_oldest_grpcio(
    oldest: str, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """The oldest that is declared, installed aside."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        tmp_path / "g",
    ]
    subprocess.run([*pip, f"grpcio=={oldest}"], check=True, timeout=250)
    assert run_contract(certificate, tmp_path / "g") == oldest
