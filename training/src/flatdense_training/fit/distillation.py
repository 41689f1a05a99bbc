"""The teacher: fitted first, then asked about all that the student will see."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from flatdense_training.fit.checkpoints import Checkpoint, Checkpoints
from flatdense_training.fit.lessons import AnswersOf, distorted
from flatdense_training.fit.networks import build_teacher
from flatdense_training.fit.recipe import Recipe, Teacher
from flatdense_training.fit.train import Task, Trained, Watcher, train

ANSWERS = "answers"

ANSWERS_DTYPE = np.float16
"""Logits of a few tens: three digits are more than the teacher knows."""


def fit_teacher(recipe: Recipe, task: Task, watcher: Watcher, checkpoints: Checkpoints) -> Trained:
    """Fits the teacher by `recipe`, to what the student's `task` is to be taught.

    Raises what train() raises.
    """
    with task.crew.strategy.scope():
        network = build_teacher(classes=task.classes)
    return train(
        network,
        replace(task, stage="teacher", recipe=recipe, answers=None, steps_at_once=1),
        watcher,
        checkpoints,
    )


def ask_teacher(
    trained: Trained,
    teacher: Teacher,
    task: Task,
    checkpoints: Checkpoints,
    *,
    answered: Callable[[], None],
    not_kept: Callable[[str], None],
) -> AnswersOf:
    """The teacher's logits for each copy of the images that the student will see.

    `answered` hears of each copy, `not_kept` why one could not be kept for a later run.
    """
    answers = []
    for copy in range(min(teacher.copies, task.recipe.epochs)):
        found = checkpoints.find(ANSWERS, copy)
        if found is None:
            images = distorted(task.train, task.recipe, copy)
            logits = trained.fitting.answer(images).astype(ANSWERS_DTYPE)
            found = Checkpoint(number=copy, tensors={"logits": logits}, notes={})
            try:
                if task.crew.is_chief:
                    checkpoints.save(ANSWERS, found, kept=None)
            except OSError as error:
                not_kept(error.strerror or str(error))
        answers.append(found.tensors["logits"])
        answered()
    return lambda copy: answers[copy].astype(np.float32)
