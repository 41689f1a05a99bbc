"""The manifest of a version: what a run was and what came of it."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import keras
import numpy as np
import tensorflow as tf
from flatdense_artifact import Architecture, Golden, Manifest, Metrics, Training

from flatdense_training.data.datasets import Dataset
from flatdense_training.data.split import Splits
from flatdense_training.fit.recipe import OPTIMIZER, Recipe
from flatdense_training.fit.wording import tell_teacher
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.reference import make_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that is over."""

    dataset: Dataset
    splits: Splits
    preset: str
    recipe: Recipe
    architecture: Architecture
    epochs: int
    """That were made: fewer than in the recipe where it was stopped early."""
    duration_s: float
    """Of the fitting alone."""
    temperature: float
    """What the logits were divided by after it."""
    validation: Evaluation
    test: Evaluation
    golden: Golden


def make_manifest(run: Run) -> Manifest:
    """The manifest of the version that the run exports, complete but for `files`."""
    return Manifest(
        created_at=datetime.now(UTC).replace(microsecond=0),
        architecture=run.architecture,
        classes=list(run.dataset.class_names),
        files={},
        training=Training(
            dataset=run.dataset.name,
            sources=dict(run.dataset.sha256),  # the arrays were verified to have these
            train_rows=len(run.splits.train),
            validation_rows=len(run.splits.validation),
            test_rows=len(run.splits.test),
            seed=run.recipe.seed,
            epochs=run.epochs,
            batch_rows=run.recipe.batch_rows,
            optimizer=OPTIMIZER,
            learning_rate=run.recipe.learning_rate,
            duration_s=round(run.duration_s, 3),
            preset=run.preset,
            weight_decay=run.recipe.weight_decay,
            averaging=run.recipe.averaging,
            distortion=dict(run.recipe.distortion.describe()) if run.recipe.distortion else None,
            teacher=tell_teacher(run.recipe.teacher) if run.recipe.teacher else None,
            temperature=run.temperature,
        ),
        metrics=Metrics(
            test_accuracy=run.test.accuracy,
            test_loss=run.test.loss,
            validation_accuracy=run.validation.accuracy,
            validation_loss=run.validation.loss,
        ),
        libraries={
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "flatdense-training": version("flatdense-training"),
        },
        golden=run.golden,
        reference=make_reference(
            run.splits.validation, run.validation, classes=len(run.dataset.class_names)
        ),
    )
