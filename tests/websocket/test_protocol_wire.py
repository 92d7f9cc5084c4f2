"""Frames on real sockets, octet for octet: what is a message, what ends a session, and what the application is told."""

from __future__ import annotations

import logging
import struct
from typing import Any

import pytest

from miniasgi import Server
from miniasgi.types import Receive, Scope, Send
from tests.support import until
from tests.websocket.apps import Noted, accept, echo, listen, run_served
from tests.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE,
    PING,
    PONG,
    TEXT,
    Frame,
    Peer,
    close,
    close_code,
    deflated,
    frame,
    inflated,
)

pytest.importorskip("websockets", reason="the package websockets is not installed")

Texts = list[str | bytes]


# Messages

CAFE = "café €🦊".encode()
MESSAGES: dict[str, tuple[bytes, bytes]] = {
    "text": (frame(TEXT, b"hello"), b"\x81\x05hello"),
    "octets": (frame(BINARY, b"\x00\xff\x80"), b"\x82\x03\x00\xff\x80"),
    "an empty text": (frame(TEXT), b"\x81\x00"),
    "no octets": (frame(BINARY), b"\x82\x00"),
    "text of all lengths": (frame(TEXT, CAFE), b"\x81\x0d" + CAFE),
    "a zero in a text": (frame(TEXT, b"a\x00b"), b"\x81\x03a\x00b"),
    "125 octets": (frame(BINARY, b"x" * 125), b"\x82\x7d" + b"x" * 125),
    "126 octets": (frame(BINARY, b"x" * 126), b"\x82\x7e\x00\x7e" + b"x" * 126),
    "65535 octets": (frame(BINARY, b"x" * 65535), b"\x82\x7e\xff\xff" + b"x" * 65535),
    "65536 octets": (frame(BINARY, b"x" * 65536), b"\x82\x7f" + struct.pack("!Q", 65536) + b"x" * 65536),
    "three fragments": (
        frame(TEXT, b"a", final=False) + frame(CONTINUATION, b"b", final=False) + frame(CONTINUATION, b"c"),
        b"\x81\x03abc",
    ),
    "empty fragments": (
        frame(BINARY, final=False) + frame(CONTINUATION, final=False) * 100 + frame(CONTINUATION),
        b"\x82\x00",
    ),
    "a character over three fragments": (
        frame(TEXT, b"\xe2", final=False) + frame(CONTINUATION, b"\x82", final=False) + frame(CONTINUATION, b"\xac"),
        b"\x81\x03\xe2\x82\xac",
    ),
    "control frames between fragments": (
        frame(TEXT, b"a", final=False)
        + frame(PING, b"1")
        + frame(PONG, b"2")
        + frame(CONTINUATION, b"b", final=False)
        + frame(PING)
        + frame(CONTINUATION, b"c"),
        b"\x8a\x011\x8a\x00\x81\x03abc",
    ),
    "a ping": (frame(PING, b"\x00are you there?"), b"\x8a\x0f\x00are you there?"),
    "a ping of 125 octets": (frame(PING, b"p" * 125), b"\x8a\x7d" + b"p" * 125),
    "pongs that nobody asked for": (frame(PONG, b"1") + frame(PONG) + frame(TEXT, b"x"), b"\x81\x01x"),
    "another mask for each frame": (
        frame(TEXT, b"one", mask=bytes(4)) + frame(TEXT, b"two", mask=b"\xff" * 4),
        b"\x81\x03one\x81\x03two",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_what_is_said_comes_back(loop_name: str, parser_name: str, case: str) -> None:
    octets, expected = MESSAGES[case]

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(octets)
        assert await peer.reader.readexactly(len(expected)) == expected
        await peer.leave()

    run_served(loop_name, echo, test, http=parser_name)


def test_a_text_is_a_str_and_octets_are_bytes() -> None:
    app = Noted(listen)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(frame(TEXT, CAFE) + frame(BINARY, CAFE) + frame(TEXT) + frame(BINARY))
        await peer.leave()

    run_served("asyncio", app, test)
    assert app.texts == [CAFE.decode(), CAFE, "", b""]
    for message in app.received[:-1]:
        assert sum(message.get(kind) is not None for kind in ("text", "bytes")) == 1
        assert isinstance(message.get("bytes") or b"", bytes)


def test_compressed_messages_share_what_they_remember(loop_name: str) -> None:
    text = b"the same words again and again, " * 10

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port, "/", DEFLATE)
        packed = deflated(text)
        middle = len(packed) // 2
        peer.send(frame(TEXT, packed[:middle], reserved=4, final=False))
        peer.send(frame(PING, b"between") + frame(CONTINUATION, packed[middle:]))
        assert await peer.frame() == Frame(PONG, b"between")
        first = await peer.frame()
        assert (first.opcode, first.reserved, inflated(first.payload)) == (TEXT, 4, text)
        peer.send(frame(TEXT, text))
        second = await peer.frame()
        assert second.reserved == 4
        assert len(second.payload) < len(first.payload) < len(text) / 4
        await peer.leave()

    run_served(loop_name, echo, test)


# Ends that are one

FINE = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]


