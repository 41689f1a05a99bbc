"""When the calls of an open loop are due."""

from collections.abc import Iterator

import numpy as np

from flatdense_client._load.plan import OpenLoop, Plan
from flatdense_client._load.recording import Times

_CHUNK = 1024

BURST_S = 0.1
"""How long a burst lasts in the mean."""

SILENCE_S = 0.3
"""How long nobody calls after it, in the mean. Within a burst the rate is so much higher."""

_BURSTS_SEED = 0
"""One for all generators of a load, so that their bursts come at the same time."""


def due_times_s(plan: Plan, loop: OpenLoop) -> Iterator[float]:
    """The moments at which calls are due, counted from the end of the warm-up.

    From `-warmup_s` to `duration_s`, ascending, and the same each time. Generators that share a
    load make up its rate together: evenly spaced calls stay evenly spaced, and bursts coincide.
    """
    kinds = {"poisson": _random, "constant": _even, "bursts": _in_bursts}
    for times_s in kinds[loop.arrivals](plan, loop.rate):
        for time_s in times_s.tolist():
            if time_s >= plan.duration_s:
                return
            yield time_s


def _random(plan: Plan, rate: float) -> Iterator[Times]:
    chance = np.random.default_rng([plan.number, plan.generators])
    last_s = -plan.warmup_s
    while True:
        times_s = last_s + np.cumsum(chance.exponential(1 / rate, _CHUNK))
        last_s = times_s[-1]
        yield times_s


def _even(plan: Plan, rate: float) -> Iterator[Times]:
    numbers: Times = plan.number / plan.generators + np.arange(_CHUNK, dtype=np.float64)
    while True:
        # From the number of the call, since adding up gaps would add up their rounding.
        yield numbers / rate - plan.warmup_s
        numbers += _CHUNK


def _in_bursts(plan: Plan, rate: float) -> Iterator[Times]:
    """Random calls on a clock that stands still while nobody calls."""
    chance = np.random.default_rng(_BURSTS_SEED)
    stops_s = np.empty(0)
    """When that clock stands still; and, one more, for how long it did before each of them."""
    stood_s = np.zeros(1)
    for times_s in _random(plan, rate * (BURST_S + SILENCE_S) / BURST_S):
        while not stops_s.size or stops_s[-1] <= times_s[-1]:
            last_s = stops_s[-1] if stops_s.size else -plan.warmup_s
            bursts_s = np.cumsum(chance.exponential(BURST_S, _CHUNK))
            silences_s = np.cumsum(chance.exponential(SILENCE_S, _CHUNK))
            stops_s = np.append(stops_s, last_s + bursts_s)
            stood_s = np.append(stood_s, stood_s[-1] + silences_s)
        yield times_s + stood_s[np.searchsorted(stops_s, times_s)]
