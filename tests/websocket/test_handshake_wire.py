"""The opening handshake on real sockets, octet for octet: taken, refused, denied, ignored; with every parser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from miniasgi import Server
from miniasgi.types import App, Receive, Scope, Send
from tests.server.apps import answers
from tests.support import Client
from tests.websocket.apps import Noted, Test, accept, echo, listen, run_served
from tests.websocket.frames import ACCEPT, BINARY, DEFLATE, KEY, TEXT, Frame, Peer, close, frame, upgrade

pytest.importorskip("websockets", reason="the package websockets is not installed")

SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-accept: " + ACCEPT + b"\r\n"
)
PLAIN = b"content-type: text/plain; charset=utf-8\r\n"
WHOLE = upgrade()
ORDINARY = b"GET /again HTTP/1.1\r\nHost: h\r\n\r\n"
PAGE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npage"
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
LAST_PAGE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\npage"


def served(parser_name: str, app: App, test: Test, **options: Any) -> None:
    """Serve *app* with the parser, on the loop that needs no package."""
    run_served("asyncio", app, test, http=parser_name, **options)


def with_field(line: bytes, *, instead_of: bytes) -> bytes:
    """The usual request with another field line in place of the one that begins so; empty to leave it out."""
    lines = WHOLE.split(b"\r\n")
    (old,) = [each for each in lines if each.startswith(instead_of)]
    return WHOLE.replace(old + b"\r\n", line + b"\r\n" if line else b"")


# Taken


def accepts(**answer: Any) -> App:
    """An application that accepts with *answer*, and closes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send, **answer)
        await send({"type": "websocket.close"})

    return app


