"""One worker in its supervisor's book, and one place that workers fill."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from ...config import Config
from ..kinds.channel import Said

__all__ = ["Handle", "Member", "Place", "State"]


class Handle(Protocol):
    """What runs a worker, a process or a thread, from outside."""

    @property
    def name(self) -> str:
        """As the log calls it."""

    @property
    def pid(self) -> int:
        """Of the process; 0 for a thread."""

    def tell(self, kind: str, sockets: Sequence[socket.socket] = (), **values: Any) -> None:
        """Send the worker a message."""

    def receive(self) -> list[Said]:
        """What it has said. Raises Closed."""

    def exit_status(self) -> int | None:
        """As subprocess has it; None while it runs."""

    def signal(self, number: int) -> bool:
        """Send it a signal; False if that cannot be done."""

    def fileno(self) -> int:
        """Of the channel, to wait for."""

    def close(self) -> None:
        """Let go of the channel."""


class State(Enum):
    """What a member is doing; how it goes on stands behind it."""

    STARTING = "starting"  # to READY, or it ends
    READY = "ready"  # to SERVING, when those that start with it are ready too; LEAVING
    SERVING = "serving"  # to LEAVING; HUNG
    HUNG = "hung"  # to LEAVING, when it has said where it hangs, or does not
    LEAVING = "leaving"  # it ends


@dataclass(eq=False)
class Member:
    """One worker.

    Attributes:
        generation: of the code that it has loaded: each reload has the next number.
        started_at, served_at, heard_at: the clock's times of its start, of its readiness, and of its last sign of life.
        deadline: when the next step against it is due; None while none is.
        steps: the signals that are still to be sent, one after the other.
        listens: the keys of the sockets that it has been told to accept from.
        requests, running, connections: what its last beat said.
        most_requests, most_seconds: after which it is to be replaced.
        leaving_for: why it is to be replaced; empty while it is not.
        failure: what it said, if it could not start.
        stuck: whether it neither ends nor can be ended: a thread that hangs.
    """

    place: Place
    handle: Handle
    generation: int
    started_at: float
    state: State = State.STARTING
    served_at: float = 0.0
    heard_at: float = 0.0
    deadline: float | None = None
    steps: list[int] = field(default_factory=list)
    listens: set[int] = field(default_factory=set)
    requests: int = 0
    running: int = 0
    connections: int = 0
    most_requests: float = float("inf")
    most_seconds: float = float("inf")
    leaving_for: str = ""
    failure: Said | None = None
    stuck: bool = False

    @property
    def name(self) -> str:
        """As the log calls it."""
        return f"{self.place.name} ({self.handle.name})"

    def draw_limits(self, config: Config) -> None:
        """Set after how much it is to be replaced, each limit with its jitter."""
        if config.limit_max_requests is not None:
            self.most_requests = config.limit_max_requests + random.randint(0, config.limit_max_requests_jitter)
        if config.workers_lifetime is not None:
            self.most_seconds = config.workers_lifetime + random.uniform(0, config.workers_lifetime_jitter)


@dataclass(eq=False)
class Place:
    """What one worker at a time fills, and for a moment two: the one that leaves, and the one that comes.

    Attributes:
        name: as the log calls who fills it.
        current: the member that serves.
        next: the one that is to take its place.
        failures: how often in a row a member has died young.
        not_before: the clock's time before which no other is started.
    """

    number: int
    name: str
    current: Member | None = None
    next: Member | None = None
    failures: int = 0
    not_before: float = 0.0
