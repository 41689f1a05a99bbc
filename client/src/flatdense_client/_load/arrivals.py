"""When the calls of an open loop are due."""

from collections.abc import Iterator

import numpy as np

from flatdense_client._load.plan import OpenLoop, Plan
from flatdense_client._load.recording import Times

_CHUNK = 1024


def due_times_s(plan: Plan, loop: OpenLoop) -> Iterator[float]:
    """The moments at which calls are due, counted from the end of the warm-up.

    From `-warmup_s` to `duration_s`, ascending, and the same each time. Generators that share a
    load make up its rate together: evenly spaced calls stay evenly spaced.
    """
    for times_s in _random(plan, loop) if loop.is_random else _even(plan, loop):
        for time_s in times_s.tolist():
            if time_s >= plan.duration_s:
                return
            yield time_s


def _random(plan: Plan, loop: OpenLoop) -> Iterator[Times]:
    chance = np.random.default_rng([plan.number, plan.generators])
    last_s = -plan.warmup_s
    while True:
        times_s = last_s + np.cumsum(chance.exponential(1 / loop.rate, _CHUNK))
        last_s = times_s[-1]
        yield times_s


def _even(plan: Plan, loop: OpenLoop) -> Iterator[Times]:
    numbers: Times = plan.number / plan.generators + np.arange(_CHUNK, dtype=np.float64)
    while True:
        # From the number of the call, since adding up gaps would add up their rounding.
        yield numbers / loop.rate - plan.warmup_s
        numbers += _CHUNK
