"""The whole way of a run: what can fail at once comes first, what takes long comes last."""

from pathlib import Path

from flatdense_training.data.sources import find_source
from flatdense_training.data.split import split
from flatdense_training.export.publish import check_writable
from flatdense_training.library import check_compilable
from flatdense_training.order import Order
from flatdense_training.quiet import quieten_tensorflow
from flatdense_training.terminal.download_bars import download_bars
from flatdense_training.terminal.screen import Screen


def follow(order: Order, screen: Screen) -> Path:
    """Carries out an order, and gives the folder of the version that it exported.

    Raises TrainingError. Quietens and seeds the libraries of the whole process.
    """
    check_writable(order.model_dir)
    if order.compile == "yes":
        check_compilable()
    screen.chapter("Data")
    with download_bars(screen.console) as progress:
        source = find_source(
            order.dataset, data_dir=order.data_dir, cache_dir=order.cache_dir, progress=progress
        )
    splits = split(order.dataset, source.arrays, seed=order.recipe.seed)
    screen.data(order.dataset, source.origin, splits)
    with screen.waiting("Loading TensorFlow"):
        quieten_tensorflow()
        # Only now: it takes seconds, and reads the settings above when it is imported.
        from flatdense_training import job  # noqa: PLC0415
    return job.run(order, splits, screen)
