"""What the user reads."""

import io
from pathlib import Path

import pytest
from flatdense_artifact import Architecture, Layer
from flatdense_training.fit.recipe import Epoch
from flatdense_training.terminal.download_bars import download_bars
from flatdense_training.terminal.epoch_bar import epoch_bar
from flatdense_training.terminal.screen import Screen
from rich.console import Console


def make_console(*, terminal: bool = False, width: int = 80) -> Console:
    """A console that writes into memory."""
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, highlight=False)


def text_of(console: Console) -> str:
    """What was written."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_layer_table() -> None:
    """The table gives each layer's parameters and their sum."""
    layers = [
        Layer(name="flatten", kind="Flatten", output_shape=[784], parameters=0),
        Layer(
            name="hidden", kind="Dense", activation="relu", output_shape=[256], parameters=200_960
        ),
        Layer(
            name="output", kind="Dense", activation="softmax", output_shape=[10], parameters=2_570
        ),
    ]
    console = make_console()
    Screen(console).model(Architecture(input_shape=[28, 28], layers=layers))
    rows = [line.split() for line in text_of(console).splitlines() if line.strip()]
    assert rows[2:] == [
        ["flatten", "Flatten", "-", "784", "0"],
        ["hidden", "Dense", "relu", "256", "200,960"],
        ["output", "Dense", "softmax", "10", "2,570"],
        ["in", "all", "203,530"],
    ]


def test_paths_are_never_folded() -> None:
    """A long path stays on one line, to be copied, and is not taken for markup."""
    console = make_console(width=20)
    folder = Path("/a/very/long/folder/[bold]/with/a/version/1")
    Screen(console).exported(folder, folder.parent)
    assert f"  {folder}, read back and verified\n" in text_of(console)
    assert f"  Serve it: flatdense-server --model-dir {folder.parent}\n" in text_of(console)


EPOCH = Epoch(number=3, loss=0.25, accuracy=0.9, validation_loss=0.5, validation_accuracy=0.8)


def test_one_line_for_each_epoch_in_a_pipe() -> None:
    """Without a terminal there is one plain line for an epoch, and nothing else."""
    console = make_console()
    with epoch_bar(console, epochs=10, steps_per_epoch=2) as bar:
        bar.batch_ended()
        bar.epoch_ended(EPOCH)
    assert text_of(console) == (
        "  epoch  3/10  loss 0.2500  accuracy 0.9000  validation loss 0.5000  accuracy 0.8000\n"
    )


def test_bar_on_a_terminal() -> None:
    """A terminal has the line of an epoch and a bar that counts batches."""
    console = make_console(terminal=True)
    with epoch_bar(console, epochs=10, steps_per_epoch=2) as bar:
        bar.batch_ended()
        bar.epoch_ended(EPOCH)
    assert "epoch  3/10" in text_of(console)
    assert "1/20" in text_of(console)


@pytest.mark.parametrize("terminal", [True, False])
def test_download_is_announced_once(*, terminal: bool) -> None:
    """Each file that is downloaded has one line, however often it reports."""
    console = make_console(terminal=terminal)
    with download_bars(console) as progress:
        for received_bytes in (0, 5, 10):
            progress(file="labels.gz", received_bytes=received_bytes, total_bytes=None)
    assert text_of(console).count("Downloading labels.gz") == 1
