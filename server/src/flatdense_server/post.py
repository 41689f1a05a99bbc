"""A worker's place in the service, and what is reported from there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from flatdense_server.models.orders import Action
from flatdense_server.observe.metrics.board import Board
from flatdense_server.security.credentials import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a worker is given when it is spawned."""

    number: int
    """From 1."""
    grpc_port: int
    """Which all workers listen on."""
    backend: str
    """The address of its own, for the supervisor's HTTP server: `unix:` and a path."""
    board: Board
    """For its metrics."""
    supervisor: Connection
    """Takes reports, gives answers and commands. It closes when the supervisor is gone."""
    relieves: bool
    """Whether others serve: then it listens only when it is ready."""
    unloaded: bool = False
    """Whether the model was unloaded: then nothing is served until it is loaded."""
    credentials: Credentials = field(default_factory=Credentials)
    """Those that count when it is spawned."""


@dataclass(frozen=True, slots=True)
class Listening:
    """The worker takes connections, and refuses calls until it is ready."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker answers calls."""

    facts: Mapping[str, object]
    """What it serves and how, for the log."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot serve, and another one in its place could not either."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The worker's process is gone, and nobody asked for it."""

    cause: str
    backoff_s: float
    """Until another one takes its place."""


@dataclass(frozen=True, slots=True)
class FiguresWanted:
    """Somebody asks the worker for figures that only the supervisor has: of all processes."""

    token: int
    """Its Answer has it too."""


@dataclass(frozen=True, slots=True)
class ControlWanted:
    """Somebody asks the worker for what every worker must do."""

    token: int
    action: Action


@dataclass(frozen=True, slots=True)
class Obeyed:
    """The worker has done what a Command told it."""

    token: int
    reason: str
    """Why it failed; empty where it did not."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """Other credentials count from now on. Each worker is told in the same words."""

    credentials: Credentials


Report: TypeAlias = (
    Listening | Ready | Failed | Ended | FiguresWanted | ControlWanted | Obeyed | Renewed
)
"""What a worker, its keeper or the custodian says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the supervisor says to a question of a worker."""

    token: int
    value: Any


@dataclass(frozen=True, slots=True)
class Command:
    """What the supervisor tells a worker to do."""

    token: int
    """For its Obeyed."""
    action: Action
