"""What was measured, as a file for later, and as the README's table."""

import json
import re
import statistics
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results" / "serving.json"
README: Final = ROOT / "README.md"

SECTION: Final = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""The part of the README that `make bench` writes."""

Results = dict[str, Any]


def publish(results: Results) -> None:
    """Writes the file and the README's section."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    section = render(results)
    README.write_text(SECTION.sub(lambda _match: section, README.read_text()))


def render(results: Results) -> str:
    """The table and the machine it was measured on, in Markdown."""
    machine = results["machine"]
    lines = [
        "| | unit | flatdense | bare grpcio, no model | ratio | least to most |",
        "|---|---|---|---|---|---|",
    ]
    for case in results["cases"]:
        ours, limit = case["flatdense"], case["bare grpcio"]
        ratios = [one / other for one, other in zip(ours, limit, strict=True)]
        medians = [statistics.median(values) for values in (ours, limit, ratios)]
        lines.append(
            f"| {case['name']} | {case['unit']} | {medians[0]:,.0f} | {medians[1]:,.0f} "
            f"| {medians[2]:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
        )
    rounds = len(results["cases"][0]["flatdense"])
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    lines += [
        "",
        (
            f"Medians of {rounds} rounds, the two servers in turn, one process each, on "
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
            f"Python {machine['python']}, {libraries}. The load generator ran on the same cores."
        ),
    ]
    return "\n".join(lines) + "\n"
