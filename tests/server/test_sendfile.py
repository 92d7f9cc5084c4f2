"""A part of a file on its way to a socket: in slices, behind what goes before it, and past disks that are slow."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import random
import socket
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from miniasgi.errors import ApplicationError, ClientDisconnected
from miniasgi.server.connections import sendfile
from miniasgi.server.connections.sendfile import send_file, unacknowledged
from miniasgi.testing import FakeTransport
from tests.support import MIB, descriptors, run_on, until, without_collector

SLICE = 512 * 1024
CONTENT = random.Random(2).randbytes(65536) * 256  # 16 MiB: more than the kernel takes for a client that does not read
HEAD = b"head\r\n\r\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sendfile") / "file"
    path.write_bytes(CONTENT)
    return path


class Loop:
    """What send_file needs of a loop, and how often it needed it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.watched: list[int] = []
        self.jobs = 0

    def add_writer(self, descriptor: int, callback: Callable[..., object], *arguments: object) -> None:
        self.watched.append(descriptor)
        self._loop.add_writer(descriptor, callback, *arguments)

    def remove_writer(self, descriptor: int) -> bool:
        return self._loop.remove_writer(descriptor)

    def run_in_executor(self, executor: None, job: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        self.jobs += 1
        return self._loop.run_in_executor(executor, job, *arguments)


class Target(asyncio.Protocol):
    """A connection as far as send_file sees one, with a real transport, or a fake one."""

    transport: asyncio.Transport

    def __init__(self, transport: asyncio.Transport | None = None) -> None:
        if transport is not None:
            self.transport = transport
        self.watch = Loop(asyncio.get_running_loop())
        self.loop: Any = self.watch
        self.write_paused = False
        self.resumed = asyncio.Event()
        self.waiter: asyncio.Future[None] | None = None
        self.waits: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream transport is what it is

    def pause_writing(self) -> None:
        self.write_paused = True
        self.resumed.clear()

    def resume_writing(self) -> None:
        self.write_paused = False
        self.resumed.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.resume_writing()
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def drain(self) -> None:
        while self.write_paused:
            await self.resumed.wait()

    def await_socket(self) -> asyncio.Future[None]:
        assert self.waiter is None
        self.waits.append("await")
        self.waiter = asyncio.get_running_loop().create_future()
        return self.waiter

    def socket_took(self) -> None:
        self.waits.append("took")

    def socket_ready(self) -> None:
        self.waits.append("ready")
        self.waiter = None


class Peer:
    """The other end, which reads when it is told to."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    async def take(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        taken = bytearray()
        while len(taken) < count:
            piece = await loop.sock_recv(self.socket, min(count - len(taken), MIB))
            assert piece, f"the end came after {len(taken)} octets"
            taken += piece
        return bytes(taken)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Target, Peer]]:
    """A target and its peer; afterwards no descriptor but theirs may be left, and nobody may wait."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as near:
        before = descriptors()
        near.setblocking(False)
        await loop.sock_connect(near, listening.getsockname())
        far, _ = listening.accept()
        far.setblocking(False)
        _, target = await loop.create_connection(Target, sock=far)
        try:
            yield target, Peer(near)
        finally:
            target.transport.abort()
            await until(lambda: descriptors() <= before)
            assert target.waiter is None


def test_a_small_file_leaves_at_once_behind_its_head(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with connected() as (target, peer):
            monkeypatch.setattr(os, "dup", None)  # not needed
            with file.open("rb") as opened:
                sending = send_file(target, HEAD, opened.fileno(), 1000, 100_000)
                with pytest.raises(StopIteration):
                    sending.send(None)
            assert await peer.take(len(HEAD) + 100_000) == HEAD + CONTENT[1000:101_000]
            assert target.waits == []

    run_on(loop_name, main())


def test_a_large_file_needs_one_registration_and_gives_others_their_turn(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    calls: list[tuple[int, int, int]] = []
    real = os.sendfile

    def counted(socket: int, file: int, offset: int, count: int) -> int:
        sent = real(socket, file, offset, count)
        calls.append((turns, count, sent))
        return sent

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def turn() -> None:
            nonlocal turns
            turns += 1
            ticking[0] = loop.call_soon(turn)

        ticking = [loop.call_soon(turn)]
        async with connected() as (target, peer):
            with file.open("rb") as opened:
                taking = asyncio.ensure_future(peer.take(len(HEAD) + len(CONTENT)))
                await send_file(target, HEAD, opened.fileno(), 0, len(CONTENT))
            assert await taking == HEAD + CONTENT
            assert len(target.watch.watched) == 1
            assert target.waits[0] == "await"
            assert target.waits[-1] == "ready"
            # When it began to wait, and after each slice but the first, before there was a wait, and the last.
            assert target.waits[1:-1] == ["took"] * (len(calls) - 1)
        ticking[0].cancel()

    monkeypatch.setattr(os, "sendfile", counted)
    run_on(loop_name, main())
    assert sum(sent for *_, sent in calls) == len(CONTENT)
    assert max(count for _, count, _ in calls) == SLICE
    # But for the first, which is not the loop's: uvloop looks at descriptors later in the same turn.
    later = [turn for turn, *_ in calls[1:]]
    assert len(set(later)) == len(later)


def test_what_the_transport_has_not_sent_comes_first(loop_name: str, file: Path) -> None:
    async def main() -> None:
        async with connected() as (target, peer):
            target.transport.write(CONTENT)
            limits = target.transport.get_write_buffer_limits()
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 5, 100_000))
                assert await peer.take(len(CONTENT) + len(HEAD) + 100_000) == CONTENT + HEAD + CONTENT[5:100_005]
                await sending
            assert target.transport.get_write_buffer_limits() == limits

    run_on(loop_name, main())


def test_a_head_of_which_the_socket_takes_a_part_is_sent_whole(loop_name: str, file: Path) -> None:
    async def main() -> None:
        async with connected() as (target, peer):
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, CONTENT, opened.fileno(), 7, 100_000))
                assert await peer.take(len(CONTENT) + 100_000) == CONTENT + CONTENT[7:100_007]
                await sending

    run_on(loop_name, main())


