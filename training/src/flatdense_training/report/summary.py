"""What a report says, in a few sentences for everybody."""

from flatdense_training.report.notation import NO_BREAK, count, percent, span
from flatdense_training.report.report import Report


def headline(report: Report) -> str:
    """The one sentence."""
    test = report.test
    return f"It is right about {percent(test.accuracy)} of {count(test.rows)} test images."


def sentences(report: Report) -> list[str]:
    """What else is worth knowing before any picture."""
    return [certainty(report), honesty(report), strengths(report), weaknesses(report)]


def certainty(report: Report) -> str:
    """How often it errs, and how sure that is."""
    test = report.test
    wrong = test.rows - test.correct
    rate = f"that is one in {count(round(test.rows / wrong))}" if wrong else "not one"
    return (
        f"It was wrong about {count(wrong)} of them; {rate}. On other images of the same kind it "
        f"is right about {span(test.accuracy_low, test.accuracy_high)}, with 95{NO_BREAK}% "
        "confidence."
    )


def honesty(report: Report) -> str:
    """How far its confidence can be believed."""
    points = f"{100 * report.calibration.ece:.2f}"
    return (
        f"How sure it says it is, and how often it is right, lie {points} percentage points apart "
        "on average."
    )


def strengths(report: Report) -> str:
    """The best and the weakest class."""
    best = max(report.classes, key=lambda each: each.recall)
    weakest = min(report.classes, key=lambda each: each.recall)
    return (
        f"It is best at {best.name}, of which it finds {percent(best.recall, 1)}, and weakest at "
        f"{weakest.name}, of which it finds {percent(weakest.recall, 1)}."
    )


def weaknesses(report: Report) -> str:
    """What disturbances do to it."""
    moved, turned, swapped = (
        percent(accuracy_at(report, name, amount), 0)
        for name, amount in (("shift", 2), ("rotation", 15), ("inversion", 100))
    )
    return (
        f"Of images moved by 2 pixels it still gets {moved} right, turned by 15 degrees {turned}, "
        f"and with ink and ground swapped {swapped}."
    )


def accuracy_at(report: Report, disturbance: str, amount: float) -> float:
    """The accuracy under one disturbance."""
    return next(
        step.accuracy
        for step in report.robustness
        if step.disturbance == disturbance and step.amount == amount
    )
