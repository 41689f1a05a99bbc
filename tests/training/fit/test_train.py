"""The training, on real TensorFlow with little data."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.datasets import DIGITS
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.split import Splits, split
from flatdense_training.errors import TrainingDiverged
from flatdense_training.fit.checkpoints import Checkpoints
from flatdense_training.fit.distortion import Distortion
from flatdense_training.fit.recipe import Epoch, Recipe

NETWORKS = ("student", "teacher")


@dataclass
class Watcher:
    """Keeps what training reports, and presses Ctrl-C after a pass if it is told to."""

    stop_after: int | None = None
    steps: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    before: list[Epoch] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def steps_done(self, steps: int) -> None:
        """Counts steps."""
        self.steps += steps

    def resumed(self, epochs: Sequence[Epoch]) -> None:
        """Keeps what was done before."""
        self.before += epochs

    def epoch_ended(self, epoch: Epoch) -> None:
        """Keeps an epoch."""
        if self.stop_after is not None and epoch.number > self.stop_after:
            raise KeyboardInterrupt
        self.epochs.append(epoch)

    def not_kept(self, reason: str) -> None:
        """Keeps why."""
        self.complaints.append(reason)


@pytest.fixture(scope="module")
def splits() -> Splits:
    """The embedded digits."""
    return split(DIGITS, read_embedded(), seed=0)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """A folder for a run of its own."""
    return Checkpoints(tmp_path)


@pytest.fixture
def every_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is written after each pass, however short it was."""
    from flatdense_training.fit import train  # noqa: PLC0415 -- takes seconds

    monkeypatch.setattr(train, "CHECKPOINT_S", 0.0)


def run(
    splits: Splits,
    recipe: Recipe,
    checkpoints: Checkpoints,
    watcher: Watcher,
    network: str = "student",
) -> np.ndarray:
    """Trains a small network, and gives all its weights in one row."""
    from flatdense_training.fit.networks import (  # noqa: PLC0415 -- takes seconds
        build_student,
        build_teacher,
    )
    from flatdense_training.fit.train import Task, make_repeatable, train  # noqa: PLC0415

    make_repeatable(recipe.seed)
    checkpoints.folder.mkdir(exist_ok=True)
    built = (
        build_student(hidden_units=16, classes=10)
        if network == "student"
        else build_teacher(classes=10)
    )
    task = Task(
        stage=network, recipe=recipe, train=splits.train, validation=splits.validation, classes=10
    )
    trained = train(built, task, watcher, checkpoints)
    assert trained.duration_s > 0
    return np.concatenate([each.ravel() for each in trained.fitting.mean.get_weights()])


