"""A recipe in words, for reports."""

from flatdense_training.fit.distortion import Distortion
from flatdense_training.fit.recipe import OPTIMIZER, Recipe, Teacher


def tell_recipe(recipe: Recipe) -> list[tuple[str, str]]:
    """What was done, and how much of it, line by line."""
    lines = [
        (
            "Passes over the images",
            f"{recipe.epochs} at most" if recipe.patience_epochs else str(recipe.epochs),
        ),
        ("Images in a batch", str(recipe.batch_rows)),
        ("Optimizer", OPTIMIZER),
        ("Highest learning rate", f"{recipe.learning_rate:g}"),
        ("Running mean of the weights", f"{recipe.averaging:g} of it is kept in each step"),
        ("Distortion", tell_distortion(recipe.distortion)),
    ]
    if recipe.weight_decay:
        lines.append(("Weight decay", f"{recipe.weight_decay:g}"))
    if recipe.label_smoothing:
        lines.append(("Label smoothing", f"{recipe.label_smoothing:g}"))
    if recipe.patience_epochs:
        lines.append(("Patience", f"{recipe.patience_epochs} passes"))
    if recipe.teacher:
        lines.append(("Teacher", tell_teacher(recipe.teacher)))
    return lines


def tell_distortion(distortion: Distortion | None) -> str:
    """How far images were distorted."""
    if distortion is None:
        return "none"
    serifs = (
        f"; {distortion.serif_part:.0%} get a foot, and as many a flag"
        if distortion.serif_part
        else ""
    )
    return (
        f"anew in each pass, by up to: turn {distortion.rotation_deg:g} degrees, width "
        f"{distortion.x_scale:.0%}, height {distortion.y_scale:.0%}, shear {distortion.shear:g}, "
        f"shift {distortion.shift_px:g} px, bend {distortion.elastic_px:g} px (smooth over "
        f"{distortion.elastic_sigma_px:g} px){serifs}"
    )


def tell_teacher(teacher: Teacher) -> str:
    """Who taught, and how."""
    return (
        f"a convolutional network, fitted first in {teacher.recipe.epochs} passes; its answers, "
        f"softened by {teacher.temperature:g}, to {teacher.copies} distorted copies of the images "
        "were learnt"
    )
