"""What is sent to a receiver that is slow, or away: bounded, and nobody waits for it."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from flatdense_server.observe.traces.delivery import AT_ONCE, MOST_WAITING, Delivery

Open = Callable[[Callable[[Sequence[int]], str]], Delivery[int]]


@pytest.fixture
def dropped() -> list[int]:
    """How many were dropped, each time that some were."""
    return []


@pytest.fixture
def deliver(dropped: list[int]) -> Iterator[Open]:
    """Opens deliveries by what they send with. All are closed in the end."""
    opened: list[Delivery[int]] = []

    def open_delivery(send: Callable[[Sequence[int]], str]) -> Delivery[int]:
        """See the fixture."""
        opened.append(Delivery(send, dropped.append))
        return opened[-1]

    yield open_delivery
    for delivery in opened:
        delivery.close(10)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, without its particulars."""
    return [record.getMessage() for record in caplog.records]


def test_all_arrive_in_their_order(deliver: Open, dropped: list[int]) -> None:
    """In pieces of a bounded size; what is there when it is closed, too."""
    pieces: list[list[int]] = []

    def send(items: Sequence[int]) -> str:
        """Takes all."""
        pieces.append(list(items))
        return ""

    delivery = deliver(send)
    for item in range(3 * AT_ONCE):
        delivery.put(item)
    assert delivery.close(20)
    assert [item for piece in pieces for item in piece] == list(range(3 * AT_ONCE))
    assert max(map(len, pieces)) <= AT_ONCE
    assert dropped == []


def test_a_receiver_that_hangs_holds_nobody_up(deliver: Open, dropped: list[int]) -> None:
    """What finds no place is counted, and the end does not wait for it."""
    begun, go_on = threading.Event(), threading.Event()

    def send(_items: Sequence[int]) -> str:
        """Hangs."""
        begun.set()
        go_on.wait()
        return ""

    delivery = deliver(send)
    for item in range(AT_ONCE):
        delivery.put(item)
    assert begun.wait(20)
    for item in range(2 * MOST_WAITING):
        delivery.put(item)
    assert delivery.is_full
    assert sum(dropped) == MOST_WAITING
    assert not delivery.close(0.05)
    go_on.set()


@pytest.mark.parametrize("raises", [False, True])
def test_a_trouble_that_lasts_is_told_of_once(
    deliver: Open, dropped: list[int], caplog: pytest.LogCaptureFixture, *, raises: bool
) -> None:
    """With its reason and no traceback; and its end."""
    caplog.set_level(logging.INFO)
    troubles = ["nobody is there"] * 5
    arrived = threading.Event()

    def send(_items: Sequence[int]) -> str:
        """Fails five times."""
        if not troubles:
            arrived.set()
            return ""
        if raises:
            raise OSError(troubles.pop())
        return troubles.pop()

    delivery = deliver(send)
    for item in range(6 * AT_ONCE):
        delivery.put(item)
    assert arrived.wait(30)
    assert delivery.close(20)
    assert lines(caplog) == ["traces do not arrive", "traces arrive again"]
    assert "nobody is there" in caplog.records[0].reason
    assert caplog.records[0].exc_info is None
    assert sum(dropped) == 5 * AT_ONCE