@pytest.mark.parametrize(
    ("code", "reason"),
    [*((code, "tschüß") for code in FINE), (1000, ""), pytest.param(4000, "r" * 123, id="4000-the longest reason")],
)
def test_a_clients_close_is_answered_and_told(loop_name: str, code: int, reason: str) -> None:
    app = Noted(echo)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(frame(TEXT, b"x") + close(code, reason.encode()) + frame(TEXT, b"ignored") + b"\xff" * 50)
        frames = await peer.frames()
        assert close_code(frames) == code
        peer.close()
        await until(lambda: app.ended)

    run_served(loop_name, app, test)
    assert app.texts == ["x"]
    assert app.disconnects == [(code, reason)]


def test_a_close_that_says_nothing_is_1005(loop_name: str, parser_name: str) -> None:
    app = Noted(echo)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(close(None))
        assert await peer.rest() == b"\x88\x00"
        peer.close()
        await until(lambda: app.ended)

    run_served(loop_name, app, test, http=parser_name)
    assert app.disconnects == [(1005, "")]


@pytest.mark.parametrize("how", ["reset", "close", "half-close", "within a frame", "within a message"])
def test_a_client_that_vanishes_is_1006(loop_name: str, how: str) -> None:
    app = Noted(listen)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        if how == "within a frame":
            peer.send(frame(TEXT, b"half")[:-2])
        elif how == "within a message":
            peer.send(frame(TEXT, b"half", final=False))
        if how == "reset":
            peer.reset()
        elif how == "half-close":
            peer.writer.write_eof()
            assert await peer.frames() == []
        else:
            peer.close()
        await until(lambda: app.ended)
        peer.close()

    run_served(loop_name, app, test)
    assert app.texts == []
    assert [code for code, _ in app.disconnects] == [1006]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, b"\x03\xe8"),
        ({"code": 1000, "reason": None}, b"\x03\xe8"),
        ({"code": 3001}, b"\x0b\xb9"),
        ({"code": 4000, "reason": "schön"}, b"\x0f\xa0sch\xc3\xb6n"),
        ({"reason": "bye"}, b"\x03\xe8bye"),
    ],
)
def test_an_applications_close_is_sent_and_its_disconnect_told(
    loop_name: str, said: dict[str, Any], expected: bytes
) -> None:
    errors: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", "text": "last"})
        await send({"type": "websocket.close", **said})
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except Exception as error:
            errors.append(error)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        assert await peer.frame() == Frame(TEXT, b"last")
        assert await peer.frame() == Frame(CLOSE, expected)
        peer.send(frame(TEXT, b"was on its way") + frame(CLOSE, expected))
        assert await peer.frames() == []
        peer.close()

    run_served(loop_name, app, test)
    assert len(errors) == 1


