"""The generated code is what `make proto` writes."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("package", ["v1", "twin"])
def test_the_generated_code_is_up_to_date(repository: Path, tmp_path: Path, package: str) -> None:
    """Generating again gives the checked-in files, byte for byte."""
    script = repository / "proto" / "generate.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=120)
    generated = Path("flatdense_proto") / package
    checked_in = repository / "proto" / "src" / generated
    fresh = {path.name: path.read_bytes() for path in (tmp_path / generated).glob("*_pb2*")}
    assert fresh == {path.name: path.read_bytes() for path in checked_in.glob("*_pb2*")}
    assert fresh
