"""The whole way of a run: what can fail at once comes first, what takes long comes last."""

from pathlib import Path

from flatdense_training.data.datasets import Dataset
from flatdense_training.data.material import assemble
from flatdense_training.data.own.place import read_place
from flatdense_training.data.sources import Source, find_source
from flatdense_training.export.publish import check_writable
from flatdense_training.library import check_compilable
from flatdense_training.order import Order
from flatdense_training.quiet import quiet_tensorflow
from flatdense_training.terminal.download_bars import download_bars
from flatdense_training.terminal.screen import Screen


def follow(order: Order, screen: Screen) -> Path | None:
    """Carries out an order, and gives the folder of the version that it exported; see job.run().

    Raises TrainingError. Quietens and seeds the libraries of the whole process.
    """
    is_chief = order.place is None or order.place.is_chief
    if is_chief:
        check_writable(order.model_dir)
    if is_chief and order.compile == "yes":
        check_compilable()
    screen.chapter("Data")
    sources = [
        read(
            choice,
            class_names=order.class_names,
            data_dir=order.data_dir,
            cache_dir=order.cache_dir,
            screen=screen,
        )
        for choice in order.datasets
    ]
    material = assemble(sources, order.class_names, seed=order.plan.seed)
    screen.data(material)
    with screen.waiting("Loading TensorFlow"), quiet_tensorflow():
        # Only now: it takes seconds, and reads the settings above when it is imported.
        from flatdense_training import job  # noqa: PLC0415
    return job.run(order, material, screen)


def read(
    choice: Dataset | Path,
    *,
    class_names: tuple[str, ...] | None,
    data_dir: Path | None,
    cache_dir: Path,
    screen: Screen,
) -> Source:
    """Reads one of the datasets, as an order says. Raises TrainingError."""
    if isinstance(choice, Path):
        with screen.waiting(f"Reading {choice}"):
            return read_place(choice, class_names)
    with download_bars(screen.console) as progress:
        return find_source(choice, data_dir=data_dir, cache_dir=cache_dir, progress=progress)
