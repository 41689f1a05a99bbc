"""The wheel in a clean environment: what users install, and nothing of this workspace."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LOOK = """
import importlib.util, sys
import flatdense_client
unwanted = {"click", "rich", "PIL", "tensorflow", "keras", "flatdense_artifact"} & set(sys.modules)
assert not unwanted, unwanted
assert importlib.util.find_spec("tensorflow") is None
assert flatdense_client.__file__.startswith(sys.prefix), flatdense_client.__file__
try:
    flatdense_client.prepare_image(b"")
except ImportError as error:
    assert "pip install 'flatdense-client[images]'" in str(error), error
else:
    raise AssertionError("Pillow is there")
client = flatdense_client.Client("127.0.0.1:1")
try:
    client.classify([0] * 784)
except flatdense_client.Unavailable:
    print("fine")
"""


def _run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_the_wheel_needs_no_tensorflow(tmp_path: Path) -> None:
    """The wheels install into a clean environment, and the SDK and the command work there alone."""
    for package in ("proto", "client"):
        _run(
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", tmp_path / "dist", ROOT / package),
            cwd=tmp_path,
        )
    wheels = sorted((tmp_path / "dist").glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["flatdense_client", "flatdense_proto"]
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", *wheels, cwd=tmp_path)
    assert _run(python, "-I", "-c", LOOK, cwd=tmp_path) == "fine\n"
    told = _run(tmp_path / "venv" / "bin" / "flatdense", "--help", cwd=tmp_path)
    assert "classify" in told
    assert "status" in told