def test_a_head_of_which_the_socket_takes_nothing_waits_in_the_transport(loop_name: str, file: Path) -> None:
    async def main() -> None:
        async with connected() as (target, peer):
            filler = 0
            descriptor = target.transport.get_extra_info("socket").fileno()
            with pytest.raises(BlockingIOError):
                while True:
                    filler += os.write(descriptor, bytes(MIB))
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 0, 100_000))
                await asyncio.sleep(0)
                assert target.transport.get_write_buffer_size() == len(HEAD)
                assert (await peer.take(filler + len(HEAD) + 100_000))[filler:] == HEAD + CONTENT[:100_000]
                await sending

    run_on(loop_name, main())


def test_a_file_without_a_head_follows_what_was_sent(loop_name: str, file: Path) -> None:
    async def main() -> None:
        async with connected() as (target, peer):
            with file.open("rb") as opened:
                await send_file(target, HEAD, opened.fileno(), 0, 10)
                await send_file(target, b"", opened.fileno(), 10, 10)
            assert await peer.take(len(HEAD) + 20) == HEAD + CONTENT[:20]

    run_on(loop_name, main())


def test_a_file_that_sendfile_refuses_is_read(loop_name: str) -> None:
    version = Path("/proc/version").read_bytes()

    async def main() -> None:
        async with connected() as (target, peer):
            descriptor = os.open("/proc/version", os.O_RDONLY)
            try:
                await send_file(target, HEAD, descriptor, 0, len(version))
            finally:
                os.close(descriptor)
            assert await peer.take(len(HEAD) + len(version)) == HEAD + version

    run_on(loop_name, main())


