"""A run that is stopped half-way."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flatdense_artifact import read_manifest, verify_files

# A test run in the background of a shell has Ctrl-C ignored, and would hand that on.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from flatdense_training.cli import main; main()"
)
COMMAND = [
    sys.executable,
    "-c",
    PROGRAM,
    "--dataset=digits",
    "--hidden=16",
    "--compile=no",
    "--epochs=100000",
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_training(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or a polite kill ends the run with 130, one sentence, no traceback and no export."""
    model_dir = tmp_path / "models"
    with subprocess.Popen(
        [*COMMAND, f"--model-dir={model_dir}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout is not None
        assert job.stderr is not None
        assert any("epoch" in line and "loss" in line for line in job.stdout)
        job.send_signal(number)
        errors = job.stderr.read()
        assert job.wait(timeout=60) == 130
    assert errors == f"\nInterrupted. No unfinished export is left in {model_dir}.\n"
    assert not model_dir.exists()


def test_stopped_in_export(tmp_path: Path) -> None:
    """Stopped while it writes, a run leaves a whole version or nothing."""
    arguments = [*COMMAND[:-1], "--epochs=1", "--min-accuracy=0", f"--model-dir={tmp_path}"]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stderr is not None
        assert any("Result" in line for line in job.stdout)
        while job.poll() is None and not any(tmp_path.iterdir()):
            continue
        job.send_signal(signal.SIGINT)
        errors = job.stderr.read()
        job.wait(timeout=60)
    assert "Traceback" not in errors
    left = [entry.name for entry in tmp_path.iterdir()]
    if job.returncode == 130:
        assert left in ([], ["1"])
    else:
        assert (job.returncode, left) == (0, ["1"])
    for name in left:
        verify_files(tmp_path / name, read_manifest(tmp_path / name).files)
