"""How numbers are written for people."""

NO_BREAK = "\N{NO-BREAK SPACE}"

MINUTE_S, HOUR_S = 60, 3600


def percent(fraction: float, digits: int = 2) -> str:
    """`98.21 %`; its parts stay on one line."""
    return f"{100 * fraction:.{digits}f}{NO_BREAK}%"


def span(low: float, high: float) -> str:
    """`97.93 to 98.45 %`."""
    return f"{100 * low:.2f} to {percent(high)}"


def count(number: int) -> str:
    """`10,000`."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """`48.2 s`, `12 min 5 s` or `2 h 3 min`."""
    whole = round(seconds)
    if round(seconds, 1) < MINUTE_S:
        parts = [f"{seconds:.1f}", "s"]
    elif whole < HOUR_S:
        parts = [str(whole // MINUTE_S), "min", str(whole % MINUTE_S), "s"]
    else:
        parts = [str(whole // HOUR_S), "h", str(whole % HOUR_S // MINUTE_S), "min"]
    return NO_BREAK.join(parts)
