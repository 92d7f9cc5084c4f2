"""Servers with workers as a user starts them, and a look at their processes from outside."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support import ServerProcess, ask

__all__ = [
    "APP",
    "KINDS",
    "Watched",
    "WorkersProcess",
    "answered_by",
    "can_be_bound",
    "content",
    "needs_linux",
    "request",
    "watch",
]

APP = "tests.workers.apps:bad_days"

#: Each kind of workers there is, two of them.
KINDS = {
    "process": ("--workers", "2"),
    "preload": ("--workers", "2", "--preload"),
    "thread": ("--workers", "2", "-k", "thread"),
}

#: What looks at processes needs Linux to tell of them.
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and pidfd")


def content(response: bytes) -> str:
    """What is below the head of a response, which must be a good one."""
    head, _, rest = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), response
    return rest.decode()


def request(client: socket.socket, target: str) -> None:
    """Ask for *target*, as the last request on this connection."""
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())


def answered_by(port: int) -> int:
    """The process that answers a request on a new connection."""
    return int(content(ask(port, "/pid")))


def can_be_bound(port: int) -> bool:
    """Whether nobody listens there any more."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


class Watched:
    """Processes that are not ours, whose end can be waited for."""

    def __init__(self, pids: Iterable[int]) -> None:
        # Descriptors and not numbers, which others may get.
        self._files: dict[int, int] = {}
        for pid in pids:
            try:
                self._files[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                continue

    def wait(self, seconds: float) -> None:
        """Wait until all have ended."""
        end = time.monotonic() + seconds
        for pid, file in self._files.items():
            gone, _, _ = select.select([file], [], [], max(end - time.monotonic(), 0))
            assert gone, f"process {pid} is still there after {seconds} s: {_command(pid)}"

    def close(self) -> None:
        """Let go of them; those that a failed test has left are ended."""
        for file in self._files.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(file, signal.SIGKILL)
            os.close(file)


@contextmanager
def watch(pids: Iterable[int]) -> Iterator[Watched]:
    """*pids*, to wait for their end; whichever has not ended then is made to."""
    watched = Watched(pids)
    try:
        yield watched
    finally:
        watched.close()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "nobody knows what"


class WorkersProcess(ServerProcess):
    """A server with a supervisor; *options* are those behind the port."""

    def __init__(self, *options: str, app: str = APP, environ: dict[str, str] | None = None, **more: Any) -> None:
        # All of its processes inherit this, and keep it when their parents have gone. SPT_NOENV: setproctitle may
        # write over it otherwise.
        self._mark = f"TESTS_SERVER={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        marked = {name: value, "SPT_NOENV": "1", **(environ or {})}
        arguments = () if "script" in more else (app, "--port", "0", "--no-access-log", *options)
        super().__init__(*arguments, environ=marked, **more)

    def processes(self) -> list[int]:
        """Those that it has started, and theirs, at this moment; their parents may have gone."""
        found = []
        mark = self._mark.encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has just gone, or is somebody else's
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return sorted(set(found) - {self.pid})

    def wait_until_gone(self, seconds: float) -> None:
        """Wait until none of its processes is left; those that have not ended then are made to, and it is an error."""
        end = time.monotonic() + seconds
        left = [self.pid]
        while left:
            with watch(left) as watched:
                watched.wait(max(end - time.monotonic(), 0))
            left = self.processes()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Not to wait until it serves, as its own with statement does."""
        try:
            yield
        finally:
            for pid in self.processes() if self._process.poll() is not None else ():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.__exit__()

    def wait_for_workers(self, number: int, seconds: float = 10.0) -> set[int]:
        """Which processes answer, as soon as there have been so many; each on a connection of its own."""
        end = time.monotonic() + seconds
        found: set[int] = set()
        while len(found) < number:
            assert time.monotonic() < end, f"only {found} answer"
            found.add(answered_by(self.port))
        return found

    def wait_for_each(self, *patterns: str, seconds: float = 10.0) -> None:
        """Wait until each of *patterns* has been found, in whatever order; several processes write there."""
        end = time.monotonic() + seconds
        missing = set(patterns)
        while missing:
            line = self.wait_for("|".join(missing), max(end - time.monotonic(), 0))
            missing = {each for each in missing if not re.search(each, line)}

    def lines(self, pattern: str) -> list[str]:
        """What it has written so far in which *pattern* is found."""
        return [line for line in self.errors if re.search(pattern, line)]
