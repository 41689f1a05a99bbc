"""The generated code is what `make proto` writes."""

import subprocess
import sys
from pathlib import Path

GENERATED = "flatdense_proto/v1"


def test_the_generated_code_is_up_to_date(repository: Path, tmp_path: Path) -> None:
    """Generating again gives the checked-in files, byte for byte."""
    script = repository / "proto" / "generate.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=120)
    checked_in = repository / "proto" / "src" / GENERATED
    fresh = {path.name: path.read_bytes() for path in (tmp_path / GENERATED).glob("*_pb2*")}
    assert fresh == {path.name: path.read_bytes() for path in checked_in.glob("*_pb2*")}
    assert fresh
