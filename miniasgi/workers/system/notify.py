"""What a service manager is told, in the way of sd_notify(3): that the server is ready, reloads, stops, is alive.

Knows systemd's datagrams. Does not know when there is something to say: main_loop and alone do. Without a service
manager that listens, all of it does nothing; and one that cannot be reached keeps no server from its work.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from collections.abc import MutableMapping

__all__ = ["Notifier"]

logger = logging.getLogger("miniasgi.server")

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
# 1 s: for a manager with a full queue. Without a wait a server would be taken for one that never gets ready; a longer
# one would be felt by clients, where it is the event loop that waits.
_SEND_SECONDS = 1.0
_MICROSECONDS = 1_000_000


class Notifier:
    """Tells the service manager at *address*, if there is one, how the server is.

    With *watchdog_seconds*, the manager ends a server of which it has not heard for so long.
    """

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        # An @ stands for the octet zero, which an abstract socket's name begins with.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        # Half: as sd_watchdog_enabled(3) recommends.
        self._interval = watchdog_seconds / 2 if address else 0.0
        self._watchdog_at = 0.0
        self._status = ""  # that of READY; empty until then
        self._is_stopping = False
        self._has_failed = False
        #: Whether the manager waits for the end of a reload.
        self.is_reloading = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str], process: int) -> Notifier:
        """For the manager that has started *process*; workers, and what they start, do not find it in *environ*."""
        address, microseconds, watched = (environ.pop(each, "") for each in _VARIABLES)
        watchdog_seconds = 0.0
        if watched in ("", str(process)) and re.fullmatch(r"[0-9]{1,18}", microseconds):
            watchdog_seconds = int(microseconds) / _MICROSECONDS
        return cls(address, watchdog_seconds)

    def ready(self, status: str) -> None:
        """The server can be reached; *status* is a line for people."""
        self._status = status
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The server loads anew what it has been told to, until reloaded()."""
        if self._status and not self._is_stopping:
            self.is_reloading = True
            # By which the manager tells a reload that it has asked for from one before it.
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._say("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading")

    def reloaded(self) -> None:
        """The reload is complete, or has been given up: the server goes on."""
        if self.is_reloading and not self._is_stopping:
            self.ready(self._status)
        self.is_reloading = False

    def stopping(self) -> None:
        """The server lets its clients go."""
        if not self._is_stopping:
            self._is_stopping = True
            self._say("STOPPING=1", "STATUS=stopping")

    def watchdog(self, now: float) -> float | None:
        """Give a sign of life if it is time for one; when the next one is due, None if nobody waits for any.

        *now* is the time by a clock of the caller's, always the same.
        """
        if not self._interval:
            return None
        if now >= self._watchdog_at:
            self._watchdog_at = now + self._interval
            self._say("WATCHDOG=1")
        return self._watchdog_at

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_SECONDS)
                sender.sendto("\n".join(lines).encode(), os.fsencode(self._address))
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                shown = self._address.replace("\0", "@", 1)
                logger.warning("cannot tell the service manager at %s: %s", shown, error.strerror or error)
