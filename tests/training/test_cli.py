"""The command line, as far as it goes without training."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flatdense_training.cli import main
from flatdense_training.terminal.ending import describe_fault


def run(*arguments: str | Path, **environment: str) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(
        main, [str(argument) for argument in arguments], env=environment, catch_exceptions=False
    )


def test_help_imports_no_library_that_trains() -> None:
    """Asking for help loads neither TensorFlow nor Keras nor scikit-learn."""
    code = (
        "import sys; from flatdense_training.cli import main;"
        "main(['--help'], standalone_mode=False);"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'sklearn')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "FLATDENSE_DATA_DIR" in done.stdout


def test_every_option_has_its_variable_in_the_help() -> None:
    """The help names a FLATDENSE_ variable for each option that is a setting."""
    output = run("--help").output.replace("\n", " ")
    for option in main.params:
        # TF_CONFIG is TensorFlow's own name.
        if option.name not in {"version", "help", "tf_config"}:
            assert (
                f"FLATDENSE_{option.opts[0].removeprefix('--').replace('-', '_').upper()}" in output
            )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hidden", "0"], "0 is not in the range"),
        (["--epochs", "0"], "0 is not in the range"),
        (["--batch-rows", "-1"], "-1 is not in the range"),
        (["--learning-rate", "0"], "0.0 is not in the range"),
        (["--learning-rate", "nan"], "nan is not a finite number"),
        (["--learning-rate", "inf"], "inf is not a finite number"),
        (["--min-accuracy", "nan"], "nan is not a finite number"),
        (["--min-accuracy", "97"], "97.0 is not in the range"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--dataset", "cifar"], "'cifar' is not one of 'mnist', 'fashion-mnist', 'digits', and"),
        (["--dataset", "digits", "--dataset", "digits"], "digits is named twice"),
        (["--dataset", "."] * 2, "is named twice"),
        (["--dataset", "~nobody-of-that-name/x"], "Give the path in full"),
        (["--class-names", "a,b,a"], "class 2 is called 'a', as is class 0"),
        (["--class-names", "a,,b"], "which is empty"),
        (["--class-names", "a"], "has one class, 'a'"),
        (["--data-dir", "~nobody-of-that-name/x"], "Give the folder in full"),
    ],
)
def test_wrong_values(arguments: list[str], message: str) -> None:
    """A value that cannot be meant is refused as a usage error that says what is allowed."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_wrong_data_dir(tmp_path: Path) -> None:
    """A folder without the data ends the run at once, with its name and exit code 1."""
    result = run("--data-dir", tmp_path, "--model-dir", tmp_path / "models")
    assert result.exit_code == 1
    assert f"Error: {tmp_path} lacks t10k-images-idx3-ubyte" in result.output
    assert "Traceback" not in result.output


def test_data_dir_from_the_environment(tmp_path: Path) -> None:
    """FLATDENSE_DATA_DIR is --data-dir."""
    result = run("--model-dir", tmp_path / "models", FLATDENSE_DATA_DIR=str(tmp_path / "absent"))
    assert result.exit_code == 1
    assert "absent cannot be read" in result.output


def test_model_dir_is_looked_at_first(tmp_path: Path) -> None:
    """A model folder that cannot be written is reported before the data is read."""
    (tmp_path / "file").touch()
    result = run("--data-dir", tmp_path / "absent", "--model-dir", tmp_path / "file")
    assert result.exit_code == 1
    assert "file is not a folder" in result.output


def test_fault_report_keeps_the_traceback_off_the_screen() -> None:
    """An error that nobody foresaw becomes a sentence and a file."""
    try:
        1 / 0  # noqa: B018  # to have an error with a traceback
    except ZeroDivisionError as error:
        message = describe_fault(error, "Nothing was done.")
    report = Path(message.rsplit(" ", 1)[-1].rstrip("."))
    text = report.read_text()
    report.unlink()
    assert "Traceback" not in message
    assert "Traceback" in text
    assert "ZeroDivisionError" in message


def test_datasets_from_the_environment(tmp_path: Path) -> None:
    """FLATDENSE_DATASET names several, separated by spaces; a path among them is the user's own."""
    (tmp_path / "own").mkdir()
    result = run("--model-dir", tmp_path / "models", FLATDENSE_DATASET=f"digits {tmp_path / 'own'}")
    assert result.exit_code == 1
    assert f"Error: {tmp_path / 'own'} is empty" in result.output


def test_a_name_goes_before_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mnist` is the dataset, whatever lies here; `./mnist` is the folder."""
    (tmp_path / "mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    named = run("--dataset", "mnist", "--data-dir", tmp_path / "absent")
    assert "absent cannot be read" in named.output
    assert "Error: mnist is empty" in run("--dataset", "./mnist").output


def test_own_data_is_judged_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    """What is wrong with a user's data is told in a sentence, at once."""
    (tmp_path / "own").mkdir()
    code = (
        "import sys; sys.modules['tensorflow'] = None;"
        "from flatdense_training.cli import main; main(sys.argv[1:])"
    )
    options = ["--dataset", tmp_path / "own", "--model-dir", tmp_path / "models"]
    done = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"Error: {tmp_path / 'own'} is empty" in done.stderr
    assert "Traceback" not in done.stderr
