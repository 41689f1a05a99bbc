"""What a recording says: rates, percentiles, and whether the figures are the server's."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from flatdense_client._load.plan import Plan
from flatdense_client._load.recording import Recording, Times

PERCENTILES = {
    "p50": 5000,
    "p75": 7500,
    "p90": 9000,
    "p99": 9900,
    "p99.9": 9990,
    "p99.99": 9999,
}
"""By name, how many of ten thousand calls took so long at most."""

_WHOLE = 10_000

_MAX_LATENESS_S = 0.005
_MAX_BUSY = 0.9

Keeping = Literal["kept up", "late at times", "limit"]
"""Of a generator: on time; so late at its worst that the slowest latencies are partly its own; or
so late, or so busy, that the figures say more of it than of the server."""


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How long calls took, in seconds."""

    percentiles: dict[str, float]
    """For each of PERCENTILES the least time that so many calls did not exceed: one that was
    measured, and nothing between two."""
    max: float
    mean: float


def distribute(times_s: Times) -> Distribution | None:
    """The distribution of times, exactly; None where there are none."""
    count = len(times_s)
    if count == 0:
        return None
    ordered = np.sort(times_s)
    return Distribution(
        percentiles={
            name: float(ordered[-(-count * part // _WHOLE) - 1])
            for name, part in PERCENTILES.items()
        },
        max=float(ordered[-1]),
        mean=float(ordered.mean()),
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a load was like."""

    recording: Recording
    calls_per_s: float
    """Good answers a second."""
    rows_per_s: float
    latency: Distribution | None
    """From when a call was due in an open loop, from when it was sent in a closed one."""
    service: Distribution | None
    """From when it was sent."""
    lateness: Distribution | None
    """How late the generator was."""
    keeping: Keeping
    """How the generator kept up with its own load."""


def judge(plan: Plan, recording: Recording) -> Verdict:
    """What the recording of a plan says."""
    calls_per_s = recording.answered / recording.took_s if recording.took_s > 0 else 0.0
    lateness = distribute(recording.lateness_s)
    return Verdict(
        recording=recording,
        calls_per_s=calls_per_s,
        rows_per_s=calls_per_s * plan.rows,
        latency=distribute(recording.latency_s),
        service=distribute(recording.service_s),
        lateness=lateness,
        keeping=_judge_keeping(lateness, recording.busy),
    )


def _judge_keeping(lateness: Distribution | None, busy: float) -> Keeping:
    p50_s, p99_s = (
        (lateness.percentiles["p50"], lateness.percentiles["p99"]) if lateness else (0.0, 0.0)
    )
    if p50_s > _MAX_LATENESS_S or busy > _MAX_BUSY:
        return "limit"
    return "late at times" if p99_s > _MAX_LATENESS_S else "kept up"
