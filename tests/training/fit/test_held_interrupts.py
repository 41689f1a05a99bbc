"""Ctrl-C that waits for its moment."""

import signal
from collections.abc import Iterator

import pytest
from flatdense_training.fit.interrupt import SIGNALS, held_interrupts


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What the test runner had is there again after each test."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_until_it_is_let_through(number: signal.Signals) -> None:
    """Then it is a KeyboardInterrupt, once."""
    with held_interrupts() as let_through:
        let_through()
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            let_through()
        let_through()


def test_one_that_was_not_let_through_comes_at_the_end() -> None:
    """None is lost."""
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        signal.raise_signal(signal.SIGTERM)


def test_a_second_signal_does_not_wait() -> None:
    """Whoever presses Ctrl-C twice has waited long enough."""
    with held_interrupts() as let_through:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            let_through()


def test_an_ignored_signal_stays_ignored() -> None:
    """A job in the background of a shell goes on when Ctrl-C is meant for another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_interrupts() as let_through:
        signal.raise_signal(signal.SIGINT)
        let_through()
