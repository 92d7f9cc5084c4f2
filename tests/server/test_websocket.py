"""An open session's connection: its pace, its deadlines, and every way in which it ends, with its access line."""

from __future__ import annotations

import asyncio
import logging
import struct
from itertools import pairwise
from typing import Any

import pytest

from miniasgi.server.connections.websocket import WebSocketConnection
from miniasgi.types import App, Message, Receive, Scope, Send
from tests.server.conftest import MakeWire
from tests.support import Wire
from tests.websocket.apps import accept, echo
from tests.websocket.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    frame,
    take_frame,
    upgrade,
)

pytest.importorskip("websockets", reason="the package websockets is not installed")

PINGED = b"\x89\x00"


class Guided:
    """An application that does what a test says: it sends what is given to it, and takes as many messages as it may."""

    def __init__(self) -> None:
        self.orders: asyncio.Queue[Message | None] = asyncio.Queue()
        self.received: list[Message] = []
        self.errors: list[BaseException] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        while True:
            order = await self.orders.get()
            try:
                if order is None:
                    self.received.append(await receive())
                elif order["type"] == "return":
                    return
                else:
                    await send(order)
            except Exception as error:
                self.errors.append(error)

    def take(self, wire: Wire, count: int = 1) -> list[Any]:
        """Receive *count* messages, or as many as there are."""
        for _ in range(count):
            self.orders.put_nowait(None)
        before = -1
        while before < len(self.received):  # some come only in a later turn
            before = len(self.received)
            wire.turn()
        taken, self.received = self.received, []
        return [each.get("text", each.get("bytes")) if "code" not in each else each for each in taken]

    def send(self, wire: Wire, kind: str, **more: Any) -> None:
        self.orders.put_nowait({"type": kind, **more})
        wire.turn()


def disconnect(code: int, reason: str = "") -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def join(make_wire: MakeWire, app: App, *fields: bytes, behind: bytes = b"", **options: Any) -> Wire:
    """A Wire whose session is open; *behind* comes with the request."""
    wire = make_wire(app, **options)
    wire.feed(upgrade("/", *fields) + behind)
    head, _, rest = wire.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    wire.connection = wire.protocol  # type: ignore[assignment]  # it is what time and the client's end are for now
    wire.transport.written = rest
    return wire


def frames(wire: Wire) -> list[Frame]:
    """What the client has been sent since the last time."""
    buffer = bytearray(wire.take())
    found = []
    while (each := take_frame(buffer)) is not None:
        found.append(each)
    assert not buffer
    return found


def session(wire: Wire) -> WebSocketConnection:
    assert isinstance(wire.protocol, WebSocketConnection)
    return wire.protocol


# Messages


def test_messages_go_both_ways(make_wire: MakeWire) -> None:
    wire = join(make_wire, echo)
    wire.feed(frame(TEXT, b"hello"), frame(BINARY, b"\xff") + frame(PING, b"?"))
    assert frames(wire) == [Frame(TEXT, b"hello"), Frame(PONG, b"?"), Frame(BINARY, b"\xff")]


def test_what_came_with_the_request_is_taken_after_the_application_knows(make_wire: MakeWire) -> None:
    wire = join(make_wire, echo, behind=frame(TEXT, b"early") + frame(TEXT, b"half")[:5])
    assert frames(wire) == [Frame(TEXT, b"early")]
    wire.feed(frame(TEXT, b"half")[5:])
    assert frames(wire) == [Frame(TEXT, b"half")]


# Pace


def test_the_client_waits_while_as_many_messages_wait_as_may(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_max_queue=3)
    wire.feed(frame(TEXT, b"1"), frame(TEXT, b"2"))
    assert wire.transport.reading
    wire.feed(frame(TEXT, b"3"))
    assert not wire.transport.reading
    assert app.take(wire) == ["1"]
    assert wire.transport.reading
    wire.feed(frame(TEXT, b"4") + frame(TEXT, b"5"))
    assert not wire.transport.reading
    assert app.take(wire, 4) == ["2", "3", "4", "5"]
    assert wire.transport.reading


