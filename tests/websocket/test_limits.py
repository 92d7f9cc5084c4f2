"""What bounds a session: silence, the closing handshake, and the end of the server."""

from __future__ import annotations

import asyncio
import logging
import re
import struct
from typing import Any

import pytest

from miniasgi import Server
from miniasgi.server import server as server_module
from miniasgi.server import service as service_module
from miniasgi.server.connections import websocket as websocket_module
from miniasgi.types import Message, Receive, Scope, Send
from tests.server.embedded import serving
from tests.support import Client, run_on, until
from tests.websocket.apps import Noted, accept, echo, listen, run_served
from tests.websocket.frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, Peer, close, close_code, frame

pytest.importorskip("websockets", reason="the package websockets is not installed")


# Silence


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines are checked twenty times a second, and a client has a fifth of one to answer a close."""
    monkeypatch.setattr(server_module, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(service_module, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(websocket_module, "_CLOSE_SECONDS", 0.2)


@pytest.mark.slow
def test_a_silent_client_is_pinged_and_then_given_up(quick: None, loop_name: str) -> None:
    app = Noted(listen)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        opcodes = [each.opcode for each in await peer.frames()]
        assert opcodes == [PING, CLOSE]
        peer.close()
        await until(lambda: app.ended)

    run_served(loop_name, app, test, ws_ping_interval=0.1, ws_ping_timeout=0.2)
    assert [code for code, _ in app.disconnects] == [1011]


@pytest.mark.slow
def test_a_client_that_answers_pings_stays(quick: None, loop_name: str) -> None:
    app = Noted(listen)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        for _ in range(3):
            asked = await peer.frame()
            assert asked.opcode == PING
            peer.send(frame(PONG, asked.payload))
        await peer.leave()
        await until(lambda: app.ended)

    run_served(loop_name, app, test, ws_ping_interval=0.1, ws_ping_timeout=0.2)
    assert app.disconnects == [(1000, "")]


# The closing handshake


@pytest.mark.slow
def test_a_client_that_never_answers_a_close_is_cut(quick: None, loop_name: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.close"})

    noted = Noted(app)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        assert await peer.frame() == Frame(CLOSE, b"\x03\xe8")
        await until(lambda: noted.ended)
        assert await peer.frames() == []  # it ends without us
        peer.close()
        await until(lambda: not server._service.connections)

    run_served(loop_name, noted, test)


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (b"", 0),
        (frame(TEXT, b"still talking") * 100, 0),
        (frame(BINARY, bytes(70_000)) * 20, 0),
        (frame(PING) * 100, 100),
    ],
    ids=["nothing", "texts", "octets", "pings"],
)
def test_a_close_is_awaited_while_the_client_has_more_to_say(loop_name: str, said: bytes, answers: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.close", "code": 4004})

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        assert await peer.frame() == Frame(CLOSE, struct.pack("!H", 4004))
        peer.send(said + close(4004))
        # RFC 6455 §5.5.2: a ping is answered until the client has closed, too.
        assert await peer.frames() == [Frame(PONG, b"")] * answers
        peer.close()

    run_served(loop_name, app, test)


# The end of the server


def stopped(loop_name: str, app: Any, test: Any, **options: Any) -> None:
    """Serve *app*, have *test* prepare a session, then leave the server, which stops; *test* ends by itself."""

    async def main() -> None:
        prepared = asyncio.Event()
        async with serving(app, **options) as server:
            task = asyncio.create_task(test(server, prepared))
            waiting = asyncio.create_task(prepared.wait())
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        await asyncio.wait_for(task, 5)

    run_on(loop_name, main())


@pytest.mark.slow
def test_a_server_that_stops_says_so_to_both_sides(loop_name: str) -> None:
    draining: list[bool] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        event: asyncio.Event = scope["extensions"]["miniasgi.draining"]["event"]
        await accept(receive, send)
        draining.append(event.is_set())
        while (await receive())["type"] == "websocket.receive":
            pass
        draining.append(event.is_set())

    app = Noted(listening)

    async def test(server: Server, prepared: asyncio.Event) -> None:
        peer = await Peer.join(server.port)
        prepared.set()
        assert close_code([await peer.frame()]) == 1012
        peer.send(close(1012))
        assert await peer.frames() == []
        peer.close()

    stopped(loop_name, app, test)
    assert draining == [False, True]
    assert [code for code, _ in app.disconnects] == [1012]


def test_an_application_that_hears_of_the_stop_may_say_goodbye(loop_name: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await scope["extensions"]["miniasgi.draining"]["event"].wait()
        await send({"type": "websocket.send", "text": "back soon"})
        await send({"type": "websocket.close", "code": 4012})

    async def test(server: Server, prepared: asyncio.Event) -> None:
        peer = await Peer.join(server.port)
        prepared.set()
        assert await peer.frame() == Frame(TEXT, b"back soon")
        assert await peer.frame() == Frame(CLOSE, struct.pack("!H", 4012))
        peer.send(close(4012))
        assert await peer.frames() == []
        peer.close()

    stopped(loop_name, app, test)


@pytest.mark.slow
@pytest.mark.parametrize("deaf", ["client", "application", "both"])
def test_nobody_can_hold_a_server_up(loop_name: str, deaf: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        if deaf == "client":
            while (await receive())["type"] == "websocket.receive":
                pass
        else:
            await asyncio.Event().wait()

    noted = Noted(app)

    async def test(server: Server, prepared: asyncio.Event) -> None:
        peer = await Peer.join(server.port)
        prepared.set()
        if deaf == "application":
            assert close_code(await peer.frames()) == 1012
        else:
            await peer.frames()
        peer.close()

    stopped(loop_name, noted, test, timeout_graceful_shutdown=0.5)
    assert noted.ended == 1


# Access lines


def test_an_access_line_tells_of_a_session_when_it_is_over(loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "miniasgi.access")

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port, "/room?name=x")
        for text in ("one", "two"):
            await peer.say(text)
        await peer.leave()
        denied = await Client.open(server.port)
        denied.send(b"GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        await denied.rest()
        denied.close()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await echo(scope, receive, send)
        else:
            messages: list[Message] = [
                {"type": "http.response.start", "status": 404},
                {"type": "http.response.body", "body": b""},
            ]
            for message in messages:
                await send(message)

    run_served(loop_name, app, test, access_log=True)
    lines = "\n".join(each.getMessage() for each in caplog.records if each.name == "miniasgi.access").split("\n")
    session, other = sorted(lines, key=lambda line: "/none" in line)
    # Two echoes of five octets, and a close frame of four.
    assert re.search(r' "GET /room\?name=x HTTP/1\.1" 101 14 \d+\.\dms 2 in, 2 out$', session)
    assert re.search(r' "GET /none HTTP/1\.1" 404 0 \d+\.\dms$', other)
