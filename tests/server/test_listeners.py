"""Listeners: pausing turns nobody away, closing leaves nothing behind, and descriptors that run short are said."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket

import pytest

from miniasgi.server.sockets.binding import bind
from miniasgi.server.sockets.listeners import Listener, Room, descriptors_to_spare
from tests.support import run_on, until


class Connections:
    """Somebody who has some."""

    def __init__(self, opened: int = 0) -> None:
        self.opened = opened


class Greeting(asyncio.Protocol):
    """Says hello and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"hello")  # type: ignore[attr-defined]  # a stream transport is what it is
        transport.close()


async def greeted(address: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        return await reader.read()
    finally:
        writer.close()


def test_a_listener_serves_while_it_is_not_paused_and_loses_nobody_meanwhile(loop_name: str) -> None:
    async def run() -> None:
        listener = Listener(bind("127.0.0.1", 0)[0], 16)
        try:
            listener.resume(Greeting)
            listener.resume(Greeting)  # twice is once
            assert await greeted(listener.address) == b"hello"
            listener.pause()
            listener.pause()
            reader, writer = await asyncio.open_connection(*listener.address)  # queues in the kernel
            waiting = asyncio.ensure_future(reader.read())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            listener.resume(Greeting)
            assert await waiting == b"hello"
            writer.close()
            assert await greeted(listener.address) == b"hello"
        finally:
            listener.close()

    run_on(loop_name, run())


def test_a_closed_listener_gives_its_address_and_its_descriptors_back(loop_name: str) -> None:
    async def run() -> None:
        open_files: list[int] = []
        for _ in range(3):
            listener = Listener(bind("127.0.0.1", 0)[0], 16)
            address = listener.address
            listener.resume(Greeting)
            listener.pause()
            listener.resume(Greeting)
            listener.close()
            # A loop opens files of its own with its first server, and closes a listener's a turn later.
            open_files.append(len(os.listdir("/dev/fd")))
            await until(lambda: len(os.listdir("/dev/fd")) <= open_files[0])
            with pytest.raises(OSError):
                await asyncio.open_connection(*address)
            bind(*address)[0].close()

    run_on(loop_name, run())


class Exhausted(socket.socket):
    """A listening socket for which no descriptor is left at first."""

    failures = 2

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@pytest.mark.slow
def test_a_listener_tries_again_when_no_descriptor_is_left(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        bound = Exhausted(fileno=bind("127.0.0.1", 0)[0].detach())
        listener = Listener(bound, 16)
        listener.resume(Greeting)
        reader, writer = await asyncio.open_connection(*listener.address)
        assert await reader.read() == b"hello"
        writer.close()
        listener.close()

    run_on(loop_name, run())
    (record,) = caplog.records
    assert record.getMessage() == "cannot accept a connection: Too many open files; tried again each second"


def test_a_socket_that_blocks_does_not_block_the_loop(loop_name: str) -> None:
    async def run() -> None:
        listener = Listener(socket.create_server(("127.0.0.1", 0)), 16)
        listener.resume(Greeting)
        for _ in range(2):
            assert await greeted(listener.address) == b"hello"
        listener.close()

    run_on(loop_name, run())


def test_a_listener_that_never_accepted_can_be_closed() -> None:
    listener = Listener(bind("127.0.0.1", 0)[0], 16)
    listener.close()


@pytest.mark.parametrize(("limit", "most"), [(1024, 1024 - 32), (32, 8), (resource.RLIM_INFINITY, 1 << 30)])
def test_descriptors_to_spare_are_those_that_nobody_uses(
    limit: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    spare = descriptors_to_spare()
    assert 8 <= spare <= most
    if limit == 1024:
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
        assert descriptors_to_spare() == spare - 10
        for file in files:
            os.close(file)


def test_where_descriptors_cannot_be_counted_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", unreadable)
    assert descriptors_to_spare() == 1 << 30


def test_those_who_share_a_room_fill_it_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 100)
    room, one, other = Room(), Connections(), Connections()
    assert not room.is_full
    room.enter(one)
    room.enter(other)
    one.opened, other.opened = 60, 39
    assert room.taken == 99
    assert not room.is_full
    other.opened = 40
    assert room.is_full
    assert not room.has_space
    one.opened = 50
    assert not room.is_full
    assert not room.has_space  # a tenth has to be free
    one.opened = 49
    assert room.has_space
    one.opened = 60
    room.leave(other)
    assert room.taken == 60
    assert room.has_space
    room.leave(other)  # twice is once


def test_a_room_stays_short_until_it_has_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 100)
    room, one = Room(), Connections()
    room.enter(one)
    one.opened = 95
    assert not room.stays_short()  # nobody has said so
    room.fall_short()
    assert room.stays_short()
    one.opened = 80
    assert not room.stays_short()
    one.opened = 95
    assert not room.stays_short()


def test_who_enters_a_room_later_does_not_count_what_is_open_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    room, one, other = Room(), Connections(), Connections()
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 100)
    room.enter(one)
    one.opened = 70
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 27)  # three are its own
    room.enter(other)
    other.opened = 26
    assert not room.is_full
    other.opened = 27
    assert room.is_full
