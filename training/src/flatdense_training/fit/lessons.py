"""What is learnt in each pass, prepared on another thread while the pass before is learnt."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from flatdense_training.data.idx import UInt8
from flatdense_training.data.split import Examples
from flatdense_training.fit.recipe import Recipe

Float32 = npt.NDArray[np.float32]

DISTORTION, ORDER = range(2)
"""What random numbers are for: each has a stream of its own, so that one pass can be repeated."""

AnswersOf = Callable[[int], Float32]
"""Number of a copy -> the teacher's logits for its images, [N, C]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is learnt in one pass."""

    images: UInt8
    """[S, B, 28, 28]: steps and batches."""
    targets: Float32
    """[S, B, C], the probabilities that are to be learnt."""

    def parts(self, steps: int) -> Iterator[tuple[UInt8, Float32]]:
        """The lesson in parts of at most so many steps."""
        for start in range(0, len(self.images), steps):
            part = slice(start, start + steps)
            yield self.images[part], self.targets[part]


class Lessons:
    """The lessons of a run, in turn. What is in one depends on recipe and number alone.

    A context; its thread ends with it.
    """

    def __init__(
        self,
        examples: Examples,
        recipe: Recipe,
        *,
        classes: int,
        answers: AnswersOf | None = None,
        first: int = 1,
    ) -> None:
        """With `answers` these are learnt, softened; else the labels. `first` is a pass."""
        self._examples = examples
        self._recipe = recipe
        self._classes = classes
        self._answers = answers
        self.number = first
        """Of the next lesson."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lessons")
        self._next: Future[Lesson] | None = None

    def __enter__(self) -> Self:
        if self.number <= self._recipe.epochs:
            self._next = self._thread.submit(self._prepare, self.number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def take(self) -> tuple[Lesson, float]:
        """The next lesson, and how long it was waited for, in seconds. Raises IndexError: none."""
        if self._next is None:
            raise IndexError
        started_s = time.monotonic()
        lesson = self._next.result()
        waited_s = time.monotonic() - started_s
        self.number += 1
        self._next = (
            self._thread.submit(self._prepare, self.number)
            if self.number <= self._recipe.epochs
            else None
        )
        return lesson, waited_s

    def _prepare(self, number: int) -> Lesson:
        recipe, labels = self._recipe, self._examples.labels
        if self._answers and recipe.teacher:
            copy = (number - 1) % recipe.teacher.copies
            images = distorted(self._examples, recipe, copy)
            targets = softmax(self._answers(copy) / np.float32(recipe.teacher.temperature))
        else:
            images = distorted(self._examples, recipe, number)
            spread = recipe.label_smoothing
            hard = np.eye(self._classes, dtype=np.float32)[labels]
            targets = hard * np.float32(1 - spread) + np.float32(spread / self._classes)
        steps = recipe.steps_per_epoch(len(labels))
        order = np.random.default_rng([recipe.seed, ORDER, number]).permutation(len(labels))
        taken = order[: steps * recipe.batch_rows].reshape(steps, -1)
        return Lesson(images=images[taken], targets=targets[taken])


def distorted(examples: Examples, recipe: Recipe, number: int) -> UInt8:
    """A copy of the images: the same number, the same distortions."""
    if recipe.distortion is None:
        return examples.images
    random = np.random.default_rng([recipe.seed, DISTORTION, number])
    return recipe.distortion.apply(examples.images, random)


def softmax(logits: Float32) -> Float32:
    """Logits [N, C] as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Float32 = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
