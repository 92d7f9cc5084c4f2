"""What a worker is told to run; light, because the supervisor has it too, and loads neither server nor event loop."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import Config
from ...types import App

__all__ = ["WorkerSpec", "beat_seconds", "leave_seconds"]

# 1 s: between two signs of life of a worker, ...
_BEAT_SECONDS = 1.0
# ... and where less than that is waited for, a quarter of it: none may be missed for being a little late.
_BEATS_IN_TIMEOUT = 4


def beat_seconds(config: Config) -> float:
    """How often a worker gives a sign of life."""
    return min(_BEAT_SECONDS, config.timeout_worker_healthcheck / _BEATS_IN_TIMEOUT)


def leave_seconds(config: Config) -> float:
    """How long a worker may take to leave: drain, lifespan shutdown, and what each of them needs to give up."""
    return 2 * config.timeout_graceful_shutdown + 10


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker has to run.

    Attributes:
        app: the application, or where it is to be found.
        loaded: the application itself, where *app* says only where it came from.
        number: of the place that the worker fills, from 1; 0 where there is no other.
    """

    app: App | str | None
    config: Config
    number: int = 0
    loaded: App | None = None

    @property
    def name(self) -> str:
        """What the log calls it; empty where there is no other."""
        return f"worker {self.number}" if self.number else ""

    @property
    def app_name(self) -> str:
        """What the application is called, for people."""
        if isinstance(self.app, str):
            return self.app
        if self.app is None:
            return " ".join(directory for directory, _ in self.config.static)
        return getattr(self.app, "__qualname__", type(self.app).__qualname__)
