"""A worker's end of the channel to its supervisor: what it is told, and what it tells.

A thread of its own reads the channel, so that a worker whose loop is stuck can still say where, and one whose
supervisor has gone still ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ...errors import StartupError
from ...observe import logs
from .channel import Channel, Closed, Said

__all__ = ["Remote", "Told", "send_failure"]

logger = logging.getLogger("miniasgi.server")

# 100,000: characters of a traceback that are sent, from its end, or of a report; a recursion has more.
_MOST_DETAILS = 100_000


def send_failure(channel: Channel, error: StartupError) -> None:
    """Say why a worker, or what would fork it, cannot start."""
    details = error.details[-_MOST_DETAILS:]
    channel.send("failed", message=str(error), details=details, status=error.exit_status)


class Told(Protocol):
    """What a supervisor tells things to: a worker, or a group of them. All may be called from any thread."""

    def stop(self, *, force: bool = False, patient: bool = False) -> None: ...

    def listen(self, place: int, sockets: Sequence[Any]) -> None: ...

    def forget(self, place: int) -> None: ...

    def report(self, *, all_threads: bool) -> str: ...

    def vitals(self) -> dict[str, int]: ...

    def want(self, number: int) -> None: ...

    @property
    def loop_name(self) -> str: ...


class Remote:
    """The control of a worker, or of a group, that has a supervisor.

    *lost* is called when the supervisor has gone, and *ended* when there is word to stop before there is a worker that
    could; both in the thread that reads.
    """

    gives_sockets = True

    def __init__(
        self,
        channel: Channel,
        *,
        lost: Callable[[], None],
        ended: Callable[[], None],
        is_thread: bool = False,
    ) -> None:
        self._channel = channel
        self._lost = lost
        self._ended = ended
        self._is_thread = is_thread
        self._worker: Told | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self._asked_to_leave = False
        #: Whether it has been told to end at once: the supervisor does not wait for it any more, nor look after it.
        self.is_dismissed = False

    def begin(self, name: str) -> None:
        """Start to read, in a thread called *name*."""
        threading.Thread(target=self._read, name=name, daemon=True).start()

    # What the worker says

    def started(self, worker: Told) -> None:
        with self._lock:
            self._worker = worker
            if self._stopped:
                worker.stop()

    def ready(self, worker: Told) -> None:
        self._channel.send("ready", loop=worker.loop_name)

    def beat(self, worker: Told) -> None:
        # Not waiting: a supervisor that does not read must hold no worker up.
        self._channel.send("beat", wait=False, vitals=worker.vitals())

    def failed(self, error: StartupError) -> None:
        """Say why the worker cannot start."""
        send_failure(self._channel, error)

    def recycle(self, reason: str) -> None:
        """Ask to be replaced."""
        self._channel.send("recycle", reason=reason)

    def leave(self) -> None:
        """Make the worker end, but not before another one can take its place; asked again, at once."""
        with self._lock:
            asked, self._asked_to_leave = self._asked_to_leave, True
            is_serving = self._worker is not None
        if asked or not is_serving:
            self.stop()
        else:
            self.recycle("it was sent SIGTERM")

    def stop(self, *, patient: bool = False) -> None:
        """Make the worker end, or not begin."""
        with self._lock:
            self._stopped = True
            worker = self._worker
        if worker is not None:
            worker.stop(patient=patient)
        else:
            self._ended()

    # What it is told

    def _read(self) -> None:
        try:
            while True:
                for said in self._channel.receive():
                    self._do(said)
        except Closed:
            pass
        except Exception:
            # Whatever it is: a worker that nobody can stop would stay for ever.
            logger.exception("the supervisor cannot be understood")
        self._lost()

    def _do(self, said: Said) -> None:
        kind = said["kind"]
        worker = self._worker
        if kind == "stop":
            self.is_dismissed = self.is_dismissed or said["force"]
            if worker is not None and said["force"]:
                worker.stop(force=True)
            else:
                self.stop(patient=said["patient"])
        elif kind == "reopen":
            logs.reopen_files()
        elif worker is None:
            logger.debug("told to %s too early", kind)
        elif kind == "listen":
            worker.listen(said["place"], said["sockets"])
        elif kind == "forget":
            worker.forget(said["place"])
        elif kind == "want":
            worker.want(said["number"])
        elif kind == "report":
            text = worker.report(all_threads=not self._is_thread)
            self._channel.send("report", text=text[:_MOST_DETAILS])