def test_a_disk_that_fails_is_no_fault_of_the_client(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "bad disk")

    async def main() -> None:
        async with connected() as (target, _):
            with file.open("rb") as opened:
                monkeypatch.setattr(os, "sendfile", fail)
                monkeypatch.setattr(os, "pread", fail)
                with pytest.raises(ApplicationError, match="bad disk"):
                    await send_file(target, HEAD, opened.fileno(), 0, 10)

    run_on(loop_name, main())


def test_without_descriptors_the_rest_is_read(loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    async def main() -> None:
        async with connected() as (target, peer):
            monkeypatch.setattr(os, "dup", fail)
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 0, len(CONTENT)))
                assert await peer.take(len(HEAD) + len(CONTENT)) == HEAD + CONTENT
                await sending
            assert target.waits == []

    run_on(loop_name, main())


def test_a_file_that_is_truncated_while_it_is_sent_is_told(loop_name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)

    async def main() -> None:
        async with connected() as (target, peer):
            with path.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 0, len(CONTENT)))
                await until(lambda: target.waits)
                os.truncate(path, 15 * MIB)
                assert await peer.take(len(HEAD) + 15 * MIB) == HEAD + CONTENT[: 15 * MIB]
                with pytest.raises(ApplicationError, match=r"^the file ends 1048576 octets before what was announced$"):
                    await sending

    run_on(loop_name, main())


def test_what_has_gone_wrong_is_not_kept(loop_name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)

    async def main() -> None:
        async with connected() as (target, peer):
            with path.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 0, len(CONTENT)))
                await until(lambda: target.waits)
                # The error's traceback holds frames, and what holds the error again would be a circle.
                with without_collector():
                    os.truncate(path, 15 * MIB)
                    await peer.take(len(HEAD) + 15 * MIB)
                    await asyncio.wait([sending])
                    error = sending.exception()
                    assert error is not None
                    kept = weakref.ref(error)
                    del error, sending
                    assert kept() is None

    run_on(loop_name, main())


@pytest.mark.parametrize("how", ["lost", "closed", "cancelled"])
def test_a_wait_for_the_socket_ends_at_once(loop_name: str, file: Path, how: str) -> None:
    async def main() -> None:
        async with connected() as (target, peer):
            with file.open("rb") as opened:
                before = descriptors()
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 0, len(CONTENT)))
                await until(lambda: target.waits)
                if how == "lost":
                    target.transport.abort()
                elif how == "closed":
                    peer.socket.close()  # with octets unread: a reset
                else:
                    sending.cancel()
                await asyncio.wait([sending])
                with pytest.raises(asyncio.CancelledError if how == "cancelled" else ClientDisconnected):
                    sending.result()
                await until(lambda: descriptors() <= before)
                assert not target.watch.remove_writer(target.watch.watched[0])

    run_on(loop_name, main())


def test_nothing_is_sent_to_a_transport_that_closes(loop_name: str, file: Path) -> None:
    async def main() -> None:
        async with connected() as (target, _):
            target.transport.close()
            with file.open("rb") as opened, pytest.raises(ClientDisconnected):
                await send_file(target, HEAD, opened.fileno(), 0, 10)

    run_on(loop_name, main())


# Cold files


