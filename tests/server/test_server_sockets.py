"""Server with sockets of others: from the start, and later, as a worker gets them; on both loops."""

from __future__ import annotations

import asyncio
import socket
from math import inf

import pytest

from miniasgi import Config, Server
from miniasgi.errors import StartupError
from miniasgi.server.service import TICK_SECONDS
from miniasgi.server.sockets.binding import bind
from miniasgi.types import App, Receive, Scope, Send
from tests.server.apps import Gate, hello
from tests.server.embedded import GET
from tests.support import Client, fetch, run_on, until


def bound() -> socket.socket:
    """A socket that is bound to a port of its own."""
    return bind("127.0.0.1", 0)[0]


def given(*sockets: socket.socket, app: App = hello) -> Server:
    config = Config(lifespan="off", access_log=False, date_header=False, server_header=False)
    return Server(app, config, sockets=sockets)


def port_of(one: socket.socket) -> int:
    return int(one.getsockname()[1])


def test_sockets_that_are_given_are_listened_to_instead_of_the_address(loop_name: str) -> None:
    async def main() -> None:
        first, second = bound(), bound()
        ports = [port_of(first), port_of(second)]
        async with given(first, second) as server:
            assert [port for _, port in server.addresses] == ports
            for port in ports:
                assert (await fetch(port)).endswith(b"hello")
        assert (first.fileno(), second.fileno()) == (-1, -1)

    run_on(loop_name, main())


def test_a_start_that_fails_closes_the_sockets_that_were_given(loop_name: str) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("no")

    async def main() -> None:
        one = bound()
        with pytest.raises(StartupError):
            await Server(broken, Config(lifespan="on"), sockets=[one]).serve()
        assert one.fileno() == -1

    run_on(loop_name, main())


def test_a_server_may_begin_without_a_socket_and_get_some_later(loop_name: str) -> None:
    async def main() -> None:
        async with given() as server:
            assert (server.addresses, server.urls) == ([], [])
            one, other = bound(), bound()
            port = port_of(one)
            (listener,) = server.listen([one])
            assert (await fetch(port)).endswith(b"hello")
            server.listen([other])
            assert server.addresses == [listener.address, ("127.0.0.1", port_of(other))]
        assert (one.fileno(), other.fileno()) == (-1, -1)

    run_on(loop_name, main())


def test_what_is_forgotten_is_closed_while_its_connections_go_on(loop_name: str) -> None:
    async def main() -> None:
        async with given(bound()) as server:
            one = bound()
            port = port_of(one)
            listeners = server.listen([one])
            client = await Client.open(port)
            client.send(GET)
            assert (await client.response())[1] == b"hello"
            server.forget(listeners)
            server.forget(listeners)  # twice is once
            assert one.fileno() == -1
            with pytest.raises(ConnectionRefusedError):
                await Client.open(port)
            client.send(GET)
            assert (await client.response())[1] == b"hello"
            client.close()
            assert (await fetch(server.port)).endswith(b"hello")

    run_on(loop_name, main())


def test_what_is_not_its_own_is_not_forgotten(loop_name: str) -> None:
    async def main() -> None:
        async with given() as one, given() as other:
            listeners = one.listen([bound()])
            other.forget(listeners)
            assert (await fetch(one.port)).endswith(b"hello")

    run_on(loop_name, main())


def test_a_server_that_stops_takes_no_more_sockets(loop_name: str) -> None:
    async def main() -> None:
        gate = Gate()
        first = bound()
        server = given(first, app=gate)
        serve = asyncio.create_task(server.serve())
        await until(lambda: server.addresses)
        client = await Client.open(server.port)
        client.send(GET)
        await until(lambda: gate.waiting)
        server.stop()
        await until(lambda: first.fileno() == -1)
        late = bound()
        assert server.listen([late]) == []
        assert late.fileno() == -1
        gate.open()
        assert (await client.rest()).endswith(b"\r\n\r\n/")
        client.close()
        await serve

    run_on(loop_name, main())


