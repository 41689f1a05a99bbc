"""The events of the log, as docs/operations.md has them."""

import re
from dataclasses import dataclass
from pathlib import Path

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"

ROW = re.compile(r"^\| `(.+?)` \| (\w+) \| (.*?) ?\|", re.MULTILINE)

ACCESS = frozenset(
    {
        *("method", "model", "version", "code", "rows"),
        *("duration_s", "queue_s", "compute_s", "peer", "request_id", "trace_id"),
    }
)
"""What the access log's lines may have, below the table."""


@dataclass(frozen=True)
class Event:
    """A row of the table."""

    level: str
    particulars: frozenset[str]


def read_events() -> dict[str, Event]:
    """By their names."""
    chapter = OPERATIONS.read_text().split("\n## Logs\n")[1].split("\n## ")[0]
    events: dict[str, Event] = {}
    for name, level, particulars in ROW.findall(chapter):
        words = set(re.findall(r"`(\w+)`", particulars))
        if "those of `ready`" in particulars:
            words = words - {"ready"} | events["ready"].particulars
        events[name] = Event(level, frozenset(words))
    events["request"] = Event("info", ACCESS)
    return events
