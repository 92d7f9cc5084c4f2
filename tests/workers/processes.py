"""Servers with workers as a user starts them, and a look at their processes from outside."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import ServerProcess, ask

__all__ = ["APP", "Watched", "WorkersProcess", "answered_by", "can_be_bound", "content", "needs_linux", "watch"]

APP = "tests.workers.apps:bad_days"

#: What looks at processes needs Linux to tell of them.
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and pidfd")


def content(response: bytes) -> str:
    """What is below the head of a response, which must be a good one."""
    head, _, rest = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), response
    return rest.decode()


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
            try:
                signal.pidfd_send_signal(file, signal.SIGKILL)
            except ProcessLookupError:
                pass
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


def _parents() -> dict[int, int]:
    """The parent of each process that has not ended."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just gone
            continue
        if fields[0] not in "ZX":
            found[int(path.parent.name)] = int(fields[1])
    return found


class WorkersProcess(ServerProcess):
    """A server with a supervisor; *options* are those behind the port."""

    def __init__(self, *options: str, app: str = APP, environ: dict[str, str] | None = None) -> None:
        super().__init__(app, "--port", "0", "--no-access-log", *options, environ=environ)

    def processes(self) -> list[int]:
        """Its children and theirs, at this moment."""
        parents = _parents()
        found = {self.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found - {self.pid})

    def wait_for_workers(self, number: int, seconds: float = 10.0) -> set[int]:
        """Which processes answer, as soon as there have been so many; each on a connection of its own."""
        end = time.monotonic() + seconds
        found: set[int] = set()
        while len(found) < number:
            assert time.monotonic() < end, f"only {found} answer"
            found.add(answered_by(self.port))
        return found

    def lines(self, pattern: str) -> list[str]:
        """What it has written so far in which *pattern* is found."""
        return [line for line in self.errors if re.search(pattern, line)]
