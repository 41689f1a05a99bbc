"""The signals that end a process."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flatdense_server.signals import ENDING, StopSignal


@pytest.fixture(autouse=True)
def handlers() -> Iterator[dict[int, object]]:
    """The handlers from before the test, there again after it."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_the_wait_and_is_named(number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C both end it; the name is for the log."""
    stop = StopSignal()
    with stop.caught():
        signal.raise_signal(number)
        stop.wait()
    assert stop.name == number.name


@pytest.mark.parametrize("number", ENDING)
def test_a_second_signal_is_not_caught(number: signal.Signals) -> None:
    """After the first one both signals do what they do to any process."""
    stop = StopSignal()
    with stop.caught():
        signal.raise_signal(number)
        assert [signal.getsignal(each) for each in ENDING] == [signal.SIG_DFL, signal.SIG_DFL]


def test_after_the_block_the_old_handlers_are_back(handlers: dict[int, object]) -> None:
    """Whether or not a signal came."""
    for raised in (False, True):
        stop = StopSignal()
        with stop.caught():
            if raised:
                signal.raise_signal(signal.SIGTERM)
        assert {number: signal.getsignal(number) for number in ENDING} == handlers


def test_a_signal_that_does_not_wake_the_main_thread_is_noticed() -> None:
    """Such as one that comes in the instant before a wait begins, or to another thread."""
    stop = StopSignal()
    main = Path(f"/proc/self/task/{threading.get_native_id()}/stat")

    def send() -> None:
        """To this thread, once the main thread sleeps."""
        while main.read_text().rpartition(") ")[2][0] != "S":
            pass
        signal.raise_signal(signal.SIGTERM)

    with stop.caught():
        sender = threading.Thread(target=send)
        sender.start()
        stop.wait()
    sender.join()
    assert stop.name == "SIGTERM"


def test_the_wait_ends_without_a_signal() -> None:
    """set() ends it, before it begins too, without a name."""
    stop = StopSignal()
    stop.set()
    stop.wait()
    assert stop.name == ""
