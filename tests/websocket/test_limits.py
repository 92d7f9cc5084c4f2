"""What bounds a session: either side's pace, silence, the closing handshake, and the end of the server."""

from __future__ import annotations

import asyncio
import logging
import re
import select
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from miniasgi import Server
from miniasgi.server import server as server_module
from miniasgi.server import service as service_module
from miniasgi.server import websocket as websocket_module
from miniasgi.types import Message, Receive, Scope, Send
from tests.server.embedded import serving
from tests.support import Client, ServerProcess, run_on, until
from tests.websocket.apps import MIB, Noted, accept, echo, listen, run_served, send_bytes
from tests.websocket.frames import BINARY, CLOSE, PING, PONG, TEXT, BlockingPeer, Frame, Peer, close, close_code, frame

pytest.importorskip("websockets", reason="the package websockets is not installed")


# Pace


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def patient(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    options = ["--port", "0", "--no-access-log", "--loop", request.param, "--timeout-graceful-shutdown", "0"]
    with ServerProcess("tests.websocket.apps:by_path", *options) as server:
        yield server


def send_until_full(peer: BlockingPeer, octets: bytes, at_most: int) -> int:
    """Send *octets* again and again until nobody takes any more; how many were taken."""
    peer.socket.setblocking(False)
    sent = 0
    while sent < at_most and select.select([], [peer.socket], [], 0.3)[1]:
        sent += peer.socket.send(octets[sent % len(octets) :])
    peer.socket.settimeout(10)
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 10, 1000, 100_000, 8 * MIB])
def test_a_client_waits_for_an_application_that_takes_nothing(patient: ServerProcess, size: int) -> None:
    octets = frame(BINARY, bytes(size), mask=bytes(4)) * (MIB // (size + 6) + 1)
    with BlockingPeer(patient.port, "/never-receive") as warm:
        warm.send(frame(TEXT, b"x"))
    before = patient.memory()
    peers = [BlockingPeer(patient.port, "/never-receive") for _ in range(3)]
    for peer in peers:
        # What the system keeps between them is not the server's: some six MiB on loopback.
        assert send_until_full(peer, octets, 64 * MIB) < 32 * MIB
    # A message that has begun is taken whole, and so is one read behind it.
    assert patient.memory() - before < 3 * (3 * size + MIB) + 4 * MIB
    for peer in peers:
        peer.socket.close()


@pytest.mark.slow
def test_an_application_waits_for_a_client_that_reads_nothing(patient: ServerProcess) -> None:
    with BlockingPeer(patient.port, "/listen"):
        before = patient.memory()
    peers = [BlockingPeer(patient.port, "/send-without-end", receive_buffer=65536) for _ in range(3)]
    for peer in peers:
        assert peer.frame() == Frame(BINARY, bytes(65536))
    with BlockingPeer(patient.port, "/echo") as other:
        for _ in range(50):  # while they would have sent a lot
            other.send(frame(TEXT, b"x"))
            assert other.frame() == Frame(TEXT, b"x")
    assert patient.memory() - before < 8 * MIB
    for peer in peers:
        for _ in range(200):  # it goes on where it has stopped
            assert peer.frame() == Frame(BINARY, bytes(65536))
        peer.socket.close()


@pytest.mark.slow
def test_a_client_that_pings_and_reads_nothing_is_not_listened_to(patient: ServerProcess) -> None:
    with BlockingPeer(patient.port, "/listen", receive_buffer=65536) as peer:
        before = patient.memory()
        assert send_until_full(peer, frame(PING, b"p" * 125) * 8000, 128 * MIB) < 64 * MIB
        assert patient.memory() - before < 8 * MIB


def test_a_send_waits_until_the_client_has_read(loop_name: str) -> None:
    total = 512
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await accept(receive, send)
        while sent < total:
            await send_bytes(send, bytes(65536))
            sent += 1
        await send({"type": "websocket.close"})

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        seen = -1
        while sent != seen:  # until it gets no further
            seen = sent
            for _ in range(50):
                await asyncio.sleep(0)
        assert 0 < sent < total
        for _ in range(total):
            assert await peer.frame() == Frame(BINARY, bytes(65536))
        assert await peer.frame() == Frame(CLOSE, b"\x03\xe8")
        peer.send(close())
        assert await peer.frames() == []
        peer.close()

    run_served(loop_name, app, test)


@pytest.mark.parametrize("queue", [1, 5])
def test_what_waited_for_the_application_comes_in_its_order_with_the_close_behind(loop_name: str, queue: int) -> None:
    go = asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await go.wait()
        while (await receive())["type"] == "websocket.receive":
            pass

    app = Noted(late)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(3000)) + close(4000, b"done"))
        await until(lambda: app.scopes)
        go.set()
        assert close_code(await peer.frames()) == 4000
        peer.close()
        await until(lambda: app.ended)

    run_served(loop_name, app, test, ws_max_queue=queue)
    assert app.texts == [str(number) for number in range(3000)]
    assert app.disconnects == [(4000, "done")]


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
