"""The command `flatdense-train`."""

from pathlib import Path

import click
from rich.console import Console

from flatdense_training.compare_cli import carry_out_comparison
from flatdense_training.data.datasets import DATASETS, MNIST, Dataset
from flatdense_training.fit.place import Place, parse_place
from flatdense_training.fit.plan import Plan
from flatdense_training.fit.presets import PRESETS, STANDARD
from flatdense_training.order import HIDDEN_UNITS, CompileChoice, Order
from flatdense_training.request import Request
from flatdense_training.terminal.data_options import each_once, find_dataset, split_names
from flatdense_training.terminal.ending import carry_out, end
from flatdense_training.terminal.options import CONTEXT_SETTINGS, finite, folder_option, option

LARGEST_SEED = 2**32 - 1
LARGEST_HIDDEN = 2**16


def by_dataset(what: str, otherwise: object) -> str:
    """The defaults that depend on the dataset, for the help."""
    known = (f"{getattr(dataset, what)} for {name}" for name, dataset in DATASETS.items())
    return f"{', '.join(known)}, {otherwise} for your own"


def by_preset() -> str:
    """What the presets are, for the help."""
    return "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())


def find_place(tf_config: str | None) -> Place:
    """Which worker this one is. Raises UsageError."""
    if not tf_config:
        raise click.UsageError("--distribute needs TF_CONFIG (or --tf-config), which is not set.")
    try:
        return parse_place(tf_config)
    except ValueError as error:
        raise click.UsageError(f"TF_CONFIG cannot be used: {error}.") from None


