"""`flatdense-train --compare`."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from flatdense_artifact import WEIGHTS_NAME, Weights, digest_files, write_manifest, write_weights
from flatdense_training.cli import main
from flatdense_training.data.checksums import digest_array
from flatdense_training.data.datasets import (
    DIGITS,
    FASHION_MNIST,
    TEST_LABELS,
    TRAIN_LABELS,
    Dataset,
)
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.idx import UInt8
from flatdense_training.data.split import Splits, split
from flatdense_training.judge.evaluate import evaluate
from flatdense_training.judge.forward import classifier
from flatdense_training.judge.mcnemar import Contest
from flatdense_training.terminal.comparison_tables import verdict
from made_run import describe_run, draw_weights, fit_output
from msgspec.structs import replace

SMALL, LARGE = 8, 200


@pytest.fixture(scope="module")
def splits() -> Splits:
    """The embedded digits."""
    return split(DIGITS, read_embedded(), seed=0)


@pytest.fixture(scope="module")
def fitted(splits: Splits) -> dict[int, Weights]:
    """A poor network and a better one: width -> weights."""
    return {
        hidden: fit_output(draw_weights(hidden=hidden), splits.train) for hidden in (SMALL, LARGE)
    }


@pytest.fixture
def write_version(tmp_path: Path, fitted: dict[int, Weights]) -> Callable[..., Path]:
    """Writes a version without a SavedModel, which a comparison never opens."""

    def write(
        number: int,
        hidden: int = SMALL,
        *,
        dataset: Dataset = DIGITS,
        classes: tuple[str, ...] = DIGITS.class_names,
    ) -> Path:
        """Gives its folder."""
        folder = tmp_path / str(number)
        folder.mkdir()
        write_weights(folder, fitted[hidden])
        manifest = describe_run(dataset, hidden=hidden, classes=classes)
        write_manifest(folder, replace(manifest, files=digest_files(folder)))
        return folder

    return write


def compare(model_dir: Path, *arguments: str | Path) -> Result:
    """Runs the command in this process."""
    command = ["--model-dir", str(model_dir), "--compare", *map(str, arguments)]
    return CliRunner().invoke(main, command, catch_exceptions=False)


def test_side_by_side(
    tmp_path: Path,
    write_version: Callable[..., Path],
    fitted: dict[int, Weights],
    splits: Splits,
) -> None:
    """Each figure, and the verdict, is that of the versions' own answers to the test images."""
    write_version(1, SMALL)
    write_version(2, LARGE)
    result = compare(tmp_path, "1", "2")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    first, second = (evaluate(classifier(fitted[hidden]), splits.test) for hidden in (SMALL, LARGE))
    gain = second.accuracy - first.accuracy
    assert f"accuracy {first.accuracy:.4f} {second.accuracy:.4f} {gain:+.4f}" in lines
    assert any(
        line.startswith(f"loss in nats {first.loss:.4f} {second.loss:.4f}") for line in lines
    )
    both = np.count_nonzero(first.hits & second.hits)
    assert f"Version 1 right {both} {first.correct - both}" in lines
    lead = second.correct - first.correct
    assert lead > 30
    assert any(
        line.startswith(f"Version 2 is right about {lead} more images than version 1.")
        and line.endswith("the difference is real.")
        for line in lines
    )
    assert sum(line.startswith("recall of ") for line in lines) == 10
    assert any(line.startswith("rotation 15 degrees 0.") for line in lines)


