"""Listening sockets, served by the event loop for as long as connections can be taken.

Knows sockets and the loop. Does not know what a connection is: it is given a factory.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import threading
from collections.abc import Callable
from typing import Protocol

from .arriving import Arriving
from .binding import url_of

__all__ = ["ROOM", "Listener", "Room", "descriptors_to_spare"]

logger = logging.getLogger("miniasgi.server")

# 32: connections that are accepted before those that are open have their turn; of a flood that has gone again, most
# are closed by then, so that they do not count against the limit of descriptors together.
_ACCEPTED_AT_ONCE = 32
# 32: descriptors left for the application's and the server's own files.
_RESERVE = 32
# 0.9: of the room for connections has to be free again before more are accepted, so that it is not about each of them.
_RESUMED_BELOW = 0.9


def descriptors_to_spare() -> int:
    """How many connections may be open before descriptors run out, as things stand."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        used = len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))
    except (ImportError, OSError):
        return 1 << 30
    if limit == resource.RLIM_INFINITY:
        return 1 << 30
    return int(max(limit - used - _RESERVE, 8))


class Holder(Protocol):
    """Who has connections."""

    #: How many are open.
    opened: int


class Room:
    """How many connections the servers of a process may have open together: worker threads share its descriptors.

    All may be called from the thread of any of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Replaced and never changed, so that who counts needs no lock.
        self._holders: tuple[Holder, ...] = ()
        self._most = 1 << 30
        # Whether somebody accepts no more, and there has been no space since.
        self._is_short = False

    @property
    def taken(self) -> int:
        """How many are open."""
        return sum([holder.opened for holder in self._holders])

    @property
    def is_full(self) -> bool:
        """Whether no more should be accepted."""
        return self.taken >= self._most

    def fall_short(self) -> None:
        """Learn that one of the holders accepts no more, because it is full."""
        self._is_short = True

    def stays_short(self) -> bool:
        """Whether connections have to end, of whichever holder, because one of them accepts no more."""
        if self._is_short and self.has_space:
            self._is_short = False
        return self._is_short

    @property
    def has_space(self) -> bool:
        """Whether more may be accepted after it has been full."""
        return not self.excess

    @property
    def excess(self) -> int:
        """How many have to end before more may be accepted after it has been full."""
        return max(self.taken + 1 - math.ceil(self._most * _RESUMED_BELOW), 0)

    def enter(self, holder: Holder) -> None:
        """Count the connections of *holder*, too; what descriptors it has opened for itself is taken into account."""
        with self._lock:
            self._holders = (*self._holders, holder)
            self._most = self.taken + descriptors_to_spare()

    def leave(self, holder: Holder) -> None:
        """Count them no more, if they were."""
        with self._lock:
            self._holders = tuple(each for each in self._holders if each is not holder)


#: That of this process.
ROOM = Room()


class Listener:
    """One bound socket, read by the loop while connections are accepted; clients queue in the kernel meanwhile.

    Accepted here and not by the loop's own server: that takes many at a time, and when it is closed because of one of
    them, the rest is dropped (uvloop) or left open for nobody (asyncio).
    """

    def __init__(
        self, bound: socket.socket, backlog: int, arriving: Arriving | None = None, *, secure: bool = False
    ) -> None:
        """*arriving* takes what is accepted, until HTTP may come; *secure* is for its URL."""
        self._socket = bound
        self._arriving = arriving or Arriving()
        self._secure = secure
        # An embedding program's own may be blocking, and the loop would wait for the client after the last one.
        bound.setblocking(False)
        self._backlog = backlog
        self._loop: asyncio.AbstractEventLoop | None = None  # while connections are accepted
        self._failed = False  # whether accept() has, which is said once

    @property
    def address(self) -> tuple[str, int | None]:
        """The host and the port that it is bound to, or the path of a Unix domain socket and None."""
        name = self._socket.getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else (os.fsdecode(name), None)

    @property
    def url(self) -> str:
        return url_of(self._socket, self._secure)

    def resume(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """Accept connections; *factory* makes the protocol of each, and may call pause()."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._socket.listen(self._backlog)
            self._loop.add_reader(self._socket.fileno(), self._accept, factory)

    def pause(self) -> None:
        """Accept no more for now."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.remove_reader(self._socket.fileno())

    def close(self) -> None:
        """Give the address back."""
        self.pause()
        self._socket.close()

    def _accept(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            loop = self._loop
            if loop is None:  # factory() has had enough
                return
            try:
                client, _address = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # No descriptor, or no memory, is left; the connection stays queued, so trying again at once would spin.
                loop.remove_reader(self._socket.fileno())
                loop.call_later(1.0, self._accept_again, factory)
                if not self._failed:
                    self._failed = True
                    logger.error("cannot accept a connection: %s; tried again each second", error.strerror)
                return
            client.setblocking(False)
            self._arriving.take(loop, client, factory())

    def _accept_again(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._socket.fileno(), self._accept, factory)
