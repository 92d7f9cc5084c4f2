"""Worker threads of one process that has a supervisor: a supervisor of its own for them, and one worker to the outside.

The supervisor outside does what threads cannot: it loads the application anew in a fresh process, and replaces this one
when threads hang, which nothing else ends.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .kinds.remote import Remote
from .kinds.thread import ThreadWorker
from .serving.spec import WorkerSpec
from .serving.stacks import stack_of_all
from .serving.worker import make_pool
from .supervision.main_loop import MainLoop
from .supervision.supervisor import Supervisor

__all__ = ["GivenSockets", "ThreadGroup"]

logger = logging.getLogger("miniasgi.server")


class GivenSockets:
    """The sockets of a group, which its supervisor owns: a set for each of its threads, as far as there are so many."""

    def __init__(self) -> None:
        self._sets: list[list[socket.socket]] = []

    def give(self, sockets: Sequence[socket.socket]) -> None:
        """Have these sockets, one for each address for each thread, and not those before."""
        self.close()
        addresses = len({each.getsockname() for each in sockets})
        self._sets = [list(sockets[start : start + addresses]) for start in range(0, len(sockets), max(addresses, 1))]

    def key(self, place: int) -> int:
        """What the sockets of *place* are called."""
        return (place - 1) % len(self._sets) + 1 if len(self._sets) > 1 else 0

    @property
    def opened(self) -> set[int]:
        """What those are called that clients may have connected to: all, if fewer threads are wanted by now."""
        return set(range(1, len(self._sets) + 1)) if len(self._sets) > 1 else {0} if self._sets else set()

    def sockets(self, key: int) -> Sequence[socket.socket]:
        """Those that are called *key*."""
        return self._sets[key - 1 if key else 0] if self._sets else ()

    def close(self) -> None:
        """Let go of them."""
        for sockets in self._sets:
            for each in sockets:
                each.close()
        self._sets = []


class ThreadGroup:
    """As many worker threads as *spec* says; to the supervisor outside, behind *control*, one worker."""

    def __init__(self, spec: WorkerSpec, control: Remote) -> None:
        self._control = control
        self._sockets = GivenSockets()
        self.loop_name = ""
        # Memory is the whole process's: its own supervisor sees to that.
        config = replace(spec.config, workers_max_rss=None)
        pool = make_pool(config)

        def spawn(number: int) -> ThreadWorker:
            return ThreadWorker(replace(spec, config=config, number=number), pool)

        self._supervisor = Supervisor(
            config,
            self._sockets,
            wanted=config.workers or 1,
            spawn=spawn,
            clock=time.monotonic,
            ready=self._ready,
            exhausted=control.recycle,
        )
        self._loop = MainLoop(self._supervisor, signals=(), beat=lambda: control.beat(self))

    def run(self) -> None:
        """Serve until stop(). Raises StartupError."""
        self._control.started(self)
        self._loop.run()
        if self._supervisor.failure is not None:
            raise self._supervisor.failure

    def _ready(self, loop: str) -> None:
        self.loop_name = loop
        self._control.ready(self)

    # From any thread

    def stop(self, *, force: bool = False, patient: bool = False) -> None:
        """Let all threads end."""
        self._loop.soon(lambda: self._supervisor.stop(force=force, patient=patient))

    def listen(self, place: int, sockets: Sequence[Any]) -> None:
        """Accept from *sockets*, in place of those before."""

        def take() -> None:
            if self._supervisor.stopping:
                for each in sockets:
                    each.close()
            else:
                self._sockets.give(sockets)
                self._supervisor.listen_again()

        self._loop.soon(take)

    def forget(self, place: int) -> None:
        """Accept no more."""
        self.listen(place, ())

    def want(self, number: int) -> None:
        """Have so many threads from now on."""
        self._loop.soon(lambda: self._supervisor.want(number))

    def report(self, *, all_threads: bool) -> str:
        """What it is doing right now, for the log."""
        return "\n".join(stack_of_all())

    def vitals(self) -> dict[str, int]:
        """The figures of all threads together."""
        members = self._supervisor.members
        return {name: sum(getattr(each, name) for each in members) for name in ("requests", "running", "connections")}
