"""What several test modules need: a connection without a socket, a server as a process, clients, and scales."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from miniasgi import page_cache
from miniasgi.config import Config
from miniasgi.http1.parsers import load
from miniasgi.server.connections.connection import HttpConnection
from miniasgi.server.connections.ending import TRANSITIONS, EndingHalf, State
from miniasgi.server.loops import loop_factory
from miniasgi.server.service import Service
from miniasgi.testing import FakeTransport
from miniasgi.types import App
from miniasgi.websocket.codecs import load as load_codec

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024

T = TypeVar("T")


def run_on(loop_name: str, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run *coroutine* on a new event loop called *loop_name*, for no longer than a test may take."""

    async def bounded() -> T:
        # libuv keeps a descriptor in reserve from its first stream on; those who count shall not find it.
        one, other = socket.socketpair()
        writer = (await asyncio.open_connection(sock=one))[1]
        writer.close()
        await writer.wait_closed()
        other.close()
        return await asyncio.wait_for(coroutine, 30)

    with asyncio.Runner(loop_factory=loop_factory(loop_name)) as runner:
        return runner.run(bounded())


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Only what nothing holds is let go of meanwhile: what is in a circle stays until the collector has its turn."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Let the loop run until *condition* holds; for what tells nobody when it happens."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for has not happened"
        await asyncio.sleep(0.005)


# A connection without a socket and without time


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


_STATE = EndingHalf.__dict__["state"]  # the slot, which the property below stands in front of


class WatchedConnection(HttpConnection):
    """A connection that writes down which state follows which, as pairs."""

    def __init__(self, service: Service) -> None:
        self.transitions: list[tuple[State, State]] = []
        super().__init__(service)

    @property
    def state(self) -> State:  # type: ignore[override]  # the attribute that it watches
        return State(_STATE.__get__(self))

    @state.setter
    def state(self, new: State) -> None:
        with contextlib.suppress(AttributeError):  # the first of all
            old = _STATE.__get__(self)
            if old is not new:
                assert new in TRANSITIONS[old], f"{old!r} was followed by {new!r}"
                self.transitions.append((old, new))
        _STATE.__set__(self, new)