TAKEN: dict[str, tuple[bytes, dict[str, Any], bytes]] = {
    "as the RFC has it": (WHOLE, {}, b""),
    "in other cases": (
        WHOLE.replace(b"Upgrade: websocket", b"UPGRADE: WebSocket").replace(b": Upgrade", b": keep-alive, UPGRADE"),
        {},
        b"",
    ),
    "among other protocols": (with_field(b"Upgrade: foo/2, websocket", instead_of=b"Upgrade"), {}, b""),
    "from anywhere": (upgrade("/", b"Origin: https://elsewhere.example"), {}, b""),
    "with a subprotocol": (
        upgrade("/", b"Sec-WebSocket-Protocol: chat, superchat"),
        {"subprotocol": "superchat"},
        b"sec-websocket-protocol: superchat\r\n",
    ),
    "with subprotocols in two lines": (
        upgrade("/", b"Sec-WebSocket-Protocol: a", b"Sec-WebSocket-Protocol: b"),
        {"subprotocol": "b"},
        b"sec-websocket-protocol: b\r\n",
    ),
    "with fields": (
        WHOLE,
        {"headers": [(b"set-cookie", b"a=1"), (b"X-B", b"2"), (b"set-cookie", b"c=3")]},
        b"set-cookie: a=1\r\nX-B: 2\r\nset-cookie: c=3\r\n",
    ),
    "with subprotocol, compression and fields": (
        upgrade("/", b"Sec-WebSocket-Protocol: chat", DEFLATE),
        {"subprotocol": "chat", "headers": [[b"x-a", b"1"]]},
        b"sec-websocket-protocol: chat\r\n"
        b"sec-websocket-extensions: permessage-deflate; server_max_window_bits=12\r\nx-a: 1\r\n",
    ),
    "with a subprotocol that nobody takes": (upgrade("/", b"Sec-WebSocket-Protocol: chat"), {"subprotocol": None}, b""),
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_handshake_is_answered_with_101(parser_name: str, case: str) -> None:
    request, answer, fields = TAKEN[case]

    async def test(server: Server) -> None:
        client = await Client.open(server.port)
        client.send(request)
        assert await client.reader.readuntil(b"\r\n\r\n") == SWITCHING + fields + b"\r\n"
        assert await client.reader.readexactly(4) == b"\x88\x02\x03\xe8"
        client.send(close())
        assert await client.rest() == b""
        client.close()

    served(parser_name, accepts(**answer), test)


def test_a_handshake_may_come_octet_by_octet_with_frames_behind(parser_name: str) -> None:
    async def test(server: Server) -> None:
        client = await Client.open(server.port)
        for octet in WHOLE + frame(TEXT, b"one") + frame(BINARY, b"two"):
            client.send(bytes([octet]))
            await asyncio.sleep(0)
        expected = SWITCHING + b"\r\n\x81\x03one\x82\x03two"
        assert await client.reader.readexactly(len(expected)) == expected
        client.close()

    served(parser_name, echo, test)


@pytest.mark.parametrize("cut", [0, 1, 5, 9, 12, 18])
def test_frames_in_the_same_read_as_the_request_are_not_lost(loop_name: str, parser_name: str, cut: int) -> None:
    frames = frame(TEXT, b"one") + frame(BINARY, b"two")

    async def test(server: Server) -> None:
        client = await Client.open(server.port)
        client.send(WHOLE + frames[:cut])
        head = await client.reader.readuntil(b"\r\n\r\n")
        client.send(frames[cut:])
        assert head + await client.reader.readexactly(10) == SWITCHING + b"\r\n\x81\x03one\x82\x03two"
        client.send(close())
        assert await client.rest() == b"\x88\x02\x03\xe8"
        client.close()

    run_served(loop_name, echo, test, http=parser_name)


def test_a_handshake_may_follow_an_ordinary_request(parser_name: str) -> None:
    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        await (answers(200, (), b"page") if scope["type"] == "http" else echo)(scope, receive, send)

    async def test(server: Server) -> None:
        client = await Client.open(server.port)
        client.send(ORDINARY + WHOLE + frame(TEXT, b"hi"))
        expected = PAGE + SWITCHING + b"\r\n\x81\x02hi"
        assert await client.reader.readexactly(len(expected)) == expected
        client.close()

    served(parser_name, both, test)


def test_the_scope_says_what_the_client_has_said(loop_name: str, parser_name: str) -> None:
    app = Noted(listen)

    async def test(server: Server) -> None:
        fields = [b"Sec-WebSocket-Protocol: a , b", b"Sec-WebSocket-Protocol: c", b"Cookie: d=e"]
        peer = await Peer.join(server.port, "/a%20b?c=%20d", *fields)
        (scope,) = app.scopes
        assert {**scope, "extensions": sorted(scope["extensions"])} == {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/api/a b",
            "raw_path": b"/api/a%20b",
            "query_string": b"c=%20d",
            "root_path": "/api",
            "headers": [
                (b"host", b"h"),
                (b"upgrade", b"websocket"),
                (b"connection", b"Upgrade"),
                (b"sec-websocket-key", KEY),
                (b"sec-websocket-version", b"13"),
                (b"sec-websocket-protocol", b"a , b"),
                (b"sec-websocket-protocol", b"c"),
                (b"cookie", b"d=e"),
            ],
            "client": peer.writer.get_extra_info("sockname"),
            "server": ("127.0.0.1", server.port),
            "subprotocols": ["a", "b", "c"],
            "state": {},
            "extensions": ["miniasgi.draining", "websocket.http.response"],
        }
        await peer.leave()

    run_served(loop_name, app, test, http=parser_name, root_path="/api")


# Compression

BITS = b"; server_max_window_bits=12"
OFFERS: dict[str, tuple[bytes, bytes | None]] = {
    "nothing": (b"x-y: z", None),
    "it plainly": (DEFLATE, BITS),
    "it with bits that are free": (DEFLATE + b"; client_max_window_bits", BITS + b"; client_max_window_bits=12"),
    "it with bits of its own": (
        DEFLATE + b"; client_max_window_bits=10; server_max_window_bits=9",
        b"; server_max_window_bits=9; client_max_window_bits=10",
    ),
    "it without memory": (
        DEFLATE + b"; server_no_context_takeover; client_no_context_takeover",
        b"; server_no_context_takeover; client_no_context_takeover" + BITS,
    ),
    "something else": (b"Sec-WebSocket-Extensions: x-webkit-deflate-frame", None),
    "a second choice": (b"Sec-WebSocket-Extensions: foo; bar=1, permessage-deflate", BITS),
    "it with an unknown parameter": (DEFLATE + b"; bits=3", None),
    "it with impossible bits": (DEFLATE + b"; server_max_window_bits=16", None),
}


@pytest.mark.parametrize("offer", OFFERS)
def test_compression_is_what_the_client_offers(offer: str) -> None:
    field, parameters = OFFERS[offer]

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port, "/", field)
        line = b"" if parameters is None else b"sec-websocket-extensions: permessage-deflate" + parameters + b"\r\n"
        assert peer.head == SWITCHING + line + b"\r\n"
        peer.send(frame(TEXT, b"hello hello hello"))  # a message need not be compressed
        answer = await peer.frame()
        assert answer == Frame(TEXT, b"hello hello hello") if parameters is None else answer.reserved == 4
        await peer.leave()

    served("handwritten", echo, test)


def test_compression_can_be_switched_off() -> None:
    async def test(server: Server) -> None:
        peer = await Peer.join(server.port, "/", DEFLATE)
        assert peer.head == SWITCHING + b"\r\n"
        await peer.say("hello hello hello")
        await peer.leave()

    served("handwritten", echo, test, ws_per_message_deflate=False)


# Refused by the server

