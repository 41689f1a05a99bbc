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
        [*COMMAND, f"--model-dir={model_dir}", f"--cache-dir={tmp_path / 'cache'}"],
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
    assert errors == (
        f"\nInterrupted. No unfinished export is left in {model_dir}. "
        "The same command with --resume goes on from here.\n"
    )
    assert not model_dir.exists()


def test_stopped_in_export(tmp_path: Path) -> None:
    """Stopped while it writes, a run leaves a whole version or nothing."""
    models = tmp_path / "models"
    models.mkdir()
    arguments = [
        *COMMAND[:-1],
        "--epochs=1",
        "--min-accuracy=0",
        f"--model-dir={models}",
        f"--cache-dir={tmp_path / 'cache'}",
    ]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stderr is not None
        assert any("Result" in line for line in job.stdout)
        while job.poll() is None and not any(models.iterdir()):
            continue
        job.send_signal(signal.SIGINT)
        errors = job.stderr.read()
        job.wait(timeout=60)
    assert "Traceback" not in errors
    left = [entry.name for entry in models.iterdir()]
    if job.returncode == 130:
        assert left in ([], ["1"])
    else:
        assert (job.returncode, left) == (0, ["1"])
    for name in left:
        verify_files(models / name, read_manifest(models / name).files)


def test_killed_and_resumed(tmp_path: Path) -> None:
    """After `kill -9`, the same command with --resume exports the weights of an unbroken run."""
    cache = tmp_path / "cache"

    def command(models: str, cache_dir: Path, *options: str) -> list[str]:
        """A run of several seconds, which distorts images."""
        return [
            *COMMAND[:-1],
            "--epochs=400",
            "--no-report-digits",
            f"--model-dir={tmp_path / models}",
            f"--cache-dir={cache_dir}",
            *options,
        ]

    with subprocess.Popen(command("broken", cache), stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        # A line of the run is the sign to look.
        assert any(list(cache.glob("checkpoints/*/student-*.checkpoint")) for _ in job.stdout)
        job.kill()
    assert not (tmp_path / "broken").exists()
    resumed = subprocess.run(
        command("broken", cache, "--resume"), capture_output=True, text=True, check=True
    )
    assert "goes on after epoch" in resumed.stdout
    subprocess.run(
        command("whole", tmp_path / "other-cache"), capture_output=True, text=True, check=True
    )
    broken, whole = (
        (tmp_path / name / "1" / "weights.safetensors").read_bytes() for name in ("broken", "whole")
    )
    assert broken == whole
    assert not list(cache.glob("checkpoints/*/*.checkpoint"))
