"""What the user reads."""

import io
from pathlib import Path

import pytest
from flatdense_artifact import Architecture, Layer
from flatdense_training.fit.recipe import Epoch
from flatdense_training.terminal.download_bars import download_bars
from flatdense_training.terminal.epoch_bar import count_bar, epoch_bar
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


def epoch(number: int) -> Epoch:
    """A pass of 2 seconds."""
    return Epoch(
        number=number,
        loss=0.25,
        accuracy=0.9,
        validation_loss=0.5,
        validation_accuracy=0.8,
        learning_rate=0.001,
        duration_s=2.0,
        waited_s=0.5,
    )


def test_one_line_for_each_epoch_in_a_pipe() -> None:
    """Without a terminal there is one plain line for an epoch, with its rate, and nothing else."""
    console = make_console()
    with epoch_bar(console, epochs=10, steps_per_epoch=2, rows=3_000) as bar:
        bar.steps_done(2)
        bar.epoch_ended(epoch(3))
    assert text_of(console) == (
        "  epoch  3/10  loss 0.2500  accuracy 0.9000  "
        "validation loss 0.5000  accuracy 0.8000  1,500 images/s\n"
    )


def test_many_epochs_have_few_lines() -> None:
    """At most forty, and the last one is among them."""
    console = make_console()
    with epoch_bar(console, epochs=1_001, steps_per_epoch=1, rows=10) as bar:
        for number in range(1, 1_002):
            bar.epoch_ended(epoch(number))
    lines = text_of(console).splitlines()
    assert 20 <= len(lines) <= 40
    assert "1001/1001" in lines[-1]


def test_a_resumed_run_says_where_it_goes_on() -> None:
    """And a checkpoint that could not be written is no secret."""
    console = make_console()
    with epoch_bar(console, epochs=10, steps_per_epoch=2, rows=10) as bar:
        bar.resumed([epoch(1), epoch(2)])
        bar.not_kept("No space left on device")
    assert text_of(console) == (
        "  goes on after epoch 2\n"
        "  Note: a checkpoint could not be written: No space left on device. "
        "The run goes on without.\n"
    )


def test_bar_on_a_terminal() -> None:
    """A terminal has the line of an epoch and a bar that counts batches."""
    console = make_console(terminal=True)
    with epoch_bar(console, epochs=10, steps_per_epoch=2, rows=10) as bar:
        bar.steps_done(1)
        bar.epoch_ended(epoch(3))
    assert "epoch  3/10" in text_of(console)
    assert "6/20" in text_of(console)


def test_the_counting_bar_counts() -> None:
    """On a terminal it moves with each call; in a pipe it is silent."""
    for terminal in (True, False):
        console = make_console(terminal=terminal)
        with count_bar(console, "copies", total=4) as counted:
            counted()
        assert ("copies" in text_of(console)) is terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_download_is_announced_once(*, terminal: bool) -> None:
    """Each file that is downloaded has one line, however often it reports."""
    console = make_console(terminal=terminal)
    with download_bars(console) as progress:
        for received_bytes in (0, 5, 10):
            progress(file="labels.gz", received_bytes=received_bytes, total_bytes=None)
    assert text_of(console).count("Downloading labels.gz") == 1
