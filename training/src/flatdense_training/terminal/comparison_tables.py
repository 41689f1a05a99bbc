"""What the user sees of a comparison: tables, and a sentence that says what they mean."""

from collections.abc import Iterable, Iterator

from flatdense_training.judge.comparison import Comparison, Side
from flatdense_training.judge.mcnemar import SIGNIFICANT, Contest
from flatdense_training.judge.robustness import Disturbed, without_untouched
from flatdense_training.terminal.screen import Screen, plain_table

SMALL_P = 1e-4
"""Below it, odds are told as "fewer than"."""

Versions = tuple[int, int]
Named = tuple[str, float]


def show_comparison(screen: Screen, versions: Versions, comparison: Comparison) -> None:
    """Both versions side by side, who is right where, and whether the difference is real."""
    screen.chapter("Side by side, on the test images")
    show_pairs(screen, versions, list_figures(comparison.first), list_figures(comparison.second))
    screen.chapter("Image by image")
    show_contest(screen, versions, comparison.contest)
    screen.console.print()
    screen.line(verdict(versions, comparison.contest))


def show_robustness(
    screen: Screen, versions: Versions, first: Iterable[Disturbed], second: Iterable[Disturbed]
) -> None:
    """The accuracies under every disturbance, side by side."""
    screen.chapter("Accuracy on disturbed test images")
    show_pairs(screen, versions, name_steps(first), name_steps(second))


def show_pairs(
    screen: Screen, versions: Versions, first: Iterable[Named], second: Iterable[Named]
) -> None:
    """A table of the same figures of both."""
    table = plain_table("")
    for title in (*(f"Version {version}" for version in versions), "Difference"):
        table.add_column(title, justify="right")
    for (name, one), (_, other) in zip(first, second, strict=True):
        table.add_row(name, f"{one:.4f}", f"{other:.4f}", f"{other - one:+.4f}")
    screen.console.print(table)


def list_figures(side: Side) -> Iterator[Named]:
    """Every figure of a side with its name."""
    outcome = side.outcome
    yield "accuracy", outcome.accuracy
    yield "  at least, with 95 % confidence", outcome.accuracy_low
    yield "  at most", outcome.accuracy_high
    yield "loss in nats", outcome.loss
    yield "calibration error (ECE)", side.ece
    for each in side.classes:
        yield f"recall of {each.name}", each.recall


def name_steps(steps: Iterable[Disturbed]) -> Iterator[Named]:
    """Every accuracy with the name of its disturbance and its amount; not of the untouched."""
    for step in without_untouched(steps):
        yield f"{step.disturbance} {step.amount:g} {step.unit}", step.accuracy


def show_contest(screen: Screen, versions: Versions, contest: Contest) -> None:
    """How many images both, one or none of the two got right."""
    first, second = versions
    table = plain_table("")
    for title in (f"Version {second} right", f"Version {second} wrong"):
        table.add_column(title, justify="right")
    table.add_row(f"Version {first} right", f"{contest.both:,}", f"{contest.only_first:,}")
    table.add_row(f"Version {first} wrong", f"{contest.only_second:,}", f"{contest.neither:,}")
    screen.console.print(table)


def verdict(versions: Versions, contest: Contest) -> str:
    """Whether the difference is real, for people."""
    lead = contest.only_second - contest.only_first
    better, other = (versions[1], versions[0]) if lead > 0 else versions
    if contest.only_first + contest.only_second == 0:
        return "Both are right about the very same images: this test cannot tell them apart."
    if lead == 0:
        return (
            f"Each is right about {contest.only_first:,} images that the other is wrong about: "
            "this test sees no difference."
        )
    so = "the difference is real" if contest.is_real else "the difference may well be chance"
    return (
        f"Version {better} is right about {abs(lead):,} more images than version {other}. Two "
        f"equally good versions would lie as far apart in {tell_odds(contest.p)} such tests, by "
        f"chance alone (McNemar's test, p = {contest.p:.2g}): {so}."
    )


def tell_odds(p: float) -> str:
    """`fewer than 1 of 10,000`, `3 of 10,000`, `53 of 100`."""
    if p < SMALL_P:
        return f"fewer than 1 of {round(1 / SMALL_P):,}"
    tests = 100 if p >= SIGNIFICANT else 10_000
    return f"{round(p * tests):,} of {tests:,}"
