"""A worker's line to its supervisor: questions find their answers, and commands are obeyed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue

import pytest
from flatdense_server import liaison as module
from flatdense_server.errors import LoadFailed, NotReady
from flatdense_server.liaison import Liaison
from flatdense_server.models.orders import Order
from flatdense_server.post import Answer, Command, ControlWanted, FiguresWanted, Obeyed, Renewed
from flatdense_server.security.credentials import Credentials
from flatdense_server.security.tokens import Token

Orders = SimpleQueue[Order]


@pytest.fixture
def orders() -> Orders:
    """What the worker was told to do."""
    return SimpleQueue()


@pytest.fixture
def line(orders: Orders) -> Iterator[tuple[Liaison, Connection]]:
    """A worker's end, which listens, and the supervisor's."""
    theirs, ours = Pipe()
    liaison = Liaison(ours)
    listening = threading.Thread(target=liaison.listen, args=(orders.put,))
    listening.start()
    with theirs:
        yield liaison, theirs
    listening.join()
    ours.close()


def test_questions_find_their_own_answers(line: tuple[Liaison, Connection]) -> None:
    """However they are answered in time; what nobody asked is passed over."""
    liaison, supervisor = line
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(liaison.figures) for _ in range(3)]
        tokens = [supervisor.recv() for _ in asked]
        assert {type(wanted) for wanted in tokens} == {FiguresWanted}
        supervisor.send(Answer(999, {}))
        for wanted in reversed(tokens):
            supervisor.send(Answer(wanted.token, {"token": wanted.token}))
        found = [future.result(5) for future in asked]
    assert sorted(figures["token"] for figures in found) == sorted(each.token for each in tokens)


def test_a_supervisor_that_does_not_answer_is_not_waited_for_long(
    line: tuple[Liaison, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told to try again."""
    monkeypatch.setattr(module, "FIGURES_S", 0.01)
    with pytest.raises(NotReady, match="does not answer now"):
        line[0].figures()


@pytest.mark.parametrize("action", ["load", "unload"])
def test_control_is_passed_on_and_its_failure_is_told(
    line: tuple[Liaison, Connection], action: str
) -> None:
    """An empty reason is a success."""
    liaison, supervisor = line
    for reason in ("", "no version passes"):
        with ThreadPoolExecutor() as pool:
            done = pool.submit(getattr(liaison, action))
            wanted = supervisor.recv()
            assert wanted == ControlWanted(wanted.token, action)
            supervisor.send(Answer(wanted.token, reason))
            if reason:
                with pytest.raises(LoadFailed, match=reason):
                    done.result(5)
            else:
                done.result(5)


def test_a_command_becomes_an_order_that_reports(
    line: tuple[Liaison, Connection], orders: Orders
) -> None:
    """With the command's token, when it is done."""
    _, supervisor = line
    supervisor.send(Command(5, "unload"))
    supervisor.send(Command(6, "load"))
    for action, token, reason in (("unload", 5, ""), ("load", 6, "why")):
        order = orders.get(timeout=5)
        assert order.action == action
        order.done(reason)
        assert supervisor.recv() == Obeyed(token, reason)


def test_other_credentials_are_passed_on() -> None:
    """Whole, to whom they concern in the worker."""
    theirs, ours = Pipe()
    heard: SimpleQueue[Credentials] = SimpleQueue()
    credentials = Credentials(tokens=(Token("alice", frozenset({"admin"}), bytes(32)),))
    listening = threading.Thread(target=Liaison(ours).listen, args=(lambda _order: None, heard.put))
    listening.start()
    theirs.send(Renewed(credentials))
    assert heard.get(timeout=5) == credentials
    theirs.close()
    listening.join()
    ours.close()
