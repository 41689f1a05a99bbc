"""What one worker wants of all of them is answered when all have done it."""

from flatdense_server.commands import Commands
from flatdense_server.post import Answer, Command

Sent = list[tuple[int, Answer | Command]]


def commands() -> tuple[Commands, Sent]:
    """Commands, and what they send."""
    sent: Sent = []
    return Commands(lambda number, message: sent.append((number, message))), sent


def test_every_worker_is_told_and_the_asker_hears_when_all_are_done() -> None:
    """Not before, and by the token of its own question."""
    passed, sent = commands()
    passed.begin(2, 7, "unload", {1, 2, 3})
    assert sent == [(number, Command(1, "unload")) for number in (1, 2, 3)]
    sent.clear()
    for number in (3, 1):
        passed.obeyed(number, 1, "")
    assert sent == []
    passed.obeyed(2, 1, "")
    assert sent == [(2, Answer(7, ""))]


def test_each_reason_is_told_once() -> None:
    """All workers read the same folder: they mostly fail for the same reason."""
    passed, sent = commands()
    passed.begin(1, 1, "load", {1, 2, 3})
    sent.clear()
    for number, reason in ((1, "no disk"), (2, "no disk"), (3, "no memory")):
        passed.obeyed(number, 1, reason)
    assert sent == [(1, Answer(1, "no disk; no memory"))]


def test_a_worker_that_ends_is_not_waited_for() -> None:
    """The one that takes its place is told when it starts."""
    passed, sent = commands()
    passed.begin(1, 1, "load", {1, 2})
    sent.clear()
    passed.obeyed(1, 1, "")
    passed.gone(2)
    assert sent == [(1, Answer(1, ""))]
    passed.obeyed(2, 1, "too late")
    assert len(sent) == 1


def test_without_workers_the_answer_comes_at_once() -> None:
    """There is nobody to wait for."""
    passed, sent = commands()
    passed.begin(1, 4, "unload", ())
    assert sent == [(1, Answer(4, ""))]
