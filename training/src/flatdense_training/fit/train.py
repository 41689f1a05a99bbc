"""The way of a network from its first weights to its last ones."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from flatdense_training.data.split import Examples
from flatdense_training.errors import TrainingDiverged
from flatdense_training.fit.checkpoints import Checkpoint, Checkpoints, pack, unpack
from flatdense_training.fit.course import Course
from flatdense_training.fit.crew import Crew, alone
from flatdense_training.fit.fitting import Fitting
from flatdense_training.fit.interrupt import held_interrupts
from flatdense_training.fit.lessons import AnswersOf, Lessons
from flatdense_training.fit.recipe import Epoch, Recipe

CHECKPOINT_S = 5.0
"""Between two checkpoints at least, but for the last one."""


class Watcher(Protocol):
    """Hears how far the training is, on the thread that trains."""

    def steps_done(self, steps: int) -> None:
        """So many more steps were done."""

    def resumed(self, epochs: Sequence[Epoch]) -> None:
        """These passes were done before the run was stopped."""

    def epoch_ended(self, epoch: Epoch) -> None:
        """One more pass was done."""

    def not_kept(self, reason: str) -> None:
        """A checkpoint could not be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is fitted to, and how."""

    stage: str
    """Names its checkpoints."""
    recipe: Recipe
    train: Examples
    validation: Examples
    classes: int
    answers: AnswersOf | None = None
    """What is learnt instead of the labels."""
    steps_at_once: int = 16
    """Between two chances to stop."""
    crew: Crew = field(default_factory=alone)
    """Who learns it."""

    @property
    def softness(self) -> float:
        """What logits are divided by before they are compared."""
        teacher = self.recipe.teacher
        return teacher.temperature if self.answers and teacher else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of a task."""

    fitting: Fitting
    epochs: tuple[Epoch, ...]
    taught_s: float = 0.0
    """How long its teacher was fitted before."""

    @property
    def duration_s(self) -> float:
        """Of all passes, its teacher's with them, also of those before an interruption."""
        return self.taught_s + sum(epoch.duration_s for epoch in self.epochs)


def make_repeatable(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, and keeps TensorFlow to operations that repeat exactly.

    This is for the whole process, and comes before a network is built.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(network: keras.Model, task: Task, watcher: Watcher, checkpoints: Checkpoints) -> Trained:
    """Fits the network, going on after the newest checkpoint of the stage, if there is one.

    The network was made in the scope of the task's crew. Raises TrainingDiverged, WorkerLost, and
    KeyboardInterrupt between two steps.
    """
    with task.crew.together():
        return train_together(network, task, watcher, checkpoints)


def train_together(
    network: keras.Model, task: Task, watcher: Watcher, checkpoints: Checkpoints
) -> Trained:
    """train(), but for the errors of a lost worker."""
    recipe, crew = task.recipe, task.crew
    steps = recipe.epochs * recipe.steps_per_epoch(len(task.train))
    with crew.strategy.scope():
        course = Course(Fitting(network, recipe, steps=steps), recipe)
    if (found := newest_of_chief(crew, checkpoints, task.stage)) is not None:
        course.restore(found)
        watcher.resumed(course.epochs)
    kept_s = time.monotonic()
    with (
        held_interrupts() as let_through,
        Lessons(
            task.train, recipe, classes=task.classes, answers=task.answers, first=course.next_number
        ) as lessons,
    ):
        while not course.is_over:
            epoch = learn_pass(course.fitting, task, lessons, watcher, let_through)
            course.add(epoch)
            watcher.epoch_ended(epoch)
            if crew.is_chief and (course.is_over or time.monotonic() - kept_s >= CHECKPOINT_S):
                try:
                    checkpoints.save(task.stage, course.checkpoint())
                except OSError as error:
                    watcher.not_kept(error.strerror or str(error))
                kept_s = time.monotonic()
    course.take_best()
    return Trained(fitting=course.fitting, epochs=tuple(course.epochs))


def newest_of_chief(crew: Crew, checkpoints: Checkpoints, stage: str) -> Checkpoint | None:
    """Where all of the crew go on: the others may have no checkpoints, or older ones."""
    found = checkpoints.newest(stage) if crew.is_chief else None
    content = crew.bytes_from_chief(pack(found) if found else b"")
    return unpack(content, number=0) if content else None


def learn_pass(
    fitting: Fitting,
    task: Task,
    lessons: Lessons,
    watcher: Watcher,
    let_through: Callable[[], None],
) -> Epoch:
    """One pass over the training images, and what came of it. Raises TrainingDiverged."""
    started_s = time.monotonic()
    number = lessons.number
    lesson, waited_s = lessons.take()
    outcomes: list[tuple[float, float]] = []
    steps: list[int] = []
    for images, targets in lesson.parts(task.steps_at_once):
        outcomes.append(fitting.learn(images, targets, softness=task.softness))
        steps.append(len(images))
        let_through()
        watcher.steps_done(len(images))
    loss, accuracy = np.average(outcomes, axis=0, weights=steps)
    # All go by one verdict: whether to stop is a part of it.
    verdict = np.array(judge(fitting, task.validation))
    validation_loss, validation_accuracy = map(float, task.crew.array_from_chief(verdict))
    if not (isfinite(loss) and isfinite(validation_loss)):
        raise TrainingDiverged(
            f"The loss became {loss} in epoch {number}. Lower --learning-rate, "
            f"which is {task.recipe.learning_rate}."
        )
    return Epoch(
        number=number,
        loss=float(loss),
        accuracy=float(accuracy),
        validation_loss=validation_loss,
        validation_accuracy=validation_accuracy,
        learning_rate=fitting.learning_rate,
        duration_s=time.monotonic() - started_s,
        waited_s=waited_s,
    )


def judge(fitting: Fitting, examples: Examples) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy, of the mean network."""
    logits = fitting.answer(examples.images).astype(np.float64)
    highest = logits.max(axis=1)
    sums = np.exp(logits - highest[:, None]).sum(axis=1)
    of_label = logits[np.arange(len(examples)), examples.labels]
    loss = np.mean(np.log(sums) + highest - of_label)
    return float(loss), float(np.mean(logits.argmax(axis=1) == examples.labels))
