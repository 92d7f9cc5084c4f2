"""What a supervisor and its workers say to each other: messages over a pair of sockets, with sockets as luggage.

The same between processes and between threads. Knows octets, JSON and descriptors; does not know what is said.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from ...errors import StartupError

__all__ = ["Channel", "Closed", "Correspondent", "Said"]

#: A message: "kind", and what that kind has to say. "sockets" are those that came with it.
Said: TypeAlias = dict[str, Any]

# 1 MiB: the longest message, a report of a worker with hundreds of threads, is far below; what goes on without a line
# end is not one of ours.
_LONGEST = 1 << 20
# 64: sockets that come with one message; more are sent by nobody.
_LUGGAGE_OCTETS = socket.CMSG_SPACE(64 * array("i").itemsize)
# What an application starts must not hold our sockets open. 0: not Linux, where they are closed to it afterwards.
_CLOSE_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
# 0.1 s: another thread's message takes far less, unless the other end does not read.
_LOCK_SECONDS = 0.1


class Closed(Exception):
    """The other end has gone."""


class Channel:
    """One end. Messages arrive whole and in order; any thread may send."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        # Even where an application has called socket.setdefaulttimeout: silence does not mean that the other end has
        # gone.
        end.setblocking(True)
        self._sending = threading.Lock()
        self._octets = bytearray()
        self._descriptors: deque[int] = deque()
        self._put_back: list[Said] = []

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends of one channel. Raises StartupError if there are no descriptors left for them."""
        try:
            left, right = socket.socketpair()
        except OSError as error:
            raise StartupError(f"no channel for a worker: {error.strerror or error}") from error
        return cls(left), cls(right)

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, kind: str, sockets: Iterable[socket.socket] = (), *, wait: bool = True, **values: Any) -> bool:
        """Send a message; False if the other end has gone, or without *wait*, if it does not keep up."""
        luggage = [each.fileno() for each in sockets]
        data = json.dumps({"kind": kind, **values, "sockets": len(luggage)}).encode() + b"\n"
        if not self._sending.acquire(timeout=-1 if wait else _LOCK_SECONDS):
            return False
        try:
            # Nothing of ours is so long that a socket with room for some of it has none for all (Linux), but if it was,
            # half a message would spoil all that follow.
            flags = 0 if wait else socket.MSG_DONTWAIT
            # Not socket.send_fds, nor recv_fds below: in Python up to 3.13 they leave the flags out.
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", luggage))] if luggage else []
            sent = self.socket.sendmsg([data], rights, flags)
            if sent < len(data):
                self.socket.sendall(data[sent:])
        except OSError:  # also BlockingIOError: not read in time
            return False
        finally:
            self._sending.release()
        return True

    def receive(self, *, wait: bool = True) -> list[Said]:
        """The messages that have come; with *wait*, at least one.

        Raises Closed: there are no more, and will be none. So too if this process has no descriptors left for sockets
        that have come: those of the next message would be taken for them.
        """
        found, self._put_back = self._put_back, []
        while not found:
            flags = _CLOSE_ON_EXEC | (0 if wait else socket.MSG_DONTWAIT)
            try:
                data, rights, flags, _address = self.socket.recvmsg(65536, _LUGGAGE_OCTETS, flags)
            except BlockingIOError:
                return []
            except OSError:
                data, rights = b"", []
            descriptors = [each for _, _, octets in rights for each in _descriptors(octets)]
            self._descriptors.extend(descriptors)
            self._octets += data
            too_long = len(self._octets) > _LONGEST and b"\n" not in self._octets
            if not data or too_long or flags & socket.MSG_CTRUNC:
                self.close()
                raise Closed
            if not _CLOSE_ON_EXEC:
                for each in descriptors:
                    os.set_inheritable(each, False)
            *lines, rest = self._octets.split(b"\n")
            self._octets = bytearray(rest)
            found = [self._unpacked(line) for line in lines]
        return found

    def receive_first(self) -> Said:
        """The next message alone; those behind it are kept. Raises Closed."""
        first, *self._put_back = self.receive()
        return first

    def _unpacked(self, line: bytes | bytearray) -> Said:
        said: Said = json.loads(line)
        said["sockets"] = [socket.socket(fileno=self._descriptors.popleft()) for _ in range(said["sockets"])]
        return said

    def close(self) -> None:
        """Let the other end know that nobody is here."""
        with suppress(IndexError):  # two threads may do so
            while True:
                os.close(self._descriptors.popleft())
        # Wakes a thread that reads here; closing alone would leave it waiting.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def _descriptors(octets: bytes) -> array[int]:
    found = array("i")
    found.frombytes(octets[: len(octets) - len(octets) % found.itemsize])
    return found


class Correspondent:
    """What is at the other end of a channel: the part that handles of processes and threads have in common."""

    channel: Channel  # set by the subclass

    def fileno(self) -> int:
        return self.channel.fileno()

    def close(self) -> None:
        """Let go of the channel."""
        self.channel.close()

    def tell(self, kind: str, sockets: Sequence[socket.socket] = (), **values: Any) -> None:
        """Send a message; one that has gone, or does not listen, does not get it."""
        self.channel.send(kind, sockets, wait=False, **values)

    def receive(self) -> list[Said]:
        """What it has said. Raises Closed."""
        return self.channel.receive(wait=False)
