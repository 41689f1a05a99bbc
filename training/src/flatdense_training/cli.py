"""The command `flatdense-train`."""

from pathlib import Path

import click
from rich.console import Console

from flatdense_training.data.datasets import DATASETS, MNIST
from flatdense_training.fit.recipe import Recipe
from flatdense_training.order import CompileChoice, Order
from flatdense_training.terminal.ending import carry_out, end
from flatdense_training.terminal.options import CONTEXT_SETTINGS, finite, folder_option, option

LARGEST_SEED = 2**32 - 1
LARGEST_HIDDEN = 2**16


def by_dataset(what: str) -> str:
    """The defaults that depend on the dataset, for the help."""
    return ", ".join(f"{getattr(dataset, what)} for {name}" for name, dataset in DATASETS.items())


@click.command(
    context_settings=CONTEXT_SETTINGS,
    epilog="Without --data-dir the data is read from the cache, or else downloaded into it.",
)
@option(
    "--dataset",
    "dataset_name",
    type=click.Choice(list(DATASETS)),
    default=MNIST.name,
    envvar="FLATDENSE_DATASET",
    help="What to train on; `digits` are embedded in scikit-learn: no folder, no network.",
)
@folder_option(
    "--data-dir",
    help="Folder with the original IDX files, gzipped or not, or the Keras archive <dataset>.npz; "
    "or such an archive itself.",
)
@folder_option(
    "--cache-dir",
    default=Path("~/.cache/flatdense"),
    help="Where downloads are kept, in one folder for each dataset, and compiled libraries.",
)
@folder_option(
    "--model-dir",
    default=Path("exported_model"),
    help="Where the model is exported to, as the next free version.",
)
@option(
    "--hidden",
    type=click.IntRange(1, LARGEST_HIDDEN),
    default=256,
    help="Width of the hidden layer.",
)
@option(
    "--epochs",
    type=click.IntRange(1),
    show_default=by_dataset("epochs"),
    help="Passes over the training images.",
)
@option(
    "--batch-rows",
    type=click.IntRange(1),
    default=128,
    help="Images in one training step.",
)
@option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    default=0.005,
    help="Of the first step; it falls to 0 along a half cosine.",
)
@option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    help="The same seed gives the same model on the same machine.",
)
@option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    callback=finite,
    show_default=by_dataset("min_accuracy"),
    help="Fraction of the test images that must be right, or nothing is exported.",
)
@option(
    "--compile",
    "compile_choice",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    envvar="FLATDENSE_COMPILE",
    help="Compile the network after the export, to be served without TensorFlow. "
    "auto: where there is a C++ compiler.",
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
    compile_choice: CompileChoice,
) -> None:
    """Trains the classifier and exports it for flatdense-server.

    A network of 28x28 pixels, one hidden layer and ten classes is trained, judged on the test
    images, and exported as a SavedModel. Then the network is compiled ahead of time, unless that
    was done before.
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
        compile=compile_choice,
    )

    def work() -> None:
        # Here and not above: these take seconds to import, which --help and usage errors need not
        # wait for.
        from flatdense_training.library import compile_library  # noqa: PLC0415
        from flatdense_training.terminal.screen import Screen  # noqa: PLC0415
        from flatdense_training.workflow import follow  # noqa: PLC0415

        screen = Screen(Console(highlight=False))
        version = follow(order, screen)
        if order.compile == "no":
            return
        # An ending of its own: whatever comes now, the version is exported.
        status = carry_out(
            lambda: compile_library(order, version, screen),
            undone=f"{version} is exported; only its compiled library is missing.",
            left=f"{version} is exported. No unfinished library is left in {order.cache_dir}.",
        )
        end(status)

    left = f"No unfinished export is left in {order.model_dir}."
    end(carry_out(work, undone="The model was not exported.", left=left))
