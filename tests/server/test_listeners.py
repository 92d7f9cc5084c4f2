"""Sockets are bound once, on one port; pausing turns nobody away; what cannot be had is one clear line."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator

import pytest

from miniasgi.errors import StartupError
from miniasgi.server.listeners import Listener, bind, descriptors_to_spare
from tests.support import run_on, until


@pytest.fixture
def close() -> Iterator[Callable[[list[socket.socket]], list[socket.socket]]]:
    """Closes, after the test, the sockets that it is given."""
    given: list[socket.socket] = []

    def later(bound: list[socket.socket]) -> list[socket.socket]:
        given.extend(bound)
        return bound

    yield later
    for each in given:
        each.close()


Close = Callable[[list[socket.socket]], list[socket.socket]]


def test_port_0_is_the_systems_choice(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    assert bound.getsockname()[0] == "127.0.0.1"
    assert bound.getsockname()[1] > 0
    assert not bound.getblocking()


def test_all_addresses_of_a_host_share_one_port(close: Close, monkeypatch: pytest.MonkeyPatch) -> None:
    def two(host: object, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    names = [bound.getsockname() for bound in close(bind("two.example", 0))]
    assert [host for host, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in names}) == 1


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
def test_ipv6_and_ipv4_can_be_listened_to_on_the_same_port(close: Close) -> None:
    try:
        (six,) = close(bind("::1", 0))
    except StartupError:
        pytest.skip("no IPv6 on this machine")
    port = six.getsockname()[1]
    (four,) = close(bind("127.0.0.1", port))
    assert Listener(six, 1).url == f"http://[::1]:{port}"
    assert Listener(four, 1).url == f"http://127.0.0.1:{port}"


def test_a_port_in_use_is_told_with_its_address(close: Close) -> None:
    (bound,) = close(bind("127.0.0.1", 0))
    bound.listen()
    port = bound.getsockname()[1]
    with pytest.raises(StartupError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
        bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(StartupError, match=r"^cannot listen on 192\.0\.2\.1:0: "):
        bind("192.0.2.1", 0)


def test_a_host_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(StartupError, match=r"^cannot listen on nowhere\.example:80: Name or service not known$"):
        bind("nowhere.example", 80)


def test_what_was_bound_before_a_failure_is_closed(close: Close, monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = close(bind("127.0.0.2", 0))
    taken.listen()
    port = taken.getsockname()[1]

    def two(host: object, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with pytest.raises(StartupError):
        bind("two.example", port)
    monkeypatch.undo()
    close(bind("127.0.0.1", port))  # is free again


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