class Disk:
    """The page cache as a test wants it: parts that begin in *cold* are not in memory, and reading them takes a key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *cold: int) -> None:
        self.asked: list[tuple[int, int]] = []
        self.cold = set(cold)
        self.reached = threading.Event()
        self.open = threading.Event()
        monkeypatch.setattr(sendfile, "is_cold", self.is_cold)
        monkeypatch.setattr(os, "posix_fadvise", self.posix_fadvise)

    def is_cold(self, file: int, offset: int, count: int) -> bool:
        self.asked.append((offset, count))
        return offset in self.cold

    def posix_fadvise(self, file: int, offset: int, count: int, advice: int) -> None:
        self.reached.set()
        assert self.open.wait(10)


def test_a_warm_file_is_asked_for_once_a_slice(loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)

    async def main() -> None:
        async with connected() as (target, peer):
            with file.open("rb") as opened:
                taking = asyncio.ensure_future(peer.take(MIB + 1))
                await send_file(target, b"", opened.fileno(), 10, MIB + 1)
            assert await taking == CONTENT[10 : MIB + 11]
            assert target.watch.jobs == 0

    run_on(loop_name, main())
    assert disk.asked == [(10, SLICE), (10 + SLICE, SLICE), (10 + MIB, 1)]


def test_a_cold_part_is_read_by_a_thread_and_then_sent(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is read stays cold: it is waited for once, not for ever.
    disk = Disk(monkeypatch, 0, SLICE, 4 * SLICE)
    disk.open.set()

    async def main() -> None:
        async with connected() as (target, peer):
            with file.open("rb") as opened:
                taking = asyncio.ensure_future(peer.take(len(HEAD) + len(CONTENT)))
                await send_file(target, HEAD, opened.fileno(), 0, len(CONTENT))
            assert await taking == HEAD + CONTENT
            assert target.watch.jobs == 3
            # While the disk is waited for, the socket is not watched: it would call all the time.
            assert target.waits[:2] == ["await", "ready"]

    run_on(loop_name, main())


@pytest.mark.parametrize("how", ["lost", "cancelled"])
@pytest.mark.parametrize("begins", [0, SLICE], ids=["first", "later"])
def test_a_wait_for_the_disk_ends_at_once_and_leaves_the_thread_its_own_descriptor(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch, how: str, begins: int
) -> None:
    disk = Disk(monkeypatch, begins)

    async def main() -> None:
        async with connected() as (target, _):
            gc.collect()  # what other tests have left would be counted
            before = descriptors()
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 0, len(CONTENT)))
                await until(disk.reached.is_set)
                if how == "lost":
                    target.transport.abort()
                else:
                    sending.cancel()
                await asyncio.wait([sending])
            with pytest.raises(asyncio.CancelledError if how == "cancelled" else ClientDisconnected):
                sending.result()
            await until(lambda: descriptors() == before + 1 - (how == "lost"))
            disk.open.set()
            await until(lambda: descriptors() == before - (how == "lost"))

    run_on(loop_name, main())


def test_where_no_thread_is_to_be_had_the_loop_waits_for_the_disk(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, 0)

    async def main() -> None:
        async with connected() as (target, peer):
            await asyncio.get_running_loop().shutdown_default_executor()
            with file.open("rb") as opened:
                await send_file(target, HEAD, opened.fileno(), 0, 100_000)
            assert await peer.take(len(HEAD) + 100_000) == HEAD + CONTENT[:100_000]
            assert target.waits == ["await", "ready"]

    run_on(loop_name, main())


def test_a_cold_file_that_has_to_be_read_is_read_by_a_thread_first(
    loop_name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, 0)
    disk.open.set()

    async def main() -> None:
        encrypting = FakeTransport({"ssl_object": object(), "socket": object()})
        target = Target(encrypting)
        with file.open("rb") as opened:
            await send_file(target, HEAD, opened.fileno(), 0, SLICE + 100)
        assert encrypting.written == HEAD + CONTENT[: SLICE + 100]
        assert target.watch.jobs == 1
        assert target.waits == ["await", "ready"]

    run_on(loop_name, main())
    assert disk.asked == [(0, SLICE), (SLICE, 100)]


# What a client has not taken


def test_what_the_client_has_not_acknowledged_is_known(loop_name: str, file: Path) -> None:
    async def main() -> None:
        async with connected() as (target, peer):
            assert unacknowledged(target.transport) == 0
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(send_file(target, HEAD, opened.fileno(), 0, len(CONTENT)))
                await until(lambda: unacknowledged(target.transport))
                await peer.take(len(HEAD) + len(CONTENT))
                await sending
            await until(lambda: unacknowledged(target.transport) == 0)

    run_on(loop_name, main())


def test_a_transport_without_a_socket_has_nothing_unacknowledged() -> None:
    assert unacknowledged(FakeTransport()) == 0
    with socket.socket() as closed:
        pass
    assert unacknowledged(FakeTransport({"socket": closed})) == 0
