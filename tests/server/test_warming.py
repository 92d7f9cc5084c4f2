"""Threads that read what is not in the page cache."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from miniasgi.server.connections.warming import Warming
from tests.support import Kernel, descriptors, run_on, until

KIB = 1024


# Threads


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000 * KIB))
    return path


class Gate:
    """Holds every thread that is about to read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.advice: list[tuple[int, int, int]] = []
        self.reached = threading.Event()
        self.open = threading.Event()
        monkeypatch.setattr(os, "posix_fadvise", self.posix_fadvise)

    def posix_fadvise(self, file: int, offset: int, count: int, advice: int) -> None:
        self.advice.append((offset, count, advice))
        self.reached.set()
        assert self.open.wait(10)


def test_a_thread_reads_the_part_whole_and_announces_as_much_again(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    gate.open.set()
    kernel = Kernel(monkeypatch)

    async def main() -> None:
        before = descriptors()
        with file.open("rb") as opened:
            started = Warming(asyncio.get_running_loop(), opened.fileno(), 100 * KIB, 600 * KIB)
            await started.ended
        assert descriptors() == before

    run_on(loop_name, main())
    assert gate.advice == [(100 * KIB, 1200 * KIB, os.POSIX_FADV_WILLNEED)]
    assert kernel.calls == [(offset * KIB, 256 * KIB, 0) for offset in (100, 356, 612)]


def test_a_thread_stops_where_the_file_ends(loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)

    async def main() -> None:
        with file.open("rb") as opened:
            await Warming(asyncio.get_running_loop(), opened.fileno(), 900 * KIB, 10_000 * KIB).ended

    run_on(loop_name, main())
    assert kernel.calls == [(900 * KIB, 256 * KIB, 0), (1000 * KIB, 256 * KIB, 0)]


def test_the_file_may_be_closed_under_the_thread(loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    kernel = Kernel(monkeypatch)

    async def main() -> None:
        before = descriptors()
        with file.open("rb") as opened:
            started = Warming(asyncio.get_running_loop(), opened.fileno(), 0, 512 * KIB)
            await until(gate.reached.is_set)
        gate.open.set()
        await started.ended
        assert descriptors() == before

    run_on(loop_name, main())
    assert [call[0] for call in kernel.calls] == [0, 256 * KIB]


def test_a_thread_that_nobody_waits_for_reads_no_more(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    kernel = Kernel(monkeypatch)

    async def main() -> None:
        before = descriptors()
        with file.open("rb") as opened:
            started = Warming(asyncio.get_running_loop(), opened.fileno(), 0, 512 * KIB)
            await until(gate.reached.is_set)
            started.abandon()
        gate.open.set()
        await until(lambda: descriptors() == before)

    run_on(loop_name, main())
    assert kernel.calls == []


def test_what_has_not_begun_is_left_out_and_holds_no_descriptor(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(monkeypatch)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        busy = threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        first = loop.run_in_executor(None, busy.wait, 10)
        with file.open("rb") as opened:
            before = descriptors()
            started = Warming(loop, opened.fileno(), 0, 512 * KIB)
            assert descriptors() == before + 1
            started.abandon()
            started.abandon()
            assert descriptors() == before
        busy.set()
        await first
        await loop.run_in_executor(None, int)  # whatever was in line before has had its turn

    run_on(loop_name, main())
    assert kernel.calls == []


def test_what_is_wrong_with_the_file_is_for_others_to_find(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Kernel(monkeypatch, OSError(errno.EIO, "bad disk"))

    async def main() -> None:
        with file.open("rb") as opened:
            before = descriptors()
            await Warming(asyncio.get_running_loop(), opened.fileno(), 0, 512 * KIB).ended
            assert descriptors() == before

    run_on(loop_name, main())


def test_a_loop_without_threads_says_so_and_keeps_no_descriptor(loop_name: str, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.shutdown_default_executor()
        with file.open("rb") as opened:
            before = descriptors()
            with pytest.raises(RuntimeError):
                Warming(loop, opened.fileno(), 0, 512 * KIB)
            assert descriptors() == before

    run_on(loop_name, main())