def test_equal_recipes_give_equal_weights(splits: Splits, tmp_path: Path) -> None:
    """The same recipe gives the same weights bit for bit; another seed gives others."""
    first, again, other = (
        run(
            splits,
            Recipe(epochs=2, seed=seed, distortion=Distortion()),
            Checkpoints(tmp_path / str(number)),
            Watcher(),
        )
        for number, seed in enumerate((5, 5, 6))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_watcher_hears_everything(splits: Splits, checkpoints: Checkpoints) -> None:
    """Each step and each epoch is reported, and the loss falls."""
    watcher = Watcher()
    recipe = Recipe(epochs=6, batch_rows=100, averaging=0.9)
    run(splits, recipe, checkpoints, watcher)
    assert watcher.steps == 6 * recipe.steps_per_epoch(len(splits.train))
    assert [epoch.number for epoch in watcher.epochs] == [1, 2, 3, 4, 5, 6]
    assert watcher.epochs[-1].loss < watcher.epochs[0].loss
    assert watcher.epochs[-1].validation_accuracy > 0.3
    assert all(0 <= epoch.waited_s <= epoch.duration_s for epoch in watcher.epochs)


def test_learning_rate_climbs_and_falls_to_zero(splits: Splits, checkpoints: Checkpoints) -> None:
    """It is the recipe's soon after the beginning, and 0 at the end."""
    watcher = Watcher()
    run(splits, Recipe(epochs=20, batch_rows=100, learning_rate=0.01), checkpoints, watcher)
    rates = [epoch.learning_rate for epoch in watcher.epochs]
    assert max(rates) == pytest.approx(0.01, rel=0.05)
    assert rates.index(max(rates)) < 3
    assert rates[-1] == pytest.approx(0, abs=1e-6)


def test_divergence(splits: Splits, checkpoints: Checkpoints, every_pass: None) -> None:  # noqa: ARG001
    """A loss that is no number ends the run, with the option that helps, and is not kept."""
    recipe = Recipe(epochs=3, learning_rate=1e30, averaging=0.0)
    with pytest.raises(TrainingDiverged, match="--learning-rate, which is 1e\\+30"):
        run(splits, recipe, checkpoints, Watcher())
    assert checkpoints.newest("student") is None


@pytest.mark.parametrize("network", NETWORKS)
def test_a_resumed_run_ends_as_an_unbroken_one(
    splits: Splits,
    tmp_path: Path,
    every_pass: None,  # noqa: ARG001
    network: str,
) -> None:
    """Weights, bit for bit, and what came of each pass, wherever the run was stopped."""
    few = replace(splits, train=replace_rows(splits, 300))
    recipe = Recipe(epochs=4, batch_rows=100, distortion=Distortion(), weight_decay=0.01)
    unbroken = Watcher()
    whole = run(few, recipe, Checkpoints(tmp_path / "whole"), unbroken, network)
    checkpoints = Checkpoints(tmp_path / "broken")
    for stop_after in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(few, recipe, checkpoints, Watcher(stop_after=stop_after), network)
    last = Watcher()
    assert np.array_equal(run(few, recipe, checkpoints, last, network), whole)
    assert [epoch.number for epoch in last.before] == [1, 2, 3]
    assert [epoch.number for epoch in last.epochs] == [4]
    ended = [(epoch.loss, epoch.validation_loss) for epoch in (*last.before, *last.epochs)]
    assert ended == [(epoch.loss, epoch.validation_loss) for epoch in unbroken.epochs]


def replace_rows(splits: Splits, rows: int) -> "Splits":
    """The first training images alone."""
    from flatdense_training.data.split import select  # noqa: PLC0415

    return select(splits.train, np.arange(rows))


def test_patience_ends_a_run_and_takes_its_best(
    splits: Splits,
    tmp_path: Path,
    every_pass: None,  # noqa: ARG001
) -> None:
    """So many passes without a better validation loss: the weights are those of the best pass."""
    recipe = Recipe(epochs=200, learning_rate=0.02, averaging=0.5, patience_epochs=3)
    watcher = Watcher()
    weights = run(splits, recipe, Checkpoints(tmp_path / "patient"), watcher)
    losses = [epoch.validation_loss for epoch in watcher.epochs]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 200
    # Passes are the same until the best: a run of the same course that is stopped there.
    checkpoints = Checkpoints(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        run(splits, recipe, checkpoints, Watcher(stop_after=best + 1))
    found = checkpoints.newest("student")
    assert found is not None
    assert found.number == best + 1
    kept = [found.tensors[name] for name in sorted(found.tensors) if name.startswith("best/")]
    assert np.array_equal(weights, np.concatenate([each.ravel() for each in kept]))


def test_a_full_disk_costs_the_checkpoint_alone(
    splits: Splits,
    checkpoints: Checkpoints,
    every_pass: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run goes on, and says that what it did cannot be gone on from."""

    def fail(*_: object, **__: object) -> None:
        """As a disk without room does."""
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", fail)
    watcher = Watcher()
    run(splits, Recipe(epochs=2), checkpoints, watcher)
    assert watcher.complaints == ["No space left on device"] * 2
    assert len(watcher.epochs) == 2