def test_sockets_that_come_while_nothing_is_accepted_wait_as_well(
    loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 1)
    monkeypatch.setattr("miniasgi.server.server.TICK_SECONDS", 0.05)

    async def main() -> None:
        async with given(bound()) as server:
            first = await Client.open(server.port)
            first.send(GET)
            assert (await first.response())[1] == b"hello"
            one = bound()
            port = port_of(one)
            server.listen([one])
            with pytest.raises(ConnectionRefusedError):  # it is not even listened to
                await Client.open(port)
            first.close()
            await until(lambda: one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            assert (await fetch(port)).endswith(b"hello")

    run_on(loop_name, main())


def test_servers_of_one_process_share_its_descriptors(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 2)
    monkeypatch.setattr("miniasgi.server.server.TICK_SECONDS", 0.05)

    async def main() -> None:
        async with given(bound()) as one, given(bound()) as other:
            clients = [await Client.open(one.port), await Client.open(other.port)]
            for client in clients:
                client.send(GET)
                assert (await client.response())[1] == b"hello"
            late = await Client.open(other.port)  # waits in the kernel: of the two places, the first server has one
            late.send(GET)
            answer = asyncio.ensure_future(late.response())
            await until(lambda: other._ticks > 2)
            assert not answer.done()
            clients[0].close()
            assert (await answer)[1] == b"hello"
            for client in (clients[1], late):
                client.close()

    run_on(loop_name, main())


def test_who_has_been_idle_makes_room_for_clients_of_another_server(
    loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 3)
    monkeypatch.setattr("miniasgi.server.server.TICK_SECONDS", 0.05)
    monkeypatch.setattr("miniasgi.server.server._REST_SECONDS", -TICK_SECONDS)  # any time is long

    async def main() -> None:
        gate = Gate()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await (gate if scope["path"] == "/busy" else hello)(scope, receive, send)

        async with given(bound()) as one, given(bound(), app=app) as other:
            idle = [await Client.open(one.port) for _ in range(2)]
            for client in idle:
                client.send(GET)
                assert (await client.response())[1] == b"hello"
            busy = await Client.open(other.port)  # the last that there is room for
            busy.send(b"GET /busy HTTP/1.1\r\nHost: h\r\n\r\n")
            late = await Client.open(other.port)
            late.send(GET)
            assert (await late.response())[1] == b"hello"
            gate.open("/busy")
            assert (await busy.response())[1] == b"/busy"
            for client in (*idle, busy, late):
                client.close()

    run_on(loop_name, main())


def test_where_descriptors_run_short_who_has_been_idle_makes_room(
    loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniasgi.server.sockets.listeners.descriptors_to_spare", lambda: 4)
    monkeypatch.setattr("miniasgi.server.server.TICK_SECONDS", 0.05)
    monkeypatch.setattr("miniasgi.server.server._REST_SECONDS", inf)  # nobody is idle for so long

    async def main() -> None:
        gate = Gate()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await (gate if scope["path"] == "/busy" else hello)(scope, receive, send)

        async with given(bound(), app=app) as server:
            clients = [await Client.open(server.port) for _ in range(4)]
            first, second, busy, silent = clients
            for client in (first, second):
                client.send(GET)
                assert (await client.response())[1] == b"hello"
            busy.send(b"GET /busy HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: gate.waiting and server.connections == 4)
            late = await Client.open(server.port)
            late.send(GET)
            ticks = server._ticks
            await until(lambda: server._ticks > ticks + 2)
            assert server.connections == 4
            monkeypatch.setattr("miniasgi.server.server._REST_SECONDS", -TICK_SECONDS)  # any time is long
            assert await first.rest() == b""  # no more than have to
            assert (await late.response())[1] == b"hello"
            gate.open("/busy")
            assert (await busy.response())[1] == b"/busy"
            silent.send(GET)
            assert (await silent.response())[1] == b"hello"
            for client in (*clients, late):
                client.close()

    run_on(loop_name, main())