class Wire:
    """One connection on a fake transport and a fake clock, driven as an event loop drives it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: App, service: Service | None = None, **options: Any):
        self.loop = loop
        self.clock = Clock()
        options = {"date_header": False, "server_header": False, **options}
        self.service = service or Service(
            app, Config(**options), loop, load("handwritten"), clock=self.clock, codec=load_codec("auto")
        )
        self.transport = FakeTransport()
        self.service.opened += 1
        self.connection = WatchedConnection(self.service)
        self.transport.set_protocol(self.connection)
        self.connection.connection_made(self.transport)
        self.lost = False

    @property
    def state(self) -> State:
        return self.connection.state

    @property
    def protocol(self) -> asyncio.Protocol:
        """Whom the transport belongs to: the connection, unless it has been upgraded."""
        found = self.transport.get_protocol()
        assert isinstance(found, asyncio.Protocol)
        return found

    def turn(self) -> None:
        """Let the loop run until it has nothing left to do; a transport that was closed is lost, as on a real loop."""

        async def turns() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())
        if self.transport.is_closing() and not self.lost:
            self.lose()

    def feed(self, *pieces: bytes) -> None:
        """Receive octets from the client; from a callback of the loop, as eager tasks need it."""
        for piece in pieces:
            self.loop.call_soon(self.protocol.data_received, piece)
            self.turn()

    def take(self) -> bytes:
        """What the client has been sent since the last time."""
        return self.transport.take()

    def exchange(self, octets: bytes) -> bytes:
        """What is sent in answer to *octets*."""
        self.feed(octets)
        return self.take()

    def half_close(self) -> None:
        """The client closes its side."""

        def eof() -> None:
            if not self.protocol.eof_received():
                self.transport.close()

        self.loop.call_soon(eof)
        self.turn()

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        self.lost = True
        self.transport.close()
        self.loop.call_soon(self.protocol.connection_lost, error)
        self.turn()

    def wait(self, seconds: float) -> None:
        """Let time pass, with a sweep at the end of it."""
        self.clock.seconds += seconds
        self.service.tick()
        if self.service.gate is not None:
            self.loop.call_soon(self.service.gate.check_deadlines, self.service.now)
        if not self.lost:
            self.loop.call_soon(self.protocol.check_deadlines, self.service.now)  # type: ignore[attr-defined]
        self.turn()


# A server as a process of its own


class ServerProcess:
    """``python -m miniasgi`` as a user starts it, for the time of a with statement.

    Attributes:
        port: where it listens; set once it does.
        errors: the lines that it has written to standard error so far.
    """

    def __init__(
        self,
        *arguments: str,
        descriptors: int | None = None,
        environ: dict[str, str] | None = None,
        before: str = "",
        script: Path | None = None,
        stdout: int | None = subprocess.DEVNULL,
    ) -> None:
        """*descriptors* limits its open files; *before* is Python that it runs first, *script* what it runs instead."""
        start = f"import sys; sys.argv[0] = 'miniasgi'; {before}\nfrom miniasgi.cli import main\nsys.exit(main())"
        what = [str(script)] if script else ["-c", start] if before else ["-m", "miniasgi"]
        command = [sys.executable, *what, *arguments]
        if descriptors is not None:
            command = ["/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MINIASGI_", "WEB_CONC"))}
        if script:
            clean["PYTHONPATH"] = str(ROOT)  # else only the script's own directory would be looked in
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**clean, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout = self._process.stdout
        self.pid = self._process.pid
        self.errors: list[str] = []
        self._fresh: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.errors.append(line.rstrip("\n"))
            self._fresh.put(line)
        self._fresh.put(None)

    def wait_for(self, pattern: str, seconds: float = 10.0) -> str:
        """The next line on standard error in which *pattern* is found."""
        end = time.monotonic() + seconds
        while True:
            line = self._fresh.get(timeout=max(end - time.monotonic(), 0.01))
            assert line is not None, f"the server has ended: {self.errors}"
            if re.search(pattern, line):
                return line

    def __enter__(self) -> ServerProcess:
        try:
            match = re.search(r"https?://[^ ]*:(\d+)", self.wait_for("https?://"))
            assert match is not None
            self.port = int(match[1])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join(5)
            for stream in (self._process.stderr, self._process.stdout):
                if stream is not None:
                    stream.close()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_status(self, seconds: float = 10.0) -> int:
        """Its exit status, once it has ended."""
        status = self._process.wait(seconds)
        self._reader.join(5)
        return status

    def memory(self) -> int:
        """Octets of memory that it has resident."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        """How many files it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self) -> float:
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """A connection to it, on which nothing waits longer than ten seconds."""
        return connect(self.port, receive_buffer)


# Clients that know no more HTTP than they need


def connect(port: int, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    client.settimeout(10)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        client.connect(("127.0.0.1", port))
    except BaseException:
        client.close()
        raise
    return client


def ask(port: int, target: str = "/", method: str = "GET") -> bytes:
    """The whole response to a request on a connection of its own."""
    with connect(port) as client:
        client.sendall(f"{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """What comes until the server closes; a reset counts as its close."""
    return b"".join(read_pieces(client))


def read_pieces(client: socket.socket, size: int = 65536) -> Iterator[bytes]:
    while True:
        try:
            piece = client.recv(size)
        except ConnectionError:
            return
        if not piece:
            return
        yield piece


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


class Client:
    """A client in the server's own loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def response(self) -> tuple[bytes, bytes]:
        """The head and the content of a response whose length is declared."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
        return head, await self.reader.readexactly(int(found[1]) if found else 0)

    async def rest(self) -> bytes:
        """What comes until the server closes; a reset counts as its close."""
        pieces = []
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(65536):
                pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Vanish: the server sees a reset instead of an end."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


async def fetch(port: int, target: str = "/") -> bytes:
    """The whole response to a request on a connection of its own."""
    client = await Client.open(port)
    client.send(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    try:
        return await client.rest()
    finally:
        client.close()


class Kernel:
    """preadv as a disk would have it: *answers* are what it returns or raises, one after the other; then it reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: int | OSError) -> None:
        self.calls: list[tuple[int, int, int]] = []
        self._answers = list(answers)
        self._preadv = os.preadv
        monkeypatch.setattr(os, "preadv", self.preadv)
        monkeypatch.setattr(page_cache, "_NOWAIT", 8)

    def preadv(self, file: int, buffers: Any, offset: int, flags: int = 0) -> int:
        self.calls.append((offset, sum(map(len, buffers)), flags))
        if not self._answers:
            return self._preadv(file, buffers, offset)
        answer = self._answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer
