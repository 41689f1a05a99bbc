"""Surveys: made by a process of their own, kept in a cache, and refused in one sentence."""

import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flatdense_artifact import read_weights
from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.recognition import forward
from flatdense_server.engine.survey import survey
from flatdense_server.tensors import FLOAT32, Rows

pytestmark = pytest.mark.xdist_group("tensorflow")

Foreign = tuple[Path, Callable[[Rows], np.ndarray]]


@pytest.fixture(scope="module")
def model(foreign: Callable[[str], Foreign]) -> Path:
    """A SavedModel of Keras whose dense layers are recognised. Copy it before changing it."""
    return foreign("image")[0]


@pytest.fixture(scope="module")
def cache(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the survey of that SavedModel. Copy it before changing it."""
    cache_dir = tmp_path_factory.mktemp("cache")
    survey(model, cache_dir)
    return cache_dir


@pytest.fixture
def replace_tensorflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Gives every new process a TensorFlow that is one line of Python."""

    def replace(line: str) -> None:
        """It stands before the real one on the path."""
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / "tensorflow.py").write_text(line)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))

    return replace


@pytest.fixture
def no_surveyor(replace_tensorflow: Callable[[str], None]) -> None:
    """No survey can be made: what is found is from the cache."""
    replace_tensorflow("raise SystemExit('nobody may ask me')")


def test_a_survey_is_kept_with_the_weights(
    model: Path, cache: Path, draw_rows: Callable[..., Rows], foreign: Callable[[str], Foreign]
) -> None:
    """The folder that is given lies in the cache, and its weights give the model's answers."""
    found, folder = survey(model, cache)
    rows = draw_rows(9)
    answers = forward(read_weights(folder, ["hidden", "output"]), rows / FLOAT32.type(255))
    assert folder.parent == cache / "surveys"
    assert found.recognised
    np.testing.assert_allclose(answers, foreign("image")[1](rows), rtol=0, atol=1e-5)


def test_nothing_else_is_left_in_the_cache(model: Path, cache: Path) -> None:
    """One folder for one SavedModel, with the survey and the weights alone."""
    folder = survey(model, cache)[1]
    assert list((cache / "surveys").iterdir()) == [folder]
    assert {path.name for path in folder.iterdir()} == {"survey.json", "weights.safetensors"}


@pytest.mark.usefixtures("no_surveyor")
def test_a_saved_model_is_surveyed_once(model: Path, cache: Path, tmp_path: Path) -> None:
    """The same files, in whatever folder, are found in the cache: no process is asked."""
    copy = shutil.copytree(model, tmp_path / "copy")
    assert survey(copy, cache) == survey(model, cache)


@pytest.mark.usefixtures("no_surveyor")
def test_a_saved_model_that_changed_is_surveyed_again(
    model: Path, cache: Path, tmp_path: Path
) -> None:
    """One more file makes it another SavedModel, which the cache does not know."""
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "assets" / "more.txt").write_text("more")
    with pytest.raises(EngineError, match="nobody may ask me"):
        survey(copy, cache)


def lose_weights(folder: Path) -> None:
    """Removes the weights."""
    (folder / "weights.safetensors").unlink()


def alter_weights(folder: Path) -> None:
    """Changes the last weight."""
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")


def cut_survey(folder: Path) -> None:
    """Cuts the survey short."""
    path = folder / "survey.json"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [lose_weights, alter_weights, cut_survey])