CONTENT = b"WebSocket handshake refused\n"
REST = b"content-length: 28\r\n\r\n" + CONTENT
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n" + PLAIN + REST
NOT_ALLOWED = b"HTTP/1.1 405 Method Not Allowed\r\n" + PLAIN + b"allow: GET\r\n" + REST
# RFC 9110 §7.8: who sends Upgrade must name it in Connection, too.
UPGRADE_REQUIRED = (
    b"HTTP/1.1 426 Upgrade Required\r\n" + PLAIN + b"sec-websocket-version: 13\r\nupgrade: websocket\r\n"
    b"connection: Upgrade\r\n" + REST
)
_KEY = b"Sec-WebSocket-Key"
_VERSION = b"Sec-WebSocket-Version"
REFUSED: dict[str, tuple[bytes, bytes]] = {
    "without a key": (with_field(b"", instead_of=_KEY), BAD_REQUEST),
    "with two keys": (upgrade("/", _KEY + b": " + KEY), BAD_REQUEST),
    "with two other keys": (upgrade("/", _KEY + b": AAAAAAAAAAAAAAAAAAAAAA=="), BAD_REQUEST),
    "with an empty key": (with_field(_KEY + b":", instead_of=_KEY), BAD_REQUEST),
    "with a key of 15 octets": (with_field(_KEY + b": AAAAAAAAAAAAAAAAAAAA", instead_of=_KEY), BAD_REQUEST),
    "with a key of 17 octets": (with_field(_KEY + b": AAAAAAAAAAAAAAAAAAAAAAA=", instead_of=_KEY), BAD_REQUEST),
    "with a key that is no base64": (with_field(_KEY + b": " + KEY.replace(b"b", b"*"), instead_of=_KEY), BAD_REQUEST),
    "with a key and more": (with_field(_KEY + b": " + KEY + b", " + KEY, instead_of=_KEY), BAD_REQUEST),
    "with a malformed subprotocol": (upgrade("/", b"Sec-WebSocket-Protocol: a b"), BAD_REQUEST),
    "with malformed extensions": (upgrade("/", b"Sec-WebSocket-Extensions: ;;="), BAD_REQUEST),
    "with content": (upgrade("/", b"Content-Length: 2") + b"ab", BAD_REQUEST),
    "with chunked content": (upgrade("/", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", BAD_REQUEST),
    "by another method": (WHOLE.replace(b"GET", b"POST"), NOT_ALLOWED),
    "by HEAD": (WHOLE.replace(b"GET", b"HEAD"), NOT_ALLOWED.removesuffix(CONTENT)),
    "without a version": (with_field(b"", instead_of=_VERSION), UPGRADE_REQUIRED),
    "with version 8": (with_field(_VERSION + b": 8", instead_of=_VERSION), UPGRADE_REQUIRED),
    "with versions 8 and 13": (with_field(_VERSION + b": 8, 13", instead_of=_VERSION), UPGRADE_REQUIRED),
    "with version 13 twice": (upgrade("/", _VERSION + b": 13"), UPGRADE_REQUIRED),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_handshake_that_is_none_is_refused_and_the_connection_goes_on(parser_name: str, case: str) -> None:
    request, answer = REFUSED[case]
    app = Noted(answers(200, (), b"page"))

    async def test(server: Server) -> None:
        client = await Client.open(server.port)
        client.send(request)
        head, _, content = answer.partition(b"\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == head + b"\r\n\r\n"
        assert await client.reader.readexactly(len(content)) == content
        client.send(ORDINARY + request + LAST)
        assert await client.rest() == PAGE + answer + LAST_PAGE
        client.close()

    served(parser_name, app, test)
    assert [scope["type"] for scope in app.scopes] == ["http", "http"]


# Ignored

IGNORED: dict[str, bytes] = {
    "HTTP/1.0": WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no word of it in Connection": with_field(b"Connection: close", instead_of=b"Connection"),
    "another protocol": with_field(b"Upgrade: h2c", instead_of=b"Upgrade"),
    "a protocol that only sounds like it": with_field(b"Upgrade: websockets", instead_of=b"Upgrade"),
}


@pytest.mark.parametrize("case", IGNORED)
def test_what_is_no_offer_is_an_ordinary_request(parser_name: str, case: str) -> None:
    async def test(server: Server) -> None:
        client = await Client.open(server.port)
        client.send(IGNORED[case])
        head, content = await client.response()
        assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n")
        assert content == b"page"
        client.close()

    served(parser_name, answers(200, (), b"page"), test)


def test_without_websockets_an_offer_is_an_ordinary_request_and_the_connection_goes_on(parser_name: str) -> None:
    async def test(server: Server) -> None:
        client = await Client.open(server.port)
        client.send(WHOLE + ORDINARY + LAST)
        assert await client.rest() == PAGE + PAGE + LAST_PAGE
        client.close()

    served(parser_name, answers(200, (), b"page"), test, ws="none")
