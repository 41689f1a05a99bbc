"""The line that moves while a load runs."""

import io

import pytest
from flatdense_client._load.crew import Progress
from flatdense_client.cli.pulse import Pulse
from rich.console import Console


def _shown(progress: Progress, *, is_wanted: bool = True) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80, color_system=None)
    with Pulse(console, warmup_s=1.0, duration_s=10.0, is_wanted=is_wanted) as pulse:
        pulse.show(progress)
    return text.getvalue()


@pytest.mark.parametrize(
    ("now_s", "failed", "told"),
    [
        (-0.5, 0, ["warming up"]),
        (3.2, 0, ["measuring", "3 of 10 s", "1,234 calls"]),
        (3.2, 5, ["measuring", "5 failed"]),
        (11.0, 0, ["waiting for the last answers", "10 of 10 s"]),
    ],
)
def test_people_see_how_far_it_is(now_s: float, failed: int, told: list[str]) -> None:
    """The line says what is done, how far it is, and how many calls there were."""
    shown = _shown(Progress(now_s=now_s, answered=1234, failed=failed))
    for words in told:
        assert words in shown


def test_nothing_is_shown_where_nobody_looks() -> None:
    """In a pipe no byte is written."""
    assert _shown(Progress(now_s=1.0, answered=1, failed=0), is_wanted=False) == ""