@click.command(
    context_settings=CONTEXT_SETTINGS,
    epilog="Without --data-dir the data is read from the cache, or else downloaded into it.",
)
@option(
    "--dataset",
    "datasets",
    type=find_dataset,
    metavar="NAME|PATH",
    multiple=True,
    default=[MNIST.name],
    callback=each_once,
    envvar="FLATDENSE_DATASET",
    help="What to train on: mnist, fashion-mnist, digits (embedded in scikit-learn: no folder, no "
    "network), or the path of your own: a folder with one folder of 28x28 images for each class, "
    "or those below train and test; a folder with IDX files by MNIST's names; or an .npz with "
    "x_train, y_train and perhaps x_test, y_test. Given several times (in the variable: separated "
    "by spaces), they are learnt together.",
)
@option(
    "--class-names",
    metavar="A,B,C",
    callback=split_names,
    show_default="as the data calls them",
    help="What to call the 2 to 10 classes, in the order of the labels or of the folders, which "
    "are sorted as people do. The folders' own names in another order give that order.",
)
@folder_option(
    "--data-dir",
    help="Folder with the original IDX files of a dataset that is named, gzipped or not, or the "
    "Keras archive <dataset>.npz; or such an archive itself.",
)
@folder_option(
    "--cache-dir",
    default=Path("~/.cache/flatdense"),
    help="Where downloads are kept, in one folder for each dataset, compiled libraries, and what a "
    "stopped run goes on from.",
)
@folder_option(
    "--model-dir",
    default=Path("exported_model"),
    help="Where the model is exported to, as the next free version.",
)
@option(
    "--hidden",
    type=click.IntRange(1, LARGEST_HIDDEN),
    default=HIDDEN_UNITS,
    help="Width of the hidden layer.",
)
@option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default=STANDARD,
    help=f"{by_preset()}. The options below change it.",
)
@option(
    "--epochs",
    type=click.IntRange(1),
    show_default="the preset's, more where there are few images",
    help="Passes over the training images.",
)
@option(
    "--batch-rows",
    type=click.IntRange(1),
    show_default="the preset's",
    help="Images in one training step.",
)
@option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    show_default="the preset's",
    help="The highest; it is climbed to at first, and falls to 0 along a half cosine.",
)
@option(
    "--patience",
    type=click.IntRange(1),
    show_default="never",
    help="Stop after so many epochs without a better validation loss, and take the best weights.",
)
@option(
    "--distort/--no-distort",
    default=None,
    show_default="the preset's, but not for fashion-mnist",
    help="Turn, scale, shear, shift and bend the images a little, in another way each epoch.",
)
@option(
    "--teacher/--no-teacher",
    default=None,
    show_default="the preset's",
    help="First train a convolutional network, then learn its answers instead of the labels.",
)
@option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    help="The same seed gives the same model on the same machine.",
)
@option(
    "--resume",
    is_flag=True,
    help="Go on where the same run was stopped, with the same result as if it had not been. Where "
    "there is nothing to go on from, start from the beginning.",
)
@folder_option(
    "--logdir",
    help="Folder for the curves as TensorBoard reads them.",
)
@option(
    "--report-digits/--no-report-digits",
    default=True,
    help="Show the hardest test images in the report. Leave them out of what is published: a "
    "dataset's images are not yours to give.",
)
@option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    callback=finite,
    show_default=by_dataset("min_accuracy", "the share of the most frequent class"),
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
@option(
    "--compare",
    type=click.IntRange(1),
    nargs=2,
    metavar="A B",
    help="Train nothing: show two versions of --model-dir side by side, on the test images of what "
    "they were trained on, and whether they really differ.",
)
@option(
    "--distribute",
    is_flag=True,
    help="Learn together with the other workers that TF_CONFIG names, each started with the same "
    "command. The chief alone keeps checkpoints, judges and exports.",
)
@click.option(
    "--tf-config",
    metavar="JSON",
    envvar="TF_CONFIG",
    show_envvar=True,
    help="The addresses of all workers and the place of this one, as TensorFlow has it: "
    '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}.',
)
@click.version_option(package_name="flatdense-training")
def main(  # noqa: PLR0913  # one parameter for each option
    *,
    datasets: tuple[Dataset | Path, ...],
    class_names: tuple[str, ...] | None,
    data_dir: Path | None,
    cache_dir: Path,
    model_dir: Path,
    hidden: int,
    preset: str,
    epochs: int | None,
    batch_rows: int | None,
    learning_rate: float | None,
    patience: int | None,
    distort: bool | None,
    teacher: bool | None,
    seed: int,
    resume: bool,
    logdir: Path | None,
    report_digits: bool,
    min_accuracy: float | None,
    compile_choice: CompileChoice,
    compare: tuple[int, int] | None,
    distribute: bool,
    tf_config: str | None,
) -> None:
    """Trains the classifier and exports it for flatdense-server.

    A network of 28x28 pixels, one hidden layer and two to ten classes is trained, judged on the
    test images, and exported as a SavedModel. Then the network is compiled ahead of time, unless
    that was done before.
    """
    if compare is not None:
        request = Request(
            versions=compare,
            model_dir=model_dir,
            datasets=datasets,
            data_dir=data_dir,
            cache_dir=cache_dir,
        )
        end(carry_out_comparison(request))
    order = Order(
        datasets=datasets,
        class_names=class_names,
        data_dir=data_dir,
        cache_dir=cache_dir,
        model_dir=model_dir,
        hidden_units=hidden,
        plan=Plan(
            preset=preset,
            epochs=epochs,
            batch_rows=batch_rows,
            learning_rate=learning_rate,
            patience_epochs=patience,
            distort=distort,
            teach=teacher,
            seed=seed,
        ),
        resume=resume,
        logdir=logdir,
        drawn_digits=report_digits,
        min_accuracy=min_accuracy,
        compile=compile_choice,
        place=find_place(tf_config) if distribute else None,
    )

    def work() -> None:
        # Here and not above: these take seconds to import, which --help and usage errors need not
        # wait for.
        from flatdense_training.library import compile_library  # noqa: PLC0415
        from flatdense_training.terminal.screen import Screen  # noqa: PLC0415
        from flatdense_training.workflow import follow  # noqa: PLC0415

        screen = Screen(Console(highlight=False))
        version = follow(order, screen)
        if order.compile == "no" or version is None:
            return
        # An ending of its own: whatever comes now, the version is exported.
        status = carry_out(
            lambda: compile_library(order, version, screen),
            undone=f"{version} is exported; only its compiled library is missing.",
            left=f"{version} is exported. No unfinished library is left in {order.cache_dir}.",
        )
        end(status)

    left = (
        f"No unfinished export is left in {order.model_dir}. "
        "The same command with --resume goes on from here."
    )
    end(carry_out(work, undone="The model was not exported.", left=left))
