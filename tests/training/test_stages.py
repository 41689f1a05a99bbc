"""The stages of a run with a teacher, stopped and resumed."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from flatdense_artifact import read_manifest
from flatdense_training.data.datasets import DIGITS
from flatdense_training.errors import RunUnderWay
from flatdense_training.fit.checkpoints import Checkpoint, Checkpoints
from flatdense_training.fit.distortion import Distortion
from flatdense_training.fit.plan import Plan
from flatdense_training.fit.presets import Preset
from flatdense_training.fit.recipe import Recipe, Teacher
from flatdense_training.order import Order
from flatdense_training.terminal.screen import Screen
from flatdense_training.workflow import follow
from rich.console import Console

SHORT = Preset(
    summary="a teacher of two passes",
    recipe=Recipe(
        epochs=5,
        averaging=0.9,
        distortion=Distortion(),
        teacher=Teacher(
            recipe=Recipe(epochs=2, batch_rows=128, averaging=0.9, distortion=Distortion()),
            copies=3,
            temperature=2.0,
        ),
    ),
    least_steps=1,
)


@pytest.fixture(autouse=True)
def short_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that needs seconds."""
    monkeypatch.setattr("flatdense_training.fit.plan.PRESETS", {"short": SHORT})


def make_order(folder: Path, *, resume: bool = False) -> Order:
    """A run with a teacher."""
    return Order(
        datasets=(DIGITS,),
        class_names=None,
        data_dir=None,
        cache_dir=folder / "cache",
        model_dir=folder / "models",
        hidden_units=16,
        plan=Plan(preset="short"),
        resume=resume,
        logdir=folder / "curves",
        drawn_digits=False,
        min_accuracy=0.0,
        compile="no",
    )


def carry_out(order: Order) -> tuple[bytes, str]:
    """The exported weights, and what the user read."""
    output = io.StringIO()
    folder = follow(order, Screen(Console(file=output, width=120)))
    return (folder / "weights.safetensors").read_bytes(), output.getvalue()


def test_each_stage_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the teacher, and again among its answers: the weights are the same."""
    unbroken, output = carry_out(make_order(tmp_path / "unbroken"))
    chapters = [line for line in output.splitlines() if line and not line.startswith(" ")]
    assert chapters == ["Data", "Model", "Teacher", "Training", "Result", "Export"]
    save = Checkpoints.save
    for stop_at in (("teacher", 2), ("answers", 1)):

        def stop(
            self: Checkpoints,
            stage: str,
            checkpoint: Checkpoint,
            *,
            kept: int | None = 2,
            stop_at: tuple[str, int] = stop_at,
        ) -> None:
            """Writes, and then is stopped."""
            save(self, stage, checkpoint, kept=kept)
            if (stage, checkpoint.number) == stop_at:
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpoints, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            carry_out(make_order(tmp_path, resume=True))
    monkeypatch.setattr(Checkpoints, "save", save)
    resumed, output = carry_out(make_order(tmp_path, resume=True))
    assert resumed == unbroken
    assert "goes on after epoch 2" in output
    assert list((tmp_path / "cache" / "checkpoints").iterdir()) == []


def test_the_teacher_is_recorded(tmp_path: Path) -> None:
    """In the manifest in words, with preset and temperature; curves are written for both stages."""
    order = make_order(tmp_path)
    carry_out(order)
    training = read_manifest(order.model_dir / "1").training
    assert training is not None
    assert (training.preset, training.epochs) == ("short", 5)
    assert training.teacher is not None
    assert "convolutional" in training.teacher
    assert 0.2 <= training.temperature <= 5
    assert training.distortion is not None
    assert training.distortion["rotation_deg"] == 9
    assert training.distortion["serif_part"] > 0
    stages = {path.parent.name for path in (tmp_path / "curves").glob("*/events*")}
    assert stages == {"teacher", "student"}


def test_what_is_no_digit_gets_no_serifs(tmp_path: Path) -> None:
    """The classes' names say what they are."""
    order = replace(make_order(tmp_path), class_names=tuple("ABCDEFGHIJ"))
    carry_out(order)
    training = read_manifest(order.model_dir / "1").training
    assert training is not None
    assert training.distortion is not None
    assert training.distortion["serif_part"] == 0


def test_the_same_run_twice_at_once(tmp_path: Path) -> None:
    """The second is refused, and leaves what the first one keeps; another seed is another run."""
    order = make_order(tmp_path)
    started = []

    class Interrupting(Screen):
        """Starts the same run where the first one is under way."""

        def training(self, recipe: Recipe, steps_per_epoch: int) -> None:
            """When the answers are known."""
            super().training(recipe, steps_per_epoch)
            if not started:
                started.append(recipe)
                with pytest.raises(RunUnderWay, match="--seed"):
                    carry_out(replace(order, resume=True))

    follow(order, Interrupting(Console(file=io.StringIO())))
    assert started
    assert [path.name for path in order.model_dir.iterdir()] == ["1"]
