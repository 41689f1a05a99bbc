"""How classes are called."""

import pytest
from flatdense_training.data.own.class_names import (
    check_class_names,
    name_folders,
    sort_naturally,
)
from flatdense_training.errors import DataUnfit
from hypothesis import given
from hypothesis import strategies as st


def test_numbers_are_sorted_by_value() -> None:
    """2 comes before 10, numbers before letters, and small and capital letters together."""
    names = ["b", "10", "A2", "2", "a10", "B1", "A"]
    assert sort_naturally(names) == ["2", "10", "A", "A2", "a10", "b", "B1"]


@given(st.lists(st.text(), unique=True), st.randoms())
def test_the_order_is_one(names: list[str], random: object) -> None:
    """However folders are listed, their order is the same, and none is lost."""
    shuffled = names.copy()
    random.shuffle(shuffled)
    assert sort_naturally(shuffled) == sort_naturally(names)
    assert sorted(sort_naturally(names)) == sorted(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "it has no class, expected 2 to 10"),
        (["a"], "it has one class, 'a', expected 2 to 10"),
        (list("abcdefghijk"), "it has 11 classes, expected 2 to 10"),
        (["a", " "], "class 1 is called ' ', which is empty"),
        (["a", "b", "a"], "class 2 is called 'a', as is class 0"),
        (["a", "b\n"], "which cannot be printed"),
        (["a", "\udcff"], "which cannot be printed"),
        (["a", "b,c"], "whose comma would separate two names"),
        (["a", "b" * 65], "which has 65 characters"),
    ],
)
def test_wrong_names(names: list[str], message: str) -> None:
    """Names that cannot be told apart, or shown, are refused with the class that is to blame."""
    with pytest.raises(DataUnfit, match=message):
        check_class_names(names, where="it")


@pytest.mark.parametrize(
    ("names", "order"),
    [(None, ["1", "9", "10"]), (["10", "1", "9"], ["10", "1", "9"]), (["x", "y", "z"], None)],
)
def test_names_for_folders(names: list[str] | None, order: list[str] | None) -> None:
    """The folders' own names give an order; other names follow the natural one."""
    folders = ["1", "9", "10"]
    assert name_folders(folders, names, where="it") == (order or folders)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1", "9"], "has 3 classes, 1, 9, 10, and --class-names gives 2"),
        (["9", "1", "ten"], "has no folder ten"),
    ],
)
def test_names_that_would_go_to_wrong_folders(names: list[str], message: str) -> None:
    """A name more or less, or a folder's name beside a new one, never renames the wrong folder."""
    with pytest.raises(DataUnfit, match=message):
        name_folders(["1", "9", "10"], names, where="it")
