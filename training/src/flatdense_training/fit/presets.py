"""The recipes that have a name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType

from flatdense_training.fit.distortion import Distortion
from flatdense_training.fit.recipe import Recipe, Teacher


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A recipe, and how long it is at least."""

    summary: str
    """For people, in a few words."""
    recipe: Recipe
    least_steps: int
    """Few images are passed over more often, until so many batches were learnt."""


def lengthen(recipe: Recipe, train_rows: int, least_steps: int) -> Recipe:
    """The recipe with more passes, if it needs them for so many steps."""
    teacher = recipe.teacher
    return replace(
        recipe,
        epochs=max(recipe.epochs, ceil(least_steps / recipe.steps_per_epoch(train_rows))),
        teacher=teacher
        and replace(teacher, recipe=lengthen(teacher.recipe, train_rows, least_steps)),
    )


def drop_serifs(recipe: Recipe) -> Recipe:
    """The recipe for images of anything but digits: a foot would make an E of an F."""
    distortion, teacher = recipe.distortion, recipe.teacher
    return replace(
        recipe,
        distortion=distortion and replace(distortion, serif_part=0.0),
        teacher=teacher and replace(teacher, recipe=drop_serifs(teacher.recipe)),
    )


TEACHER = Teacher(
    recipe=Recipe(
        epochs=15,
        learning_rate=0.004,
        weight_decay=0.02,
        averaging=0.998,
        distortion=Distortion(rotation_deg=12, shift_px=1.5),
    ),
    copies=24,
    temperature=2.0,
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "quick": Preset(
            summary="a smoke test, seconds",
            recipe=Recipe(epochs=3, learning_rate=0.005, averaging=0.99),
            least_steps=400,
        ),
        "standard": Preset(
            summary="distorted images, a minute or two",
            recipe=Recipe(epochs=30, distortion=Distortion()),
            least_steps=1_500,
        ),
        "best": Preset(
            summary="longer, by a convolutional teacher's answers",
            recipe=Recipe(epochs=200, distortion=Distortion(), teacher=TEACHER),
            least_steps=1_500,
        ),
    }
)
"""By the name that the command line calls them."""

STANDARD = "standard"
