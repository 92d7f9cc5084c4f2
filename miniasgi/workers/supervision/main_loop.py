"""The supervisor's own loop: signals, what workers say, and the time, one after the other.

Waits in one place, with selectors. Signal handlers only take notes, so that nothing is ever interrupted half done.
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from ...observe import logs
from ..kinds.channel import Closed
from ..kinds.zygote import Preloader, Zygote
from ..serving.spec import beat_seconds
from ..system.exits import UNKNOWN, describe
from ..system.notify import Notifier
from ..system.signals import ENDING, GENTLE, give_back
from .member import Member
from .supervisor import Supervisor

__all__ = ["SIGNALS", "MainLoop"]

logger = logging.getLogger("miniasgi.server")

#: Those that a supervisor takes.
SIGNALS = (*ENDING, *GENTLE, "SIGUSR2", "SIGCHLD")
# 2 s: so late, the machine or this process stood still, and the workers perhaps as well.
_LATE_SECONDS = 2.0
# An hour: what selectors can wait for has a limit, on Linux 24 days.
_LONGEST_WAIT_SECONDS = 3600.0


class MainLoop:
    """Runs a supervisor until all its workers have ended."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        signals: Sequence[str] = SIGNALS,
        beat: Callable[[], None] | None = None,
        preloader: Preloader | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """*beat*, if given, is called as often as a worker gives a sign of life. *preloader* forks workers, if so.

        *notifier* learns of reloads, of the end, and that this loop turns.
        """
        self._notifier = notifier or Notifier()
        self._preloader = preloader
        self._supervisor = supervisor
        self._signals = signals
        self._beat = beat
        self._beat_at = supervisor.clock()
        self._selector = selectors.DefaultSelector()
        self._received: deque[int] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._read: dict[Member | Zygote, int] = {}
        self._stops = 0
        self._waker_before = -1
        self._wakeup, self._waker = socket.socketpair()
        for end in (self._wakeup, self._waker):
            end.setblocking(False)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        #: Called by SIGHUP first, if it is set: whether there is anything to be loaded anew.
        self.reread: Callable[[], bool] | None = None
        #: The signal that made it end at once; 0 while none has.
        self.ended_by = 0

    def soon(self, call: Callable[[], None]) -> None:
        """Have *call* called by the loop; from any thread."""
        self._calls.append(call)
        with suppress(BlockingIOError, OSError):
            self._waker.send(b"\0")

    def run(self) -> None:
        """Supervise until every worker has ended."""
        before = self._take_signals()
        try:
            self._supervise()
        finally:
            self._give_signals_back(before)
            self._selector.close()
            self._wakeup.close()
            self._waker.close()

    def _supervise(self) -> None:
        supervisor = self._supervisor
        woken_at = supervisor.clock()
        while True:
            # Such as by a terminal that takes no output; what was said meanwhile has not been read.
            self._excuse(supervisor.clock() - woken_at)
            due = supervisor.step()
            self._watch_channels()
            if supervisor.finished and not self._zygotes():
                return
            now = supervisor.clock()
            if self._beat is not None:
                if now >= self._beat_at:
                    self._beat_at = now + beat_seconds(supervisor.config)
                    self._beat()
                due = self._beat_at if due is None else min(due, self._beat_at)
            if not supervisor.reloading:
                self._notifier.reloaded()
            alive_at = self._notifier.watchdog(now)
            if alive_at is not None:
                due = alive_at if due is None else min(due, alive_at)
            timeout = None if due is None else min(max(due - now, 0), _LONGEST_WAIT_SECONDS)
            found = self._selector.select(timeout)
            woken_at = supervisor.clock()
            if timeout is not None:
                # Even if somebody has been heard: workers that were stopped as well go on one after the other.
                self._excuse(woken_at - now - timeout)
            for key, _ in found:
                if key.data is None:
                    self._drain_wakeup()
                else:
                    self._hear(key.data)
            while self._received:
                self._obey(self._received.popleft())
            while self._calls:
                self._calls.popleft()()
            self._look_for_the_dead()

    def _excuse(self, late: float) -> None:
        if late > _LATE_SECONDS:
            self._supervisor.excuse(late)

    # Workers

    def _zygotes(self) -> list[Zygote]:
        if self._preloader is None:
            return []
        self._preloader.tidy(stopping=self._supervisor.stopping)
        return list(self._preloader.zygotes)

    def _watch_channels(self) -> None:
        for member in self._supervisor.members:
            self._watch(member, member.handle.fileno())
        for zygote in self._zygotes():
            self._watch(zygote, zygote.fileno())

    def _watch(self, member: Member | Zygote, descriptor: int) -> None:
        if member not in self._read:
            self._read[member] = descriptor
            self._selector.register(descriptor, selectors.EVENT_READ, member)

    def _unwatch(self, member: Member | Zygote) -> None:
        descriptor = self._read.get(member, -1)
        if descriptor >= 0:
            self._selector.unregister(descriptor)
            self._read[member] = -1

    def _hear(self, member: Member | Zygote) -> bool:
        """Take what a worker has said; False if it has said all."""
        try:
            if isinstance(member, Zygote):
                return member.hear()
            said = member.handle.receive()
        except Closed:
            self._unwatch(member)
            return False
        for each in said:
            self._supervisor.heard(member, each)
        return bool(said)

    def _look_for_the_dead(self) -> None:
        for zygote in self._zygotes():
            status = zygote.exit_status()
            if status is not None and self._preloader is not None:
                while self._hear(zygote):
                    pass
                self._unwatch(zygote)
                self._read.pop(zygote, None)
                self._preloader.ended(zygote, describe(status))
        for member in list(self._supervisor.members):
            status = member.handle.exit_status()
            if status is not None:
                # Why it could not start is still to be read.
                while self._hear(member):
                    pass
                self._unwatch(member)
                self._read.pop(member, None)
                self._supervisor.ended(member, describe(None if status == UNKNOWN else status))

    # Signals

    def _take_signals(self) -> dict[int, Any]:
        before: dict[int, Any] = {}
        if not self._signals:
            return before
        # First, so that no signal comes of which the loop does not learn.
        self._waker_before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for name in self._signals:
            number = getattr(signal, name)
            before[number] = signal.signal(number, self._note)
        return before

    def _give_signals_back(self, before: dict[int, Any]) -> None:
        if before:
            signal.set_wakeup_fd(self._waker_before)
        give_back(before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)

    def _drain_wakeup(self) -> None:
        with suppress(BlockingIOError):
            while self._wakeup.recv(4096):
                pass

    def _obey(self, number: int) -> None:
        supervisor = self._supervisor
        name = signal.Signals(number).name
        if name in ENDING:
            self._notifier.stopping()
            self._stops += 1
            if self._stops == 1 and name != "SIGQUIT":
                logger.info("%s: stopping", name)
                supervisor.stop()
            else:
                logger.warning("%s: stopping at once", name)
                self.ended_by = number
                supervisor.stop(force=True)
        elif name == "SIGHUP":
            self._notifier.reloading()
            # Of this process too, and of workers that stay if the new ones do not start.
            self._reopen_files()
            if self.reread is None or self.reread():
                if self._preloader is not None:
                    self._preloader.renew()
                supervisor.reload()
        elif name == "SIGTTIN":
            supervisor.more()
        elif name == "SIGTTOU":
            supervisor.fewer()
        elif name == "SIGUSR1":
            self._reopen_files()
        elif name == "SIGUSR2":
            # By which gunicorn replaces itself; left to the system, it would end this process, and so all workers.
            logger.warning("SIGUSR2 does nothing here: SIGHUP loads the application anew")

    def _reopen_files(self) -> None:
        logs.reopen_files()
        self._supervisor.reopen_files()
