"""How numbers are written."""

import pytest
from flatdense_training.report.notation import count, duration, percent, span


def test_numbers() -> None:
    """Fractions are percent with a space, counts have commas, a span has one sign."""
    assert percent(0.98214) == "98.21\N{NO-BREAK SPACE}%"
    assert percent(0.98214, 0) == "98\N{NO-BREAK SPACE}%"
    assert span(0.97931, 0.98449) == "97.93 to 98.45\N{NO-BREAK SPACE}%"
    assert count(10_000) == "10,000"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.04, "0.0 s"),
        (48.23, "48.2 s"),
        (59.97, "1 min 0 s"),
        (725, "12 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7400, "2 h 3 min"),
    ],
)
def test_duration(seconds: float, written: str) -> None:
    """A duration has the two largest units that it fills, and never sixty of one."""
    assert duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == written
