"""What a training run does with its examples, and what comes of each pass."""

from dataclasses import dataclass

from flatdense_training.fit.distortion import Distortion

OPTIMIZER = "adamw, warm-up, cosine decay to 0, running mean of the weights"

WARMUP_PART = 0.05
"""Of all steps: the learning rate climbs to its peak in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is fitted. Equal recipes on one machine give equal weights, bit for bit."""

    epochs: int
    """Passes over the training images."""
    batch_rows: int = 256
    learning_rate: float = 0.0025
    """The peak: it is climbed to in the first steps, and left along a half cosine to 0."""
    weight_decay: float = 0.0
    """Of kernels, decoupled from the gradient (Loshchilov and Hutter 2019)."""
    label_smoothing: float = 0.0
    """The share of each label that is spread over all classes."""
    averaging: float = 0.999
    """The network that is judged and exported is the running mean of the weights, each step with
    1 - averaging of its weight; in the first steps it is shorter."""
    distortion: Distortion | None = None
    """What is done to the images, anew in every pass; None: nothing."""
    patience_epochs: int | None = None
    """So many passes without a better validation loss end the run, and its best weights are taken;
    None: it goes on to its end."""
    teacher: "Teacher | None" = None
    """Whose answers are learnt instead of the labels; None: the labels."""
    seed: int = 0
    """Of the validation images, the first weights, the order of the images and their distortion."""

    def steps_per_epoch(self, train_rows: int) -> int:
        """Whole batches in one pass. The rest of a pass is another one each time."""
        return max(1, train_rows // self.batch_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A bigger network, fitted in the same job, and how its answers are learnt.

    The method is Hinton, Vinyals and Dean's (2015): the student learns all probabilities of an
    answer, softened, and so which other classes an image resembles.
    """

    recipe: Recipe
    copies: int
    """So many distorted copies of the training images are answered; the passes go round them."""
    temperature: float
    """What logits are divided by, the teacher's and the student's, before they are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What came of one pass over the training images."""

    number: int
    """From 1."""
    loss: float
    """Mean cross-entropy in nats, while the weights were moving, with what was learnt: the labels,
    or softened answers."""
    accuracy: float
    """Of the labels, as a fraction, while the weights were moving."""
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    """At the end of the pass."""
    duration_s: float
    waited_s: float
    """Of that, for images that were not distorted yet."""
