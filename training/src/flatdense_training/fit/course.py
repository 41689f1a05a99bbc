"""How far a network is on its way, and whether it should go on."""

from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from flatdense_training.fit.checkpoints import Checkpoint
from flatdense_training.fit.fitting import Fitting
from flatdense_training.fit.recipe import Epoch, Recipe


class Course:
    """The passes of a network so far, and its best weights where these are asked for."""

    def __init__(self, fitting: Fitting, recipe: Recipe) -> None:
        self.fitting = fitting
        self.epochs: list[Epoch] = []
        self._recipe = recipe
        self._best: list[npt.NDArray[np.float32]] = []

    @property
    def next_number(self) -> int:
        """Of the pass that comes next."""
        return len(self.epochs) + 1

    @property
    def is_over(self) -> bool:
        """Whether all passes were made, or the last ones brought nothing better."""
        if len(self.epochs) >= self._recipe.epochs:
            return True
        patience = self._recipe.patience_epochs
        return patience is not None and len(self.epochs) - self._best_number >= patience

    def add(self, epoch: Epoch) -> None:
        """Takes note of one more pass, whose weights the fitting has now."""
        self.epochs.append(epoch)
        if self._recipe.patience_epochs is not None and self._best_number == epoch.number:
            self._best = self.fitting.mean.get_weights()

    def take_best(self) -> None:
        """Puts the best weights into the mean network, where these are asked for."""
        if self._best:
            self.fitting.mean.set_weights(self._best)

    def checkpoint(self) -> Checkpoint:
        """All that the next pass depends on."""
        best = {f"best/{number}": each for number, each in enumerate(self._best)}
        return Checkpoint(
            number=len(self.epochs),
            tensors={**self.fitting.state(), **best},
            notes={"epochs": [asdict(epoch) for epoch in self.epochs]},
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on where the checkpoint was taken, by a run of the same recipe."""
        self.fitting.restore(checkpoint.tensors)
        self.epochs = [Epoch(**epoch) for epoch in checkpoint.notes["epochs"]]
        best = [name for name in checkpoint.tensors if name.startswith("best/")]
        self._best = [checkpoint.tensors[f"best/{number}"] for number in range(len(best))]

    @property
    def _best_number(self) -> int:
        """Of the pass with the least validation loss; 0 before the first."""
        if not self.epochs:
            return 0
        return min(self.epochs, key=lambda epoch: epoch.validation_loss).number
