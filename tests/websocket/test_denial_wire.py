"""What an application says in place of accepting, octet for octet, and what becomes of the connection."""

from __future__ import annotations

import logging
import re

import pytest

from miniasgi import Server
from miniasgi.errors import ApplicationError
from miniasgi.types import Message, Receive, Scope, Send
from tests.support import Client, until
from tests.websocket.apps import Noted, accept, echo, replies, run_served
from tests.websocket.frames import CLOSE, TEXT, Frame, Peer, close, frame, upgrade

pytest.importorskip("websockets", reason="the package websockets is not installed")

PLAIN = b"content-type: text/plain; charset=utf-8\r\n"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\n" + PLAIN + b"content-length: 10\r\n"
FAILED = (
    b"HTTP/1.1 500 Internal Server Error\r\n"
    + PLAIN
    + b"content-length: 22\r\nconnection: close\r\n\r\nInternal Server Error\n"
)


async def until_closed(server: Server, octets: bytes) -> bytes:
    client = await Client.open(server.port)
    client.send(octets)
    try:
        return await client.rest()
    finally:
        client.close()


def denies(status: int, fields: list[tuple[bytes, bytes]], *pieces: bytes) -> tuple[Message, ...]:
    """The messages of a denial whose content comes in *pieces*."""
    start = {"type": "websocket.http.response.start", "status": status, "headers": fields}
    bodies = [{"type": "websocket.http.response.body", "body": piece, "more_body": True} for piece in pieces]
    bodies[-1]["more_body"] = False
    return (start, *bodies)


DENIALS: dict[str, tuple[tuple[Message, ...], bytes]] = {
    "in one piece": (
        denies(401, [(b"www-authenticate", b"Basic"), (b"Content-Type", b"text/html")], b"<p>who?"),
        b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\nContent-Type: text/html\r\n"
        b"content-length: 7\r\n%b\r\n<p>who?",
    ),
    "streamed": (
        denies(503, [(b"retry-after", b"9")], b"later", b"", b" or never", b""),
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 9\r\ntransfer-encoding: chunked\r\n%b\r\n"
        b"5\r\nlater\r\n9\r\n or never\r\n0\r\n\r\n",
    ),
    "with a length of its own": (
        denies(404, [(b"content-length", b"6")], b"no", b"such"),
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n%b\r\nnosuch",
    ),
    "with success": (denies(200, [], b"hm"), b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n%b\r\nhm"),
    "without content": (denies(204, [], b""), b"HTTP/1.1 204 No Content\r\n%b\r\n"),
    "by a redirection": (
        denies(307, [(b"location", b"/there")], b""),
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /there\r\ncontent-length: 0\r\n%b\r\n",
    ),
}


@pytest.mark.parametrize("case", DENIALS)
def test_an_application_may_answer_with_any_response(loop_name: str, parser_name: str, case: str) -> None:
    messages, expected = DENIALS[case]

    async def test(server: Server) -> None:
        request = upgrade("/", b"Connection: close")
        assert await until_closed(server, request) == expected % b"connection: close\r\n"

    run_served(loop_name, replies(*messages), test, http=parser_name)


def test_a_close_before_accept_is_a_403(loop_name: str, parser_name: str) -> None:
    async def test(server: Server) -> None:
        answer = await until_closed(server, upgrade("/", b"Connection: close"))
        assert answer == FORBIDDEN + b"connection: close\r\n\r\nForbidden\n"

    run_served(loop_name, replies({"type": "websocket.close", "code": 4001}), test, http=parser_name)


@pytest.mark.parametrize("case", [*DENIALS, "by a close"])
def test_after_a_denial_the_connection_is_what_its_fields_say(parser_name: str, case: str) -> None:
    messages, _ = DENIALS.get(case, (({"type": "websocket.close"},), b""))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (echo if scope["path"] == "/again" else replies(*messages))(scope, receive, send)

    async def test(server: Server) -> None:
        client = await Peer.open(server.port)
        client.send(upgrade())
        head = await client.reader.readuntil(b"\r\n\r\n")
        if b"\r\nconnection: close\r\n" in head:
            client.send(upgrade("/again"))
            assert b"HTTP/1.1" not in await client.rest()
        else:
            if b"chunked" in head:
                await client.reader.readuntil(b"\r\n0\r\n\r\n")
            elif b"content-length: " in head:
                await client.reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            client.send(upgrade("/again") + frame(TEXT, b"hi"))
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await client.frame() == Frame(TEXT, b"hi")
            await client.leave()
        client.close()

    run_served("asyncio", app, test, http=parser_name)


def test_frames_that_came_before_a_denial_are_never_taken_for_a_request(parser_name: str) -> None:
    """A client that does not wait for the 101 says in frames what whoever wrote the page wants it to say."""
    app = Noted(replies({"type": "websocket.close"}))
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

    async def test(server: Server) -> None:
        for mask in (bytes(4), b"\r\n\r\n", None):
            for size in (len(smuggled), 126, 70_000):
                octets = frame(TEXT, smuggled.rjust(size, b"\n"), mask=mask)
                answer = await until_closed(server, upgrade() + octets)
                assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"403", b"400"]

    run_served("asyncio", app, test, http=parser_name)
    assert [scope["path"] for scope in app.scopes] == ["/"] * 9


# What an application must not do


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("no such room")


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def sends_first(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.send", "text": "hello"})


async def chooses_freely(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send, subprotocol="unasked")


async def splits_the_head(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send, headers=[(b"x", b"y\r\nz: 1")])


async def leaves_the_denial(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.http.response.start", "status": 404, "headers": []})


BAD_APPS = {
    "fails": (fails, LookupError),
    "returns": (returns, None),
    "sends before it accepts": (sends_first, ApplicationError),
    "chooses a subprotocol of its own": (chooses_freely, ApplicationError),
    "splits the head": (splits_the_head, ApplicationError),
    "leaves its denial": (leaves_the_denial, None),
}


@pytest.mark.parametrize("case", BAD_APPS)
def test_an_application_that_fails_before_it_accepts_is_a_500_and_logged_once(
    loop_name: str, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, kind = BAD_APPS[case]
    app = Noted(bad)

    async def test(server: Server) -> None:
        assert await until_closed(server, upgrade("/", b"Connection: close")) == FAILED
        await until(lambda: app.ended)

    run_served(loop_name, app, test)
    assert [type(error) for error in app.errors] == ([] if kind is None else [kind])
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.levelno == logging.ERROR


@pytest.mark.parametrize("case", ["fails", "returns", "sends before it accepts"])
def test_an_application_that_fails_after_it_accepted_closes_with_what_it_deserves(
    loop_name: str, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        if case == "fails":
            raise LookupError("no such room")
        if case != "returns":
            await send({"type": "websocket.accept"})

    async def test(server: Server) -> None:
        peer = await Peer.join(server.port)
        code = 1000 if case == "returns" else 1011
        ((opcode, payload, *_),) = (await peer.frame(),)
        assert (opcode, payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
        assert b"no such room" not in payload
        peer.send(close(code))
        assert await peer.frames() == []
        peer.close()

    run_served(loop_name, app, test)
    logged = [each.levelno for each in caplog.records if each.levelno >= logging.WARNING]
    assert logged == ([] if case == "returns" else [logging.ERROR])
