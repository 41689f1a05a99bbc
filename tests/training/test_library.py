"""flatdense-train --compile: the library after the export."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flatdense_training.cli import main

pytestmark = pytest.mark.xdist_group("aot")

QUICK = ("--dataset=digits", "--epochs=1", "--min-accuracy=0")


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """Where the versions go."""
    return tmp_path / "models"


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """An empty cache."""
    return tmp_path / "cache"


def run(*options: str, path: str | None = None) -> Result:
    """Runs the command in this process, with a PATH."""
    environment = {} if path is None else {"PATH": path}
    return CliRunner().invoke(main, [*QUICK, *options], env=environment, catch_exceptions=False)


def left(folder: Path) -> list[Path]:
    """Every file in a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_without_a_compiler_yes_is_refused_at_once(
    tmp_path: Path, model_dir: Path, cache_dir: Path
) -> None:
    """Where the library is insisted on and cannot be made, nothing is trained."""
    result = run(
        "--compile=yes", f"--model-dir={model_dir}", f"--cache-dir={cache_dir}", path=str(tmp_path)
    )
    assert result.exit_code == 1
    assert "There is no C++ compiler" in result.output
    assert "Data" not in result.output
    assert not model_dir.exists()


def test_without_a_compiler_auto_exports(tmp_path: Path, model_dir: Path, cache_dir: Path) -> None:
    """The version is exported, and a line says why there is no library and what serves it."""
    result = run(f"--model-dir={model_dir}", f"--cache-dir={cache_dir}", path=str(tmp_path))
    assert result.exit_code == 0
    (line,) = (line for line in result.output.splitlines() if "Not compiled" in line)
    assert f"the jit engine will serve {model_dir / '1'}, which is exported" in line
    assert "There is no C++ compiler" in line
    assert (model_dir / "1" / "manifest.json").exists()


@pytest.mark.parametrize(("choice", "status"), [("auto", 0), ("yes", 1)])
def test_a_failure_leaves_the_version(
    model_dir: Path, cache_dir: Path, broken_compiler: Path, choice: str, status: int
) -> None:
    """Where compiling fails the version stays and is named; only `yes` makes it a failure."""
    result = run(
        f"--compile={choice}",
        f"--model-dir={model_dir}",
        f"--cache-dir={cache_dir}",
        path=f"{broken_compiler}:{os.defpath}",
    )
    assert result.exit_code == status
    told = [line for line in result.output.splitlines() if "exported" in line]
    assert str(model_dir / "1") in told[-1]
    assert "no space left" in result.output
    assert ("only its compiled library is missing" in told[-1]) == (choice == "yes")
    assert (model_dir / "1" / "manifest.json").exists()
    assert left(cache_dir) == []


def test_no_compiles_nothing(model_dir: Path, cache_dir: Path) -> None:
    """With `no` there is no word of a library, and nothing is left in the cache."""
    result = run("--compile=no", f"--model-dir={model_dir}", f"--cache-dir={cache_dir}")
    assert result.exit_code == 0
    assert "Library" not in result.output
    assert not [path for path in cache_dir.rglob("*") if path.is_file()]


def test_the_server_library_is_up_to_date(compiled: Path, model_dir: Path) -> None:
    """The library that is wanted is the one that flatdense-compile makes by its defaults."""
    result = run("--compile=yes", f"--model-dir={model_dir}")
    assert result.exit_code == 0
    assert f"  {compiled} is up to date\n" in result.output


def test_ctrl_c_in_the_compilation(model_dir: Path, cache_dir: Path, held_compiler: Path) -> None:
    """Ctrl-C after the export: 130, what stands and what is gone, and both are true."""
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from flatdense_training.cli import main; main()"
    )
    with subprocess.Popen(
        [
            *(sys.executable, "-c", program, *QUICK),
            *(f"--model-dir={model_dir}", f"--cache-dir={cache_dir}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{held_compiler}:{os.defpath}"},  # noqa: TID251 -- handed on
    ) as job:
        (held_compiler / "started").read_text()
        job.send_signal(signal.SIGINT)
        output, errors = job.communicate(timeout=120)
    assert job.returncode == 130
    version = model_dir / "1"
    assert errors == (
        f"\nInterrupted. {version} is exported. No unfinished library is left in {cache_dir}.\n"
    )
    assert "Compiling 784-256-10" in output
    assert (version / "manifest.json").exists()
    assert left(cache_dir) == []
