"""The command `flatdense-train`."""

import math
import sys
from pathlib import Path

import click
from rich.console import Console

from flatdense_training.datasets import DATASETS, MNIST
from flatdense_training.ending import carry_out
from flatdense_training.order import Order
from flatdense_training.recipe import Recipe

LARGEST_SEED = 2**32 - 1
LARGEST_HIDDEN = 2**16


def finite(
    _context: click.Context, parameter: click.Parameter, value: float | None
) -> float | None:
    """Refuses NaN and infinity, which float ranges let through."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.", param=parameter)
    return value


def at_home(_context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Expands `~`, which a shell does not do in the value of a variable."""
    try:
        return value and value.expanduser()
    except RuntimeError as error:
        message = f"{value} cannot be found: {error} Give the folder in full."
        raise click.BadParameter(message, param=parameter) from error


def by_dataset(what: str) -> str:
    """The defaults that depend on the dataset, for the help."""
    return ", ".join(f"{getattr(dataset, what)} for {name}" for name, dataset in DATASETS.items())


@click.command(
    context_settings={
        "auto_envvar_prefix": "FLATDENSE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="Without --data-dir the data is read from the cache, or else downloaded into it.",
)
@click.option(
    "--dataset",
    "dataset_name",
    type=click.Choice(list(DATASETS)),
    default=MNIST.name,
    envvar="FLATDENSE_DATASET",
    show_envvar=True,
    show_default=True,
    help="What to train on; `digits` are embedded in scikit-learn: no folder, no network.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    callback=at_home,
    show_envvar=True,
    help="Folder with the original IDX files, gzipped or not, or the Keras archive <dataset>.npz; "
    "or such an archive itself.",
)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path),
    callback=at_home,
    default=Path("~/.cache/flatdense"),
    show_envvar=True,
    show_default=True,
    help="Where downloads are kept, in one folder for each dataset.",
)
@click.option(
    "--model-dir",
    type=click.Path(path_type=Path),
    callback=at_home,
    default=Path("exported_model"),
    show_envvar=True,
    show_default=True,
    help="Where the model is exported to, as the next free version.",
)
@click.option(
    "--hidden",
    type=click.IntRange(1, LARGEST_HIDDEN),
    default=256,
    show_envvar=True,
    show_default=True,
    help="Width of the hidden layer.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    show_envvar=True,
    show_default=by_dataset("epochs"),
    help="Passes over the training images.",
)
@click.option(
    "--batch-rows",
    type=click.IntRange(1),
    default=128,
    show_envvar=True,
    show_default=True,
    help="Images in one training step.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    default=0.005,
    show_envvar=True,
    show_default=True,
    help="Of the first step; it falls to 0 along a half cosine.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_envvar=True,
    show_default=True,
    help="The same seed gives the same model on the same machine.",
)
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    callback=finite,
    show_envvar=True,
    show_default=by_dataset("min_accuracy"),
    help="Fraction of the test images that must be right, or nothing is exported.",
)
@click.version_option(package_name="flatdense-training")
def main(  # noqa: PLR0913  # one parameter for each option
    *,
    dataset_name: str,
    data_dir: Path | None,
    cache_dir: Path,
    model_dir: Path,
    hidden: int,
    epochs: int | None,
    batch_rows: int,
    learning_rate: float,
    seed: int,
    min_accuracy: float | None,
) -> None:
    """Trains the classifier and exports it for flatdense-server.

    A network of 28x28 pixels, one hidden layer and ten classes is trained, judged on the test
    images, and exported as a SavedModel.
    """
    dataset = DATASETS[dataset_name]
    order = Order(
        dataset=dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        model_dir=model_dir,
        hidden_units=hidden,
        recipe=Recipe(
            epochs=epochs or dataset.epochs,
            batch_rows=batch_rows,
            learning_rate=learning_rate,
            seed=seed,
        ),
        min_accuracy=dataset.min_accuracy if min_accuracy is None else min_accuracy,
    )

    def work() -> None:
        # Here and not above: these take seconds to import, which --help and usage errors need not
        # wait for.
        from flatdense_training.workflow import follow  # noqa: PLC0415

        follow(order, Console(highlight=False))

    left = f"No unfinished export is left in {order.model_dir}."
    sys.exit(carry_out(work, undone="The model was not exported.", left=left))
