"""Who is slower sets the pace: the other one waits, and the server's memory stays what it was."""

from __future__ import annotations

import asyncio
import random
import select
from collections.abc import Iterator

import pytest

from miniasgi import Server
from miniasgi.types import Receive, Scope, Send
from tests.support import ServerProcess, until
from tests.websocket.apps import MIB, Noted, accept, run_served, send_bytes
from tests.websocket.frames import BINARY, CLOSE, PING, TEXT, BlockingPeer, Frame, Peer, close, close_code, frame

pytest.importorskip("websockets", reason="the package websockets is not installed")


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
        # What the system keeps between them is not the server's: it may grow to 32 MiB, and more for what is sent.
        assert send_until_full(peer, octets, 128 * MIB) < 96 * MIB
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


# Clients that vanish


@pytest.mark.slow
def test_a_client_that_vanishes_while_it_is_sent_to_takes_nobody_with_it(patient: ServerProcess) -> None:
    """Its application has nothing else to wait for than that its messages are taken, which now they never are."""
    die = random.Random(0)
    for _ in range(10):
        with BlockingPeer(patient.port, "/send-without-end") as peer:
            for _ in range(die.randint(1, 100)):
                assert peer.frame() == Frame(BINARY, bytes(65536))
        with BlockingPeer(patient.port, "/echo") as other:
            other.send(frame(TEXT, b"still there?"))
            assert other.frame() == Frame(TEXT, b"still there?")
    assert [line for line in patient.errors if "socket.send()" in line or "Traceback" in line] == []
