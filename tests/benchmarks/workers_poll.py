"""A steady stream of requests, each on a connection of its own, while a server's processes come and go.

Every attempt is kept with its times: what is concluded from them is decided elsewhere.
"""

import errno
import os
import re
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from .probe import WrongAnswer
from .workers_probe import WHO

# Between two new connections: the fineness of what is measured.
INTERVAL_SECONDS = 0.002
# A server that lets them wait must not run out of places: then the failure would be ours.
MOST_OPEN = 200
# After which an attempt has failed.
PATIENCE_SECONDS = 10.0

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Attempt:
    """One request on a connection of its own, from the wish to connect to the end of the answer."""

    started: float  # of time.perf_counter, as is the end
    ended: float
    process: int | None  # that answered; None: it failed
    failure: str = ""


class _Connection:
    def __init__(self, started: float) -> None:
        self.started = started
        self.is_asked = False
        self.octets = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)


class Poller:
    """Asks one port who answers, again and again."""

    def __init__(self, port: int) -> None:
        self.attempts: list[Attempt] = []  # in the order of their ends
        self.processes: set[int] = set()  # that have answered
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._open: dict[_Connection, None] = {}  # in the order of their starts
        self._next = 0.0  # when the next connection is due

    def __enter__(self) -> "Poller":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            connection.socket.close()
        self._selector.close()

    def run(self, is_over: Callable[[], bool], seconds: float) -> bool:
        """Ask until that is true; return whether it was within so many seconds."""
        deadline = time.perf_counter() + seconds
        while not is_over():
            now = time.perf_counter()
            if now > deadline:
                return False
            if now >= self._next and len(self._open) < MOST_OPEN:
                self._next = now + INTERVAL_SECONDS
                self._connect(now)
            self._wait(max(0.0, self._next - time.perf_counter()) if self._next > now else INTERVAL_SECONDS)
        return True

    def ask(self, count: int) -> None:
        """Ask until so many more attempts have ended, be it without success."""
        until = len(self.attempts) + count
        self.run(lambda: len(self.attempts) >= until, 2 * PATIENCE_SECONDS)

    def finish(self) -> None:
        """Ask no more, and wait for what has been asked."""
        while self._open:
            self._wait(PATIENCE_SECONDS)

    def _connect(self, now: float) -> None:
        connection = _Connection(now)
        self._open[connection] = None
        code = connection.socket.connect_ex(("127.0.0.1", self._port))
        self._selector.register(connection.socket, selectors.EVENT_WRITE, connection)
        if code not in (0, errno.EINPROGRESS):
            self._end(connection, None, str(OSError(code, os.strerror(code))))

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            self._proceed(key.data)
        while self._open and time.perf_counter() > (oldest := next(iter(self._open))).started + PATIENCE_SECONDS:
            self._end(oldest, None, f"no answer within {PATIENCE_SECONDS:g} s")

    def _proceed(self, connection: _Connection) -> None:
        try:
            if not connection.is_asked:
                if code := connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(code, os.strerror(code))
                connection.socket.send(WHO)
                connection.is_asked = True
                self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
                return
            if not (data := connection.socket.recv(1 << 16)):
                raise WrongAnswer(f"connection closed within an answer, after {connection.octets[:80]!r}")
            connection.octets += data
            if (number := read_process(connection.octets)) is not None:
                self._end(connection, number)
        except (OSError, WrongAnswer) as error:
            self._end(connection, None, str(error))

    def _end(self, connection: _Connection, process: int | None, failure: str = "") -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        del self._open[connection]
        self.attempts.append(Attempt(connection.started, time.perf_counter(), process, failure))
        if process is not None:
            self.processes.add(process)


def read_process(octets: bytes) -> int | None:
    """The process number that an answer holds; None if more of it must come.

    Raises:
        WrongAnswer: it holds something else.
    """
    head, blank, content = octets.partition(b"\r\n\r\n")
    if not blank:
        return None
    length = _CONTENT_LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or not length:
        raise WrongAnswer(f"not a process number: {octets[:80]!r}")
    if len(content) < int(length[1]):
        return None
    if not content.isdigit():
        raise WrongAnswer(f"{content[:80]!r} instead of a process number")
    return int(content)
