"""What a run hands over to be reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from flatdense_artifact import Manifest, Weights

from flatdense_training.data.split import Examples
from flatdense_training.fit.recipe import Epoch
from flatdense_training.judge.evaluate import Classify, Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A run that is over. Equal findings give equal reports, byte for byte."""

    manifest: Manifest
    """Its `files` are not looked at."""
    data_title: str
    """As people call the data: `MNIST`."""
    recipe: Sequence[tuple[str, str]]
    """How the network was trained, for people: what, and how much of it."""
    command: str
    """What to type to have the same again."""
    epochs: Sequence[Epoch]
    validation: Evaluation
    test: Evaluation
    test_examples: Examples
    initial: Weights
    """Before the first step."""
    trained: Weights
    classify: Classify
    """The exported function, for images that were disturbed."""
    temperature: float = 1.0
    """What logits were divided by, in the exported function."""
    drawn_digits: bool = True
    """Whether test images may be shown. What is published must not hold images of a dataset whose
    terms are not one's own."""
