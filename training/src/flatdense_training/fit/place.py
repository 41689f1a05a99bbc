"""Which of the workers of a run this process is, as TensorFlow's TF_CONFIG says it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

CHIEF: Final = "chief"
JOBS: Final = (CHIEF, "worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One worker among those that learn together."""

    cluster: Mapping[str, tuple[str, ...]]
    """Job -> addresses: `worker`, and perhaps one `chief`."""
    job: str
    index: int
    """In the addresses of its job."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of all workers, the chief's first."""
        return tuple(chain.from_iterable(self.cluster.get(job, ()) for job in JOBS))

    @property
    def number(self) -> int:
        """Among the addresses; the chief is 0."""
        before = self.cluster.get(CHIEF, ()) if self.job != CHIEF else ()
        return len(before) + self.index

    @property
    def is_chief(self) -> bool:
        """Whether this one keeps checkpoints, judges and exports."""
        return self.number == 0


def parse_place(text: str) -> Place:
    """A place from what TF_CONFIG says. Raises ValueError: it says no place among workers."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error})") from error
    try:
        cluster = {job: tuple(map(str, there)) for job, there in config["cluster"].items()}
        job, index = config["task"]["type"], int(config["task"]["index"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it has no cluster or no task ({error!r})") from error
    check_cluster(cluster)
    if job not in cluster or not 0 <= index < len(cluster[job]):
        raise ValueError(f"its task is {job} {index}, which is not in its cluster")
    return Place(cluster=cluster, job=job, index=index)


def check_cluster(cluster: Mapping[str, tuple[Any, ...]]) -> None:
    """Raises ValueError where the jobs are not those of workers that are all alike."""
    if strange := sorted(cluster.keys() - set(JOBS)):
        raise ValueError(f"it has the job {strange[0]}; expected worker, and perhaps one chief")
    if len(cluster.get(CHIEF, ())) > 1:
        raise ValueError("it has more than one chief")
    for address in chain.from_iterable(cluster.values()):
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"{address!r} is no address; expected host:port")
    addresses = list(chain.from_iterable(cluster.values()))
    if len(addresses) < 2 or len(set(addresses)) < len(addresses):  # noqa: PLR2004
        raise ValueError("its cluster needs two addresses at least, each of them once")
