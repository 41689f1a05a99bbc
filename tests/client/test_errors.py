"""The tree of errors."""

import inspect
import pickle
import re

import flatdense_client
import pytest
from flatdense_client import FlatdenseError, Overloaded, _errors

LEAVES = [e for _, e in inspect.getmembers(flatdense_client) if inspect.isclass(e)]
LEAVES = [e for e in LEAVES if issubclass(e, FlatdenseError) and e is not FlatdenseError]


def test_the_docstring_draws_the_tree() -> None:
    """The module's docstring names every error, and nothing else."""
    drawn = re.findall(r"[├└]── (\w+)", _errors.__doc__ or "")
    assert sorted(drawn) == sorted(error.__name__ for error in LEAVES)
    assert all(error.__bases__ == (FlatdenseError,) for error in LEAVES)


@pytest.mark.parametrize("error", LEAVES)
def test_errors_cross_processes(error: type[FlatdenseError]) -> None:
    """An error raised in a worker process arrives whole in its parent."""
    copy = pickle.loads(pickle.dumps(error("told")))
    assert type(copy) is error
    assert str(copy) == "told"


def test_what_an_error_carries_crosses_too() -> None:
    """The attributes beside the message are not lost on the way."""
    assert pickle.loads(pickle.dumps(Overloaded("told", 0.25))).retry_after_s == 0.25