def test_needs_no_tensorflow(tmp_path: Path, write_version: Callable[..., Path]) -> None:
    """A comparison loads neither TensorFlow nor Keras."""
    write_version(1)
    write_version(2)
    code = (
        "import sys; from flatdense_training.cli import main\n"
        f"try: main(['--model-dir', {str(tmp_path)!r}, '--compare', '1', '2'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Both are right about the very same images" in done.stdout


def test_absent_version(tmp_path: Path, write_version: Callable[..., Path]) -> None:
    """A version that is not there is refused, and those that are there are named."""
    write_version(1)
    write_version(4)
    result = compare(tmp_path, "1", "3")
    assert result.exit_code == 1
    assert f"{tmp_path} has no version 3. It has 1, 4." in result.output


def test_no_versions(tmp_path: Path) -> None:
    """A folder without versions is refused, with what to do."""
    result = compare(tmp_path / "absent", "1", "2")
    assert result.exit_code == 1
    assert "Name one that holds an exported model, or run flatdense-train." in result.output


def test_damaged_version(tmp_path: Path, write_version: Callable[..., Path]) -> None:
    """A version whose files are not those of its manifest is refused, with the file's name."""
    write_version(1)
    (write_version(2) / WEIGHTS_NAME).write_bytes(b"not weights")
    result = compare(tmp_path, "1", "2")
    assert result.exit_code == 1
    assert f"{WEIGHTS_NAME} was altered or cut short" in result.output


def test_different_data(tmp_path: Path, write_version: Callable[..., Path]) -> None:
    """Versions that were trained on different data are not compared."""
    write_version(1)
    write_version(2, dataset=FASHION_MNIST)
    result = compare(tmp_path, "1", "2")
    assert result.exit_code == 1
    assert "Version 1 was trained on digits, and version 2 on fashion-mnist" in result.output


def test_different_classes(tmp_path: Path, write_version: Callable[..., Path]) -> None:
    """Versions with different classes are not compared."""
    write_version(1)
    write_version(2, classes=tuple("abcdefghij"))
    result = compare(tmp_path, "1", "2")
    assert result.exit_code == 1
    assert "version 2 has a, b, c" in result.output


def test_other_data_than_theirs(
    tmp_path: Path, write_version: Callable[..., Path], tiny: Dataset
) -> None:
    """Versions trained on data that nobody knows by name are compared on that data alone."""
    for number in (1, 2):
        write_version(number, dataset=tiny)
    result = compare(tmp_path, "1", "2", "--dataset", "digits")
    assert result.exit_code == 1
    assert "The versions were trained on tiny" in result.output
    assert "Name the data that they were trained on by --dataset." in result.output


def test_own_data(
    tmp_path: Path,
    write_version: Callable[..., Path],
    tiny: Dataset,
    write_idx: Callable[..., Path],
    arrays: dict[str, UInt8],
) -> None:
    """Versions trained on a user's own data are compared on its test images, where it is named."""
    for name in (TRAIN_LABELS, TEST_LABELS):  # every class must be there
        arrays[name] = (np.arange(len(arrays[name])) % 10).astype(np.uint8)
    own = dataclasses.replace(
        tiny, sha256={name: digest_array(array) for name, array in arrays.items()}
    )
    for number in (1, 2):
        write_version(number, dataset=own)
    folder = write_idx(tmp_path / "own", gzipped=False)
    result = compare(tmp_path, "1", "2", "--dataset", folder)
    assert result.exit_code == 0, result.output
    assert f"{len(arrays[TEST_LABELS])} to test" in result.output


@pytest.mark.parametrize(
    ("only_first", "only_second", "words"),
    [
        (0, 0, "Both are right about the very same images"),
        (5, 5, "this test sees no difference"),
        (40, 4, "Version 3 is right about 36 more images than version 8. Two equally good"),
        (40, 4, "in fewer than 1 of 10,000 such tests"),
        (40, 4, "the difference is real."),
        (30, 50, "Version 8 is right about 20 more images than version 3."),
        (30, 50, "in 330 of 10,000 such tests"),
        (5, 7, "in 77 of 100 such tests"),
        (5, 7, "p = 0.77): the difference may well be chance."),
    ],
)
def test_verdict(only_first: int, only_second: int, words: str) -> None:
    """The sentence names the better version, the odds of chance, and what follows."""
    contest = Contest(both=900, only_first=only_first, only_second=only_second, neither=10)
    assert words in verdict((3, 8), contest)
