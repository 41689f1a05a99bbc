"""The stages of fitting, each with its chapter: the teacher, its answers, the network."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version

import joblib
import keras
import tensorflow as tf

from flatdense_training.data.material import Material
from flatdense_training.fit.checkpoints import Checkpoints, key_of
from flatdense_training.fit.crew import Crew
from flatdense_training.fit.distillation import ask_teacher, fit_teacher
from flatdense_training.fit.event_log import EventLog
from flatdense_training.fit.lessons import AnswersOf
from flatdense_training.fit.recipe import Epoch, Recipe, Teacher
from flatdense_training.fit.train import Task, Trained, train
from flatdense_training.order import Order
from flatdense_training.terminal.epoch_bar import EpochBar, count_bar, epoch_bar
from flatdense_training.terminal.screen import Screen

STUDENT, TEACHER = "student", "teacher"


def use_threads(recipe: Recipe) -> None:
    """Gives TensorFlow the CPUs that the process may use, by affinity and cgroup.

    One of several is left to the thread that distorts, where nothing but the small network is
    fitted. Before the first operation; after it, nothing changes.
    """
    usable = joblib.cpu_count()
    spared = 1 if recipe.distortion and not recipe.teacher and usable > 1 else 0
    try:
        tf.config.threading.set_intra_op_parallelism_threads(usable - spared)
    except RuntimeError:  # a second run in this process: the first one has set it
        return


def name_run(order: Order, material: Material, recipe: Recipe) -> str:
    """Another name where the data, the recipe or the libraries are others."""
    facts = {
        "data": dict(material.dataset.sha256),
        "hidden": order.hidden_units,
        "recipe": asdict(recipe),
        "libraries": [version(name) for name in ("flatdense-training", "keras", "numpy")],
        "tensorflow": tf.__version__,
    }
    return key_of(facts)


@contextmanager
def kept(order: Order, run: str) -> Iterator[Checkpoints]:
    """The checkpoints of this run alone; a worker that is not the chief keeps none.

    They are gone when the run ends well. Raises RunUnderWay or CheckpointsUnwritable.
    """
    checkpoints = Checkpoints(order.cache_dir / "checkpoints" / run)
    if order.place and not order.place.is_chief:
        yield checkpoints  # which are the chief's, if this one sees them at all
        return
    with checkpoints.held(resume=order.resume):
        yield checkpoints
        checkpoints.discard()


def fit(
    network: keras.Model,
    recipe: Recipe,
    order: Order,
    material: Material,
    checkpoints: Checkpoints,
    screen: Screen,
    crew: Crew,
) -> Trained:
    """Fits the network, after its teacher where the recipe has one.

    Raises TrainingDiverged or WorkerLost.
    """
    task = Task(
        stage=STUDENT,
        recipe=recipe,
        train=material.splits.train,
        validation=material.splits.validation,
        classes=len(material.dataset.class_names),
        crew=crew,
    )
    taught_s = 0.0
    if recipe.teacher is not None:
        answers, taught_s = learn_answers(recipe.teacher, task, order, checkpoints, screen)
        task = replace(task, answers=answers)
    steps = recipe.steps_per_epoch(len(task.train))
    screen.training(recipe, steps)
    with shown(STUDENT, recipe, task, order, screen) as watcher:
        trained = train(network, task, watcher, checkpoints)
    screen.fitted(trained.epochs)
    return replace(trained, taught_s=taught_s)


def learn_answers(
    teacher: Teacher, task: Task, order: Order, checkpoints: Checkpoints, screen: Screen
) -> tuple[AnswersOf, float]:
    """Fits the teacher, and asks it about all that the student will see; how long it was fitted."""
    screen.teaching(teacher.recipe, teacher.recipe.steps_per_epoch(len(task.train)))
    with shown(TEACHER, teacher.recipe, task, order, screen) as watcher:
        trained = fit_teacher(teacher.recipe, task, watcher, checkpoints)
    copies = min(teacher.copies, task.recipe.epochs)
    screen.line(f"answers for {copies} distorted copies of the training images")
    with count_bar(screen.console, "copies", total=copies) as answered:
        answers = ask_teacher(
            trained,
            teacher,
            task,
            checkpoints,
            answered=answered,
            not_kept=screen.not_kept,
        )
    return answers, trained.duration_s


@contextmanager
def shown(
    stage: str, recipe: Recipe, task: Task, order: Order, screen: Screen
) -> Iterator["StageWatcher"]:
    """What watches a stage: the screen, and TensorBoard where that is asked for."""
    steps = recipe.steps_per_epoch(len(task.train))
    rows = steps * min(recipe.batch_rows, len(task.train))
    log = EventLog(order.logdir, stage) if order.logdir and task.crew.is_chief else None
    with epoch_bar(screen.console, epochs=recipe.epochs, steps_per_epoch=steps, rows=rows) as bar:
        yield StageWatcher(bar, log)


class StageWatcher:
    """Hears of a stage, and tells the screen and the log."""

    def __init__(self, bar: EpochBar, log: EventLog | None) -> None:
        self.steps_done = bar.steps_done
        self.resumed = bar.resumed
        self.not_kept = bar.not_kept
        self._bar = bar
        self._log = log

    def epoch_ended(self, epoch: Epoch) -> None:
        """One more pass was done. Raises LogUnwritable."""
        self._bar.epoch_ended(epoch)
        if self._log:
            self._log.add(epoch)
