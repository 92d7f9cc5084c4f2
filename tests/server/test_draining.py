"""What an application sees of a server that stops: the event of ``miniasgi.draining``, on both loops."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from miniasgi import Config, Server
from miniasgi.server.connections.connection import HttpConnection
from miniasgi.server.connections.ending import EndingHalf
from miniasgi.types import Receive, Scope, Send
from tests.server.apps import body, hello, start
from tests.support import Client, run_on

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def event_of(scope: Scope) -> asyncio.Event:
    event = scope["extensions"]["miniasgi.draining"]["event"]
    assert isinstance(event, asyncio.Event)
    return event


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """An endless stream that ends only because the server does."""
    if scope["type"] == "lifespan":
        return
    await start(send)
    await body(send, b"event\n", more=True)
    await event_of(scope).wait()
    await body(send, b"goodbye\n")


def serving(app: Any, **options: Any) -> Server:
    return Server(app, Config(**{"port": 0, "access_log": False, **options}))


def test_a_stream_ends_by_itself_when_the_server_stops(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(stream) as server:
            client = await Client.open(server.port)
            client.send(GET)
            await client.reader.readuntil(b"event\n\r\n")
        assert await client.rest() == b"8\r\ngoodbye\n\r\n0\r\n\r\n"
        client.close()

    caplog.set_level(logging.INFO, "miniasgi.server")
    run_on(loop_name, main())
    # Nobody had to be told that the client has gone.
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_event_is_set_before_a_connection_is_closed(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[asyncio.Event] = []
    seen: list[bool] = []
    stop = EndingHalf.stop

    def watched(connection: HttpConnection) -> None:
        seen.append(events[0].is_set() and not connection.transport.is_closing())
        stop(connection)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(event_of(scope))
        if scope["type"] == "http":
            await hello(scope, receive, send)

    async def main() -> None:
        async with serving(app) as server:
            client = await Client.open(server.port)
            client.send(GET)
            await client.response()
            assert not events[0].is_set()
        assert await client.rest() == b""
        client.close()

    monkeypatch.setattr(EndingHalf, "stop", watched)
    run_on(loop_name, main())
    assert seen == [True]


def test_the_lifespan_and_all_requests_have_the_servers_event(loop_name: str) -> None:
    events: list[asyncio.Event] = []
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(event_of(scope))
        if scope["type"] == "http":
            await hello(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await event_of(scope).wait()
        seen.append("draining")
        seen.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    async def main() -> None:
        async with serving(app, lifespan="on") as server:
            clients = [await Client.open(server.port) for _ in range(2)]
            for client in clients:
                client.send(GET)
                await client.response()
                client.close()
            assert seen == []
        assert seen == ["draining", "lifespan.shutdown"]

    run_on(loop_name, main())
    assert len(events) == 3
    assert all(event is events[0] for event in events)


def test_another_server_in_the_loop_goes_on(loop_name: str) -> None:
    events: list[asyncio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(event_of(scope))
        await stream(scope, receive, send)

    async def main() -> None:
        async with serving(app, lifespan="off") as one:
            async with serving(app, lifespan="off") as other:
                clients = [await Client.open(server.port) for server in (one, other)]
                for client in clients:
                    client.send(GET)
                    await client.reader.readuntil(b"event\n\r\n")
            assert await clients[1].rest() == b"8\r\ngoodbye\n\r\n0\r\n\r\n"
            assert [event.is_set() for event in events] == [False, True]
        assert await clients[0].rest() == b"8\r\ngoodbye\n\r\n0\r\n\r\n"
        for client in clients:
            client.close()

    run_on(loop_name, main())
