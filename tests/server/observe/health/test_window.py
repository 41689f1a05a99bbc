"""A sliding window over counts that grow."""

from collections import Counter
from itertools import accumulate

from flatdense_server.observe.health.window import SLOTS, Window
from hypothesis import given
from hypothesis import strategies as st

LENGTH_S = 60.0
STEP_S = LENGTH_S / SLOTS
ROUNDING_S = 1e-6

growths = st.dictionaries(st.sampled_from("abc"), st.integers(0, 1000))
gaps_s = st.sampled_from([0.5, 0.75, 20.0, LENGTH_S / 2, LENGTH_S - 0.5, LENGTH_S])
arrivals = st.lists(st.tuples(gaps_s | st.floats(0.01, 90), growths), min_size=1, max_size=40)


@given(arrivals)
def test_it_has_what_came_within_its_length_and_at_most_one_step_more(
    arrivals: list[tuple[float, dict[str, int]]],
) -> None:
    """At every moment: all that is younger than its length, nothing older than a step beyond."""
    window, total = Window[str](LENGTH_S), Counter[str]()
    moments = list(accumulate(gap_s for gap_s, _ in arrivals))
    for index, (now_s, (_, growth)) in enumerate(zip(moments, arrivals, strict=True)):
        total.update(growth)
        window.note(total, now_s)
        least, most = Counter[str](), Counter[str]()
        for then_s, (_, came) in zip(moments[: index + 1], arrivals, strict=False):
            if then_s > now_s - LENGTH_S + ROUNDING_S:
                least.update(came)
            if then_s > now_s - LENGTH_S - STEP_S - ROUNDING_S:
                most.update(came)
        found = window.growth()
        for key in "abc":
            assert least[key] <= found.get(key, 0) <= most[key]


def test_before_the_first_note_there_was_nothing() -> None:
    """What is counted when it begins has just come."""
    window = Window[str](LENGTH_S)
    window.note({"a": 7}, 1000.0)
    assert window.growth() == {"a": 7}


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 50)), min_size=1, max_size=30)
)
def test_counts_that_begin_anew_are_never_negative(notes: list[dict[str, int]]) -> None:
    """However counts fall or vanish, nothing in the window is below 0."""
    window = Window[str](LENGTH_S)
    for now_s, counts in enumerate(notes):
        window.note(counts, float(now_s))
        assert all(rows >= 0 for rows in window.growth().values())


def test_what_came_before_a_restart_of_the_counts_stays() -> None:
    """And what comes after it is counted from there."""
    window = Window[str](LENGTH_S)
    for now_s, count in enumerate([100, 130, 10, 25]):
        window.note({"a": count}, float(now_s))
    assert window.growth() == {"a": 130 + 15}


def test_it_keeps_no_more_than_its_slots() -> None:
    """However often it is told, its memory is that of its length."""
    window = Window[str](LENGTH_S)
    for moment in range(10_000):
        window.note({"a": moment}, moment * STEP_S / 7)
    assert len(window._slots) <= SLOTS + 1