@pytest.mark.parametrize("said", [{"code": 1005}, {"code": 999}, {"code": 5000}, {"code": 1000, "reason": "r" * 124}])
def test_a_close_that_cannot_be_is_the_applications_fault(
    said: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.close", **said})

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        assert close_code([await peer.frame()]) == 1011
        peer.send(close(1011))
        assert await peer.frames() == []
        peer.close()

    run_served("asyncio", app, test)
    assert [each.levelno for each in caplog.records if each.levelno >= logging.WARNING] == [logging.ERROR]


# Ends that are none

PROTOCOL: dict[str, bytes] = {
    "no mask": frame(TEXT, b"hello", mask=None),
    "no mask on a close": frame(CLOSE, b"\x03\xe8", mask=None),
    "no mask on nothing": frame(TEXT, b"", mask=None),
    **{f"reserved bits {bits}": frame(TEXT, b"x", reserved=bits) for bits in (1, 2, 4, 7)},
    "reserved bits on a ping": frame(PING, b"x", reserved=4),
    "reserved bits on a fragment": frame(TEXT, b"x", final=False) + frame(CONTINUATION, b"x", reserved=4),
    **{f"opcode {opcode}": frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a ping in fragments": frame(PING, b"x", final=False),
    "a pong in fragments": frame(PONG, b"x", final=False),
    "a close in fragments": frame(CLOSE, b"\x03\xe8", final=False),
    "a ping of 126 octets": frame(PING, b"p" * 126),
    "a close of 126 octets": frame(CLOSE, b"\x03\xe8" + b"p" * 124),
    "a continuation of nothing": frame(CONTINUATION, b"x"),
    "a continuation of what is complete": frame(TEXT, b"x", final=False)
    + frame(CONTINUATION, b"x")
    + frame(CONTINUATION, b"x"),
    "a text within a text": frame(TEXT, b"x", final=False) + frame(TEXT, b"x"),
    "octets within a text": frame(TEXT, b"x", final=False) + frame(BINARY, b"x"),
    "a close of one octet": frame(CLOSE, b"\x03"),
    **{
        f"close code {code}": close(code) for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)
    },
}
DATA: dict[str, bytes] = {
    "an octet that is never UTF-8": frame(TEXT, b"a\xffb"),
    "a character that is cut": frame(TEXT, b"\xe2\x82"),
    "a character that is cut in the last fragment": frame(TEXT, b"\xe2", final=False) + frame(CONTINUATION, b"\x82"),
    "a bad character in the second fragment": frame(TEXT, b"\xe2", final=False)
    + frame(CONTINUATION, b"x", final=False),
    "a bad character before the end of its message": frame(TEXT, b"\xff", final=False),
    "an octet too many": frame(TEXT, b"\x80"),
    "a character longer than needed": frame(TEXT, b"\xc0\x80"),
    "half of a pair of surrogates": frame(TEXT, b"\xed\xa0\x80"),
    "a character beyond the last": frame(TEXT, b"\xf4\x90\x80\x80"),
    "a reason that is no UTF-8": close(1000, b"\xff"),
}
SIZE: dict[str, bytes] = {
    "an octet too many": frame(BINARY, b"x" * 1001),
    "fragments that are too long together": frame(TEXT, b"x" * 600, final=False) + frame(CONTINUATION, b"x" * 401),
    "fragments that never end": frame(TEXT, b"x" * 600, final=False) + frame(CONTINUATION, b"x" * 401, final=False),
    "a length that is only declared": frame(BINARY, declared=1001),
    "a gigabyte that is only declared": frame(BINARY, b"x", declared=1 << 30),
    "the longest length there is": frame(BINARY, b"x", declared=(1 << 63) - 1),
}


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        pytest.param(octets, code, id=f"{code}-{case}")
        for code, cases in ((1002, PROTOCOL), (1007, DATA), (1009, SIZE))
        for case, octets in cases.items()
    ],
)
def test_what_breaks_the_protocol_ends_the_session(
    loop_name: str, octets: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Noted(echo)

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        peer.send(frame(TEXT, b"before"))
        assert await peer.frame() == Frame(TEXT, b"before")
        peer.send(octets + frame(TEXT, b"after"))
        assert close_code(await peer.frames()) == code
        peer.close()
        await until(lambda: app.ended)

    run_served(loop_name, app, test, ws_max_size=1000)
    assert app.texts[0] == "before"
    assert "after" not in app.texts
    assert [each for each, _ in app.disconnects] == [code]
    assert app.errors == []
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []
