"""--preload, from outside: a process that has loaded the application, and from which workers are forked.

Not the supervisor itself, which stays small, starts no thread of the application's, and can load new code by starting
another such process. Forked workers share its memory until they write to it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..serving.spec import WorkerSpec
from ..system.exits import UNKNOWN
from .channel import Channel, Closed, Correspondent, Said
from .process import PythonProcess

__all__ = ["ForkedWorker", "Preloader"]

logger = logging.getLogger("miniasgi.server")


class ForkedWorker(Correspondent):
    """A worker process that a zygote has forked, or is about to."""

    def __init__(self, zygote: Zygote, number: int) -> None:
        self.channel, theirs = Channel.pair()
        #: 0 until the zygote has told it.
        self.pid = 0
        self.status: int | None = None
        self.failure: Said | None = None
        self._closed = False
        self._zygote = zygote
        zygote.fork(self, number, theirs)
        theirs.socket.close()

    @property
    def name(self) -> str:
        return f"process {self.pid}" if self.pid else "process not forked yet"

    def tell(self, kind: str, sockets: Sequence[socket.socket] = (), **values: Any) -> None:
        """Send the worker a message; one that has gone, or does not listen, does not get it."""
        if kind == "stop" and not self.pid and self.status is None:
            # The zygote may not be listening for as long as it likes; it finds nobody at the other end then. What it is
            # forking just now finds this, and not a supervisor that seems to have died.
            super().tell("stop", force=True, patient=False)
            self._zygote.forget(self)
            self.status = 0
        else:
            super().tell(kind, sockets, **values)

    def receive(self) -> list[Said]:
        """What it has said. Raises Closed."""
        failure, self.failure = self.failure, None
        if failure is not None:
            return [failure]
        try:
            return super().receive()
        except Closed:
            self._closed = True
            raise

    def exit_status(self) -> int | None:
        """As subprocess has it; None while it runs."""
        if self.status is None and self._closed and self._zygote.has_ended:
            # Its parent could have told, but has gone before.
            self.status = UNKNOWN
        return self.status

    def signal(self, number: int) -> bool:
        """Send a signal to the process."""
        # Not to a number that may be another's by now: the zygote takes note of each end, and tells it.
        if self.pid and self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
        return True


class Zygote(PythonProcess):
    """One process that has loaded the application."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec, "zygote")
        self.has_loaded = False
        self.has_failed = False
        self.has_ended = False
        self._told = False
        self._tokens = 0
        self._workers: dict[int, ForkedWorker] = {}

    @property
    def has_workers(self) -> bool:
        """Whether any of those that it was to fork has not ended."""
        return bool(self._workers)

    def fork(self, worker: ForkedWorker, number: int, theirs: Channel) -> None:
        """Have *worker* forked, once the application has been loaded."""
        self._tokens += 1
        self._workers[self._tokens] = worker
        self.tell("fork", [theirs.socket], number=number, token=self._tokens)

    def forget(self, worker: ForkedWorker) -> None:
        """Have *worker* not forked, as far as that is not too late."""
        self._workers = {token: each for token, each in self._workers.items() if each is not worker}

    def retire(self) -> None:
        """Let it end."""
        if not self._told:
            self._told = True
            self.tell("stop", force=False, patient=False)
            if not self.has_loaded:  # nor does it listen, until it has
                self.signal(signal.SIGKILL)

    def hear(self) -> bool:
        """Take what it has said; False if that is nothing. Raises Closed when it has said all."""
        all_said = self.receive()
        for said in all_said:
            kind = said["kind"]
            if kind == "loaded":
                self.has_loaded = True
            elif kind == "forked":
                worker = self._workers.get(said["token"])
                if worker is not None:
                    worker.pid = said["pid"]
                else:  # forgotten too late
                    with suppress(ProcessLookupError):
                        os.kill(said["pid"], signal.SIGKILL)
            elif kind == "exited":
                worker = self._workers.pop(said["token"], None)
                if worker is not None:
                    worker.status = said["status"]
            elif kind == "failed":
                self.has_failed = True
                self._fail(said)
        return bool(all_said)

    def ended(self, how: str) -> None:
        """It has gone."""
        self.has_ended = True
        self.close()
        if not self._told and not self.has_failed:
            logger.error("the process that preloads the application (%s) %s", self.name, how)
        self._fail({"kind": "failed", "message": f"the process that preloads the application {how}", "details": ""})

    def _fail(self, said: Said) -> None:
        """Those that have not been forked never will be."""
        for token, worker in list(self._workers.items()):
            if not worker.pid:
                worker.failure = {"status": 3, **said}
                worker.status = 3
                del self._workers[token]


class Preloader:
    """Gives workers forked from the newest zygote; a reload has a new one, and keeps the old until it has succeeded."""

    def __init__(self, spec: WorkerSpec) -> None:
        #: What the next zygote loads. Set by whoever reads options again.
        self.spec = spec
        self._renew = True
        #: Those that run, oldest first.
        self.zygotes: list[Zygote] = []

    def renew(self) -> None:
        """Load the application anew for the workers to come."""
        self._renew = True

    def spawn(self, number: int) -> ForkedWorker:
        """Start a worker. Raises StartupError."""
        usable = [zygote for zygote in self.zygotes if not zygote.has_failed]
        if self._renew or not usable:
            usable.append(Zygote(self.spec))
            self.zygotes.append(usable[-1])
            self._renew = False
        return ForkedWorker(usable[-1], number)

    def ended(self, zygote: Zygote, how: str) -> None:
        """Learn that one has gone."""
        self.zygotes.remove(zygote)
        zygote.ended(how)

    def tidy(self, *, stopping: bool) -> None:
        """Let those end that nobody needs."""
        for zygote in self.zygotes:
            is_old = zygote is not self.zygotes[-1] and self.zygotes[-1].has_loaded
            if (is_old or stopping) and not zygote.has_workers:
                zygote.retire()
