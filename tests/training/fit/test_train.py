"""The network and its training, on real TensorFlow with little data."""

import numpy as np
import pytest
from flatdense_training.data.datasets import DIGITS
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.split import Splits, split
from flatdense_training.errors import TrainingDiverged
from flatdense_training.fit.recipe import Epoch, Recipe


class Watcher:
    """Keeps what training reports."""

    def __init__(self) -> None:
        self.batches = 0
        self.epochs: list[Epoch] = []

    def batch_ended(self) -> None:
        """Counts a batch."""
        self.batches += 1

    def epoch_ended(self, epoch: Epoch) -> None:
        """Keeps an epoch."""
        self.epochs.append(epoch)


@pytest.fixture(scope="module")
def splits() -> Splits:
    """The embedded digits."""
    return split(DIGITS, read_embedded(), seed=0)


def run(splits: Splits, recipe: Recipe) -> tuple[np.ndarray, Watcher]:
    """Trains a small network, and gives all its weights in one row, and what was reported."""
    from flatdense_training.fit.model import build_model  # noqa: PLC0415 -- takes seconds
    from flatdense_training.fit.train import make_repeatable, train  # noqa: PLC0415 -- takes seconds

    make_repeatable(recipe.seed)
    model = build_model(hidden_units=16, classes=10)
    watcher = Watcher()
    assert train(model, splits, recipe, watcher) > 0
    return np.concatenate([weight.ravel() for weight in model.get_weights()]), watcher


def test_equal_recipes_give_equal_weights(splits: Splits) -> None:
    """The same recipe gives the same weights bit for bit; another seed gives others."""
    first, again, other = (run(splits, Recipe(epochs=2, seed=seed))[0] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_watcher_hears_everything(splits: Splits) -> None:
    """Each batch and each epoch is reported, and the loss falls."""
    recipe = Recipe(epochs=3, batch_rows=100)
    _, watcher = run(splits, recipe)
    assert watcher.batches == 3 * recipe.steps_per_epoch(len(splits.train))
    assert [epoch.number for epoch in watcher.epochs] == [1, 2, 3]
    assert watcher.epochs[2].loss < watcher.epochs[0].loss
    assert watcher.epochs[2].validation_accuracy > 0.3


def test_learning_rate_falls_to_zero(splits: Splits) -> None:
    """The last steps of a run move the weights far less than the first ones."""
    _, watcher = run(splits, Recipe(epochs=20, batch_rows=2000, learning_rate=0.01))
    losses = [epoch.loss for epoch in watcher.epochs]
    assert abs(losses[-1] - losses[-2]) < abs(losses[1] - losses[0]) / 10


def test_divergence(splits: Splits) -> None:
    """A loss that is no number ends the run, with the option that helps."""
    with pytest.raises(TrainingDiverged, match="--learning-rate, which is 1e\\+30"):
        run(splits, Recipe(epochs=1, learning_rate=1e30))
