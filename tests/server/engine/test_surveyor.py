"""The surveyor's process."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_it_ends_when_the_server_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for nobody: the pipe that the server held closes, and the process is gone."""
    (tmp_path / "tensorflow.py").write_text("import signal; signal.pause()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "flatdense_server.engine.surveyor", tmp_path, tmp_path],
        stdin=subprocess.PIPE,
    )
    process.stdin.close()
    assert process.wait(60) == 1