@pytest.mark.usefixtures("no_surveyor")
def test_a_damaged_survey_is_not_believed(
    model: Path, cache: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """What is cut, altered or gone is made again, and nothing of it is served."""
    copy = shutil.copytree(cache, tmp_path / "cache")
    (folder,) = (copy / "surveys").iterdir()
    damage(folder)
    with pytest.raises(EngineError, match="nobody may ask me"):
        survey(model, copy)


def test_a_damaged_survey_is_replaced(model: Path, cache: Path, tmp_path: Path) -> None:
    """After it was made again, the cache holds the whole one, and it alone."""
    copy = shutil.copytree(cache, tmp_path / "cache")
    (folder,) = (copy / "surveys").iterdir()
    cut_survey(folder)
    assert survey(model, copy) == (survey(model, cache)[0], folder)
    assert list((copy / "surveys").iterdir()) == [folder]
    assert (folder / "survey.json").read_bytes() == (
        cache / "surveys" / folder.name / "survey.json"
    ).read_bytes()


def test_a_cache_that_cannot_be_written_is_no_failure(
    model: Path, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The survey is then in a temporary folder, with the same weights, and the log says so."""
    (tmp_path / "file").write_text("where the cache should be")
    with caplog.at_level(logging.WARNING):
        found, folder = survey(model, tmp_path / "file")
    kept, kept_folder = survey(model, cache)
    assert found == kept
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in kept_folder.iterdir()
    }
    assert "the survey is not kept" in caplog.messages


def test_the_surveyors_reason_is_the_error(
    export_module: Callable[..., Foreign], tmp_path: Path
) -> None:
    """What cannot be served is refused in the surveyor's sentence, and not kept."""
    folder, _ = export_module(lambda x: {"y": x[:, :11]})
    with pytest.raises(EngineError, match="its output y has 11 classes") as caught:
        survey(folder, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_saved_model_that_was_cut_short_is_refused(model: Path, tmp_path: Path) -> None:
    """It is named with TensorFlow's reason, and nothing of TensorFlow's own lines."""
    copy = shutil.copytree(model, tmp_path / "copy")
    graph = copy / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(EngineError, match="TensorFlow cannot load the SavedModel in") as caught:
        survey(copy, tmp_path / "cache")
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "raise ModuleNotFoundError('No module named tensorflow')",
            r'takes TensorFlow, .*Install it with: pip install "flatdense-server\[jit\]"',
        ),
        (
            f"import os; os.kill(os.getpid(), {signal.SIGSEGV:d})",
            r"TensorFlow crashed on the SavedModel in .* \(SIGSEGV\)",
        ),
        ("raise ValueError('what is this')", r"\(status 1\): ValueError: what is this"),
        ("raise SystemExit(0)", r"\(status 0\): it said nothing"),
    ],
)
def test_however_the_surveyor_ends_the_server_goes_on(
    model: Path,
    tmp_path: Path,
    replace_tensorflow: Callable[[str], None],
    line: str,
    reason: str,
) -> None:
    """No TensorFlow, a crash, or an end that nobody foresaw: one sentence that says which."""
    replace_tensorflow(line)
    with pytest.raises(EngineError, match=reason):
        survey(model, tmp_path / "cache")


def test_a_surveyor_that_does_not_end_is_ended(
    model: Path, tmp_path: Path, replace_tensorflow: Callable[[str], None]
) -> None:
    """After its time it is killed, and the error says how long that was."""
    replace_tensorflow("import signal; signal.pause()")
    with pytest.raises(EngineError, match=r"did not finish looking into .* in 0\.1 s"):
        survey(model, tmp_path / "cache", timeout_s=0.1)


def test_a_folder_without_a_saved_model_is_refused(tmp_path: Path) -> None:
    """It says what was expected there, before any process starts."""
    with pytest.raises(EngineError, match=r"holds no manifest\.json and no saved_model\.pb"):
        survey(tmp_path, tmp_path / "cache")


def test_no_temporary_folder_is_left(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    replace_tensorflow: Callable[[str], None],
) -> None:
    """Neither after a survey that is kept nor after one that failed."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    survey(model, tmp_path / "cache")
    replace_tensorflow("raise SystemExit(3)")
    with pytest.raises(EngineError, match="status 3"):
        survey(model, tmp_path / "other cache")
    assert list(temporary.iterdir()) == []


def test_the_server_needs_no_tensorflow_for_a_survey(model: Path, cache: Path) -> None:
    """A process that gets a survey from the cache has not imported TensorFlow."""
    code = (
        "import sys; from pathlib import Path; from flatdense_server.engine.survey import survey\n"
        f"survey(Path({str(model)!r}), Path({str(cache)!r}))\n"
        "sys.exit(any(name.partition('.')[0] in ('tensorflow', 'keras') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
