"""What the user wants of a recipe, before it is known how many images there are."""

from dataclasses import dataclass, replace

from flatdense_training.fit.distortion import Distortion
from flatdense_training.fit.presets import PRESETS, STANDARD, TEACHER, drop_serifs, lengthen
from flatdense_training.fit.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A preset, and what is to be other than in it; None leaves the preset's."""

    preset: str = STANDARD
    epochs: int | None = None
    batch_rows: int | None = None
    learning_rate: float | None = None
    patience_epochs: int | None = None
    distort: bool | None = None
    """False: the images stay as they are. None: as is best for the data."""
    teach: bool | None = None
    """Whether the answers of a bigger network are learnt; it is fitted first, in the same job."""
    seed: int = 0

    def recipe(self, train_rows: int, *, distort: bool = True, is_of_digits: bool = True) -> Recipe:
        """The recipe for so many training images.

        `distort` says what is best for them; serifs are for digits alone.
        """
        preset = PRESETS[self.preset]
        recipe = replace(preset.recipe, seed=self.seed, patience_epochs=self.patience_epochs)
        if self.batch_rows is not None:
            recipe = replace(recipe, batch_rows=self.batch_rows)
        if self.learning_rate is not None:
            recipe = replace(recipe, learning_rate=self.learning_rate)
        if self.teach is not None:
            recipe = replace(recipe, teacher=TEACHER if self.teach else None)
        recipe = lengthen(recipe, train_rows, preset.least_steps)
        if self.epochs is not None:
            recipe = replace(recipe, epochs=self.epochs)
        wanted = distort if self.distort is None else self.distort
        if not wanted:
            recipe = replace(recipe, distortion=None)
        elif self.distort and recipe.distortion is None:
            recipe = replace(recipe, distortion=Distortion())
        if recipe.teacher is not None:
            own = replace(recipe.teacher.recipe, seed=self.seed)
            own = own if wanted else replace(own, distortion=None)
            recipe = replace(recipe, teacher=replace(recipe.teacher, recipe=own))
        return recipe if is_of_digits else drop_serifs(recipe)

    def options(self) -> list[str]:
        """The options of the command line that give this plan."""
        values = {
            "preset": self.preset,
            "epochs": self.epochs,
            "batch-rows": self.batch_rows,
            "learning-rate": self.learning_rate,
            "patience": self.patience_epochs,
            "seed": self.seed,
        }
        flags = {"distort": self.distort, "teacher": self.teach}
        return [
            *(f"--{name} {value}" for name, value in values.items() if value is not None),
            *(f"--{'' if on else 'no-'}{name}" for name, on in flags.items() if on is not None),
        ]
