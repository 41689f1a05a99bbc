"""Presets, and what the user changes in them."""

import shlex
from dataclasses import replace

import pytest
from click.testing import CliRunner
from flatdense_training.cli import main
from flatdense_training.errors import TrainingError
from flatdense_training.fit.plan import Plan
from flatdense_training.fit.presets import PRESETS, drop_serifs
from flatdense_training.fit.recipe import Recipe

ROWS = 55_000


@pytest.mark.parametrize("preset", PRESETS)
def test_a_plan_without_wishes_is_its_preset(preset: str) -> None:
    """For as many images as MNIST has; few images are passed over more often."""
    recipe = Plan(preset=preset).recipe(ROWS)
    assert recipe == PRESETS[preset].recipe
    few = Plan(preset=preset).recipe(500)
    assert few.epochs * few.steps_per_epoch(500) >= PRESETS[preset].least_steps


def test_wishes_come_before_the_preset() -> None:
    """Each option changes its own figure, and the seed is the teacher's too."""
    plan = Plan(
        preset="best",
        epochs=7,
        batch_rows=64,
        learning_rate=0.1,
        patience_epochs=2,
        distort=False,
        seed=9,
    )
    recipe = plan.recipe(ROWS)
    assert (recipe.epochs, recipe.batch_rows, recipe.learning_rate) == (7, 64, 0.1)
    assert (recipe.patience_epochs, recipe.distortion, recipe.seed) == (2, None, 9)
    assert recipe.teacher is not None
    assert recipe.teacher.recipe.seed == 9
    assert Plan(preset="best", teach=False).recipe(ROWS).teacher is None
    assert Plan(preset="quick", teach=True).recipe(ROWS).teacher is not None


def test_data_that_is_better_as_it_is_is_not_distorted() -> None:
    """Unless that is wished; a preset that does not distort does so where it is asked to."""
    assert Plan().recipe(ROWS, distort=False).distortion is None
    taught = Plan(preset="best").recipe(ROWS, distort=False).teacher
    assert taught is not None
    assert taught.recipe.distortion is None
    assert Plan(distort=True).recipe(ROWS, distort=False).distortion is not None
    assert Plan(preset="quick").recipe(ROWS).distortion is None
    assert Plan(preset="quick", distort=True).recipe(ROWS).distortion is not None


@pytest.mark.parametrize("preset", ["standard", "best"])
def test_serifs_are_for_digits(preset: str) -> None:
    """Other classes are learnt without them, from student and teacher; nothing else changes."""
    digits = Plan(preset=preset).recipe(ROWS)
    others = Plan(preset=preset).recipe(ROWS, is_of_digits=False)
    assert digits.distortion is not None
    assert digits.distortion.serif_part > 0
    assert others == drop_serifs(digits)
    for recipe in (others, others.teacher and others.teacher.recipe):
        if recipe is not None:
            assert recipe.distortion is not None
            assert recipe.distortion.serif_part == 0
    assert others.distortion == replace(digits.distortion, serif_part=0)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(),
        Plan(preset="best", seed=3, teach=False),
        Plan(epochs=2, batch_rows=3, learning_rate=0.25, patience_epochs=4, distort=False),
        Plan(preset="quick", distort=True, teach=True),
    ],
)
def test_the_options_of_a_plan_give_the_plan(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a report says is to be typed is understood by the command as the same plan."""
    ordered = []

    def keep(order: object, _screen: object) -> None:
        """Takes the order, and does nothing."""
        ordered.append(order)
        raise TrainingError

    monkeypatch.setattr("flatdense_training.workflow.follow", keep)
    CliRunner().invoke(main, shlex.split(" ".join(plan.options())))
    assert [order.plan for order in ordered] == [plan]


@pytest.mark.parametrize(("rows", "steps"), [(55_000, 429), (128, 1), (129, 1), (1, 1)])
def test_steps(rows: int, steps: int) -> None:
    """Batches are whole, but where there are fewer images than one holds."""
    assert Recipe(epochs=1, batch_rows=128).steps_per_epoch(rows) == steps
