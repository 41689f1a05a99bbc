"""What a training run does with its examples, and what comes of each pass."""

import math
from dataclasses import dataclass

OPTIMIZER = "adam, cosine decay to 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is fitted. Equal recipes on one machine give equal weights, bit for bit."""

    epochs: int
    """Passes over the training images."""
    batch_rows: int = 128
    learning_rate: float = 0.005
    """Of the first step; it falls along a half cosine and reaches 0 at the last one."""
    seed: int = 0
    """Of the validation images, of the first weights and of the order of the images."""

    def steps_per_epoch(self, train_rows: int) -> int:
        """Batches in one pass; the last one may be smaller."""
        return math.ceil(train_rows / self.batch_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What came of one pass over the training images."""

    number: int
    """From 1."""
    loss: float
    """Mean cross-entropy in nats, while the weights were moving."""
    accuracy: float
    validation_loss: float
    validation_accuracy: float
