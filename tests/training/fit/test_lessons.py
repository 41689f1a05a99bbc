"""What is learnt in each pass."""

from collections import Counter

import numpy as np
import pytest
from flatdense_training.data.split import Examples
from flatdense_training.fit.distortion import Distortion
from flatdense_training.fit.lessons import Lesson, Lessons
from flatdense_training.fit.recipe import Recipe, Teacher
from hypothesis import given
from hypothesis import strategies as st


def examples(rows: int) -> Examples:
    """Images that can be told apart by every pixel."""
    images = np.repeat(np.arange(rows, dtype=np.uint8), 784).reshape(rows, 28, 28)
    return Examples(images=images, labels=np.arange(rows, dtype=np.uint8) % 3)


def take_all(rows: int, recipe: Recipe, first: int = 1) -> list[Lesson]:
    """All lessons of a run."""
    with Lessons(examples(rows), recipe, classes=3, first=first) as lessons:
        return [lessons.take()[0] for _ in range(first, recipe.epochs + 1)]


@given(rows=st.integers(1, 60), batch_rows=st.integers(1, 70), epochs=st.integers(1, 3))
def test_no_image_comes_twice_in_a_pass(rows: int, batch_rows: int, epochs: int) -> None:
    """Batches are whole where there are enough images, and each image comes with its label."""
    recipe = Recipe(epochs=epochs, batch_rows=batch_rows)
    for lesson in take_all(rows, recipe):
        steps, batch = lesson.images.shape[:2]
        assert (steps, batch) == (recipe.steps_per_epoch(rows), min(batch_rows, rows))
        numbers = lesson.images[:, :, 0, 0].ravel()
        assert max(Counter(numbers.tolist()).values()) == 1
        assert np.array_equal(lesson.targets.reshape(-1, 3).argmax(axis=1), numbers % 3)
        parts = list(lesson.parts(2))
        assert np.array_equal(np.concatenate([images for images, _ in parts]), lesson.images)
        assert np.array_equal(np.concatenate([targets for _, targets in parts]), lesson.targets)


def test_a_lesson_depends_on_its_number_alone() -> None:
    """A run that goes on later gets the lessons that it would have got; no two are the same."""
    recipe = Recipe(epochs=4, batch_rows=8, distortion=Distortion(), seed=3)
    whole = take_all(40, recipe)
    for expected, got in zip(whole[2:], take_all(40, recipe, first=3), strict=True):
        assert np.array_equal(expected.images, got.images)
        assert np.array_equal(expected.targets, got.targets)
    assert not np.array_equal(whole[0].images, whole[1].images)


def test_labels_are_smoothed() -> None:
    """The share is spread over all classes."""
    (lesson,) = take_all(6, Recipe(epochs=1, label_smoothing=0.3))
    assert set(np.unique(lesson.targets.round(6)).tolist()) == {
        np.float32(0.1).item(),
        np.float32(0.8).item(),
    }


def test_answers_belong_to_their_images() -> None:
    """Passes go round the copies; a copy is distorted alike each time, and its answers are used."""
    teacher = Teacher(recipe=Recipe(epochs=1), copies=2, temperature=2.0)
    recipe = Recipe(epochs=4, batch_rows=1, distortion=Distortion(), teacher=teacher)
    logits = np.random.default_rng(0).normal(size=(2, 30, 3)).astype(np.float32)
    with Lessons(examples(30), recipe, classes=3, answers=lambda copy: logits[copy]) as lessons:
        taken = [lessons.take()[0] for _ in range(4)]
    powers = np.exp(logits / 2)
    expected = powers / powers.sum(axis=2, keepdims=True)
    pairs = []
    for number, lesson in enumerate(taken):
        targets = lesson.targets[:, 0]
        rows = [np.abs(expected[number % 2] - each).sum(axis=1).argmin() for each in targets]
        assert np.allclose(expected[number % 2][rows], targets, atol=1e-6)
        pairs.append(dict(zip(rows, lesson.images[:, 0], strict=True)))
    assert all(np.array_equal(pairs[0][row], pairs[2][row]) for row in range(30))
    assert not all(np.array_equal(pairs[0][row], pairs[1][row]) for row in range(30))


def test_there_are_no_more_lessons_than_passes() -> None:
    """After the last one there is none."""
    with Lessons(examples(5), Recipe(epochs=1), classes=3) as lessons:
        lessons.take()
        with pytest.raises(IndexError):
            lessons.take()