def test_the_client_waits_while_more_than_64_kib_wait(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    half = b"x" * 32 * 1024
    wire.feed(frame(BINARY, half), frame(BINARY, half))
    assert wire.transport.reading
    wire.feed(frame(BINARY, b"y"))
    assert not wire.transport.reading
    assert app.take(wire) == [half]
    assert wire.transport.reading


def test_what_has_come_at_once_waits_too_and_nothing_of_it_is_lost(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_max_queue=1)
    count = 20_000
    wire.feed(b"".join(frame(TEXT, b"%d" % number) for number in range(count)))
    (exchange,) = wire.service.running
    assert exchange.waiting < count / 4  # type: ignore[attr-defined]  # a WebSocket's
    assert not wire.transport.reading
    # What a transport had already read when it was told to stop.
    wire.feed(frame(TEXT, b"%d" % count))
    assert app.take(wire, count + 1) == [str(number) for number in range(count + 1)]
    assert wire.transport.reading


def test_a_flood_is_taken_in_turns_and_in_its_order(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided())
    octets = b"".join(frame(PING, b"%06d" % number) for number in range(10_000))
    expected = b"".join(b"\x8a\x06%06d" % number for number in range(10_000))

    def slow_clock() -> float:
        wire.clock.seconds += 1.0
        return wire.clock.seconds

    wire.service.clock = slow_clock
    turns = []

    async def flood() -> None:
        wire.protocol.data_received(octets)  # type: ignore[attr-defined]
        while len(wire.transport.written) < len(expected):
            turns.append((len(wire.transport.written), wire.transport.reading))
            # What a transport had already read when it was told to stop.
            if len(turns) == 1:
                wire.protocol.data_received(frame(PING, b"end"))  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    wire.loop.run_until_complete(flood())
    assert len(turns) > 5
    assert not any(reading for _, reading in turns)
    assert all(later - sooner < 16 * 1024 for (sooner, _), (later, _) in pairwise(turns))
    wire.turn()
    assert wire.take() == expected + b"\x8a\x03end"
    assert wire.transport.reading


def test_a_client_that_takes_nothing_is_not_listened_to_and_senders_wait(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app)
    session(wire).pause_writing()
    assert not wire.transport.reading
    app.send(wire, "websocket.send", text="1")
    app.send(wire, "websocket.send", text="2")
    assert frames(wire) == [Frame(TEXT, b"1")]
    session(wire).resume_writing()
    wire.turn()
    assert frames(wire) == [Frame(TEXT, b"2")]
    assert wire.transport.reading


def test_room_for_answers_is_no_room_for_messages(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_max_queue=1)
    wire.feed(frame(TEXT, b"1"))
    session(wire).pause_writing()
    session(wire).resume_writing()
    assert not wire.transport.reading
    app.take(wire)
    assert wire.transport.reading


def test_a_client_that_takes_nothing_for_too_long_is_cut(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided(), timeout_write=30.0)
    wire.transport.buffer_size = 1000
    session(wire).pause_writing()
    wire.wait(29)
    wire.transport.buffer_size = 999
    wire.wait(2)
    assert not wire.lost  # it has taken something
    wire.wait(31)
    assert wire.transport.aborted


# Signs of life


def test_a_silent_client_is_pinged_and_every_octet_is_a_sign_of_life(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided(), ws_ping_interval=20.0, ws_ping_timeout=5.0)
    wire.wait(19)
    assert wire.take() == b""
    for answer in (frame(PONG), frame(TEXT, b"x"), b"\x81"):
        wire.wait(2)
        assert wire.take() == PINGED
        wire.wait(4)
        wire.feed(answer)
        wire.wait(18)
        assert (wire.take(), wire.lost) == (b"", False)


def test_a_client_that_talks_is_pinged_too_for_those_between_who_look_for_it(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided(), ws_ping_interval=20.0, ws_ping_timeout=5.0)
    for _ in range(4):
        wire.wait(5)
        wire.feed(frame(TEXT, b"x"))
    wire.wait(1)
    assert wire.take() == PINGED


def test_a_client_that_answers_no_ping_is_told_1011_and_left(
    make_wire: MakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")
    app = Guided()
    wire = join(make_wire, app, ws_ping_interval=20.0, ws_ping_timeout=5.0)
    wire.wait(21)
    assert wire.take() == PINGED
    wire.wait(6)
    assert frames(wire) == [Frame(CLOSE, struct.pack("!H", 1011) + b"keepalive ping timeout")]
    assert (wire.lost, wire.transport.aborted) == (True, False)
    assert app.take(wire) == [disconnect(1011, "keepalive ping timeout")]
    assert caplog.messages == ["192.0.2.1:50000: no sign of life, WebSocket closed"]


def test_a_client_is_never_pinged_where_the_interval_is_0(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided(), ws_ping_interval=0.0)
    for _ in range(10):
        wire.wait(3600)
    assert (wire.take(), wire.lost) == (b"", False)


def test_a_client_is_pinged_and_not_left_where_the_timeout_is_0(make_wire: MakeWire) -> None:
    wire = join(make_wire, Guided(), ws_ping_interval=20.0, ws_ping_timeout=0.0)
    for _ in range(10):
        wire.wait(21)
        assert (wire.take(), wire.lost) == (PINGED, False)


def test_a_client_that_is_made_to_wait_is_not_asked_whether_it_lives(make_wire: MakeWire) -> None:
    app = Guided()
    wire = join(make_wire, app, ws_max_queue=1, ws_ping_interval=20.0)
    wire.feed(frame(TEXT, b"1"))
    wire.wait(100)
    assert (wire.take(), wire.lost) == (b"", False)
    app.take(wire)
    wire.wait(19)
    assert wire.take() == b""
    wire.wait(2)
    assert wire.take() == PINGED
