"""`tensorflow-serving-api`, unchanged, in an environment of its own, against a running server."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import ServerProcess

CONTRACT = Path(__file__).with_name("serving_contract.py")


@pytest.mark.xdist_group("stock")
@pytest.mark.timeout(300)
def test_the_stock_stubs_get_what_they_expect(
    server: ServerProcess, exported_model: Path, repository: Path, aside: Callable[[str], Path]
) -> None:
    """Every law of serving_contract.py holds in the one process that has TensorFlow."""
    path = {"PYTHONPATH": str(aside("tensorflow_serving"))}
    done = subprocess.run(
        [sys.executable, CONTRACT, server.address, exported_model / "1"],
        cwd=repository,
        env={**os.environ, **path},  # noqa: TID251 -- handed on, not read
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
