"""Constant load from a thread: keep-alive connections that ask again as soon as they are answered, and count.

Knows no more HTTP than answers with a declared length. What ends a request without a whole answer is a failure,
whoever may be to blame; a connection that the server closes between requests is none, and another one is opened.
"""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass, field
from types import TracebackType

__all__ = ["Failure", "Load"]

_REQUEST = b"GET /pid HTTP/1.1\r\nHost: h\r\n\r\n"


@dataclass(frozen=True)
class Failure:
    """A request without a whole answer.

    Attributes:
        error: what the client has seen.
        answers: how many the connection had got before.
        octets: how many of the answer had come.
        server: the process that has answered on this connection before; 0 if none has.
    """

    error: str
    answers: int
    octets: int
    server: int


@dataclass
class _Answers:
    count: int = 0
    servers: set[int] = field(default_factory=set)


class Load:
    """*connections* clients of the server on *port*, for the time of a with statement.

    The application must answer /pid with the number of its process. *pause* seconds pass between an answer and the
    next request.

    Attributes:
        failures: of requests, so far.
        refused: connections that could not even be opened.
        closed: connections that the server has closed between requests, or announced to close.
    """

    def __init__(self, port: int, connections: int = 16, pause: float = 0.0) -> None:
        self._port = port
        self._connections = connections
        self._pause = pause
        self._condition = threading.Condition()
        self._answers = _Answers()
        self._stopping = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.failures: list[Failure] = []
        self.refused: list[str] = []
        self.closed = 0

    def __enter__(self) -> Load:
        self._thread.start()
        self.wait(self._connections)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join(15)
        assert not self._thread.is_alive() or error is not None, "a request has got neither an answer nor an end"

    @property
    def answers(self) -> int:
        """How many requests have been answered."""
        return self._answers.count

    def wait(self, more: int, seconds: float = 15.0) -> None:
        """Wait for so many answers *more*."""
        with self._condition:
            wanted = self._answers.count + more
            done = self._condition.wait_for(lambda: self._answers.count >= wanted, seconds)
            assert done, f"{self._answers.count} answers after {seconds} s, {wanted} expected; {self.failures[:3]}"

    def wait_for_servers(self, number: int, seconds: float = 15.0) -> set[int]:
        """Wait until, from now on, so many different processes have answered; which."""
        with self._condition:
            self._answers.servers.clear()
            done = self._condition.wait_for(lambda: len(self._answers.servers) >= number, seconds)
            assert done, f"only {self._answers.servers} answer"
            return set(self._answers.servers)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._connect_again_and_again())

    async def _connect_again_and_again(self) -> None:
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                self.refused.append(repr(error))
                await asyncio.sleep(0.01)
                continue
            try:
                await self._ask(reader, writer)
            finally:
                writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = server = 0
        while not self._stopping:
            if reader.at_eof() or reader.exception() is not None:
                self.closed += 1
                return
            writer.write(_REQUEST)
            octets = b""
            try:
                octets = head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
                assert length is not None and head.startswith(b"HTTP/1.1 200 "), head
                content = await reader.readexactly(int(length[1]))
            except (OSError, asyncio.IncompleteReadError) as error:
                octets += error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
                self.failures.append(Failure(repr(error), answers, len(octets), server))
                return
            server, answers = int(content), answers + 1
            with self._condition:
                self._answers.count += 1
                self._answers.servers.add(server)
                self._condition.notify_all()
            if b"\r\nconnection: close\r\n" in head:
                self.closed += 1
                return
            if self._pause:
                await asyncio.sleep(self._pause)
