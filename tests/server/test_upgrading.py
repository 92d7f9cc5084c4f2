"""A request becomes a WebSocket, or is refused, or is none; the transport and all that has come change hands."""

from __future__ import annotations

import asyncio
import logging
import weakref
from math import inf
from typing import Any

import pytest

from miniasgi.errors import BadRequest, ClientDisconnected
from miniasgi.server.connections.ending import State
from miniasgi.server.connections.websocket import WebSocketConnection
from miniasgi.types import App, Receive, Scope, Send
from miniasgi.websocket.codec import Codec, CodecMissing, Offer, Sink
from tests.server.apps import Gate, hello
from tests.server.conftest import MakeWire
from tests.support import Wire, without_collector
from tests.websocket.apps import Noted, accept, listen
from tests.websocket.frames import ACCEPT, DEFLATE, KEY, upgrade

SWITCH = b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: " + ACCEPT + b"\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Silent:
    """A codec that says nothing and takes everything; *made* are all that there are."""

    made: list[Silent]
    extensions = b"x-silent"
    over = False

    def __init__(self, sink: Sink, offer: Offer) -> None:
        if offer.extensions == b"bad":
            raise BadRequest("malformed offer")
        self.sink, self.offer = sink, offer
        self.heard = b""
        self.made.append(self)

    def receive(self, data: bytes) -> bytes:
        self.heard += data
        return b""

    def message(self, data: str | bytes) -> bytes:
        return b"<message>"

    def ping(self) -> bytes:
        return b"<ping>"

    def close(self, code: int, reason: str) -> bytes:
        return b"<close>"

    def discard(self) -> None:
        self.heard += b"<discard>"


@pytest.fixture
def wired(make_wire: MakeWire) -> Any:
    """Makes a Wire that has such codecs."""
    Silent.made = []

    def make(app: App, **options: Any) -> Wire:
        wire = make_wire(app, **options)
        wire.service.codec = Silent
        return wire

    return make


def refusal(status: bytes, fields: bytes = b"", content: bytes = b"WebSocket handshake refused\n") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\n%bcontent-length: %d\r\n\r\n%b" % (
        status,
        fields,
        len(content),
        content,
    )


class Held:
    """An application that accepts when it is let, and keeps the error if it cannot."""

    def __init__(self, **answer: Any) -> None:
        self.gate = asyncio.Event()
        self.answer = answer
        self.error: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gate.wait()
        try:
            await accept(receive, send, **self.answer)
        except BaseException as error:
            self.error = error
            raise
        await receive()


# Not asked, or not to be heard


@pytest.mark.parametrize(
    ("octets", "options"),
    [
        (upgrade(), {"ws": "none"}),
        (upgrade().replace(b"Upgrade: websocket", b"Upgrade: h2c"), {}),
        (upgrade().replace(b"Connection: Upgrade", b"Connection: keep-alive"), {}),
    ],
)
def test_what_offers_no_websocket_that_is_spoken_is_a_request(
    wired: Any, octets: bytes, options: dict[str, Any]
) -> None:
    wire = wired(hello, **options)
    assert wire.exchange(octets) == HELLO
    assert (wire.state, Silent.made) == (State.IDLE, [])


def test_http_1_0_has_no_upgrade(wired: Any) -> None:
    wire = wired(hello)
    assert wire.exchange(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0")).endswith(b"\r\n\r\nhello")
    assert Silent.made == []


# Refused


@pytest.mark.parametrize(
    ("old", "new", "status", "fields", "reason"),
    [
        (b"GET", b"POST", b"405 Method Not Allowed", b"allow: GET\r\n", "WebSocket handshake with POST, expected GET"),
        (
            b": 13",
            b": 8",
            b"426 Upgrade Required",
            b"sec-websocket-version: 13\r\nupgrade: websocket\r\nconnection: Upgrade\r\n",
            "WebSocket version b'8', expected 13",
        ),
        (KEY, b"x", b"400 Bad Request", b"", "Sec-WebSocket-Key b'x', expected 16 octets in base64, once"),
        (b": 13", b": 13\r\nSec-WebSocket-Extensions: bad", b"400 Bad Request", b"", "malformed offer"),
    ],
)
def test_a_bad_handshake_is_refused_before_the_application_hears_of_it(
    wired: Any, caplog: pytest.LogCaptureFixture, old: bytes, new: bytes, status: bytes, fields: bytes, reason: str
) -> None:
    caplog.set_level(logging.INFO, "miniasgi.server")
    app = Noted(listen)
    wire = wired(app)
    assert wire.exchange(upgrade().replace(old, new)) == refusal(status, fields)
    assert caplog.messages == [f"192.0.2.1:50000: refused with {int(status[:3])}: {reason}"]
    assert app.scopes == []
    # The connection is none the worse for it.
    wire.service.app = hello
    assert wire.exchange(GET) == HELLO


def test_without_a_codec_there_are_no_websockets_which_is_logged_once(
    wired: Any, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Offer] = []

    def missing(sink: Sink, offer: Offer) -> Codec:
        asked.append(offer)
        raise CodecMissing("the package p")

    wire = wired(listen)
    wire.service.codec = missing
    for _ in range(2):
        assert wire.exchange(upgrade()) == refusal(b"501 Not Implemented", content=b"WebSockets are not available\n")
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == ["a client asked for a WebSocket: these need the package p"]
    assert len(asked) == 1


def test_where_too_many_run_a_websocket_is_one_more(wired: Any) -> None:
    gate = Gate()
    first = wired(gate, limit_concurrency=1, limit_queue=0)
    first.feed(GET)
    second = wired(gate, service=first.service)
    assert second.exchange(upgrade()).startswith(b"HTTP/1.1 503 ")


def test_a_session_that_is_open_leaves_its_place_to_others(wired: Any) -> None:
    first = wired(listen, limit_concurrency=1, limit_queue=0)
    for _ in range(2):
        wire = wired(listen, service=first.service)
        assert wire.exchange(upgrade()).startswith(b"HTTP/1.1 101 ")
    assert first.service.gate.running == 0


# Accepted


def test_an_application_is_called_with_what_the_client_asked(wired: Any) -> None:
    app = Noted(listen)
    wire = wired(app, root_path="/api")
    wire.service.state["pool"] = 7
    wire.feed(upgrade("/chat?room=1", b"Sec-WebSocket-Protocol: b, a"))
    (scope,) = app.scopes
    found = {
        key: scope[key] for key in ("type", "scheme", "path", "query_string", "root_path", "subprotocols", "state")
    }
    assert found == {
        "type": "websocket",
        "scheme": "ws",
        "path": "/api/chat",
        "query_string": b"room=1",
        "root_path": "/api",
        "subprotocols": ["b", "a"],
        "state": {"pool": 7},
    }
    assert scope["client"] == ("192.0.2.1", 50000)
    assert scope["extensions"]["miniasgi.draining"]["event"] is wire.service.draining


def test_a_codec_is_made_for_what_was_offered_and_what_is_set(wired: Any) -> None:
    wire = wired(listen, ws_max_size=5000, ws_per_message_deflate=False)
    wire.feed(upgrade("/", b"Sec-WebSocket-Extensions: a", b"Sec-WebSocket-Extensions: b"))
    assert [each.offer for each in Silent.made] == [Offer(b"a, b", 5000, False)]
    assert Silent.made[0].sink is wire.protocol


def test_the_answer_has_what_all_have_and_what_the_application_adds(wired: Any) -> None:
    app = Held(subprotocol="a", headers=[(b"x-y", b"z")])
    wire = wired(app, server_header=True, headers=["x-more: yes"])
    wire.feed(upgrade("/", b"Sec-WebSocket-Protocol: a"))
    assert wire.take() == b""
    app.gate.set()
    wire.turn()
    assert wire.take() == (
        b"HTTP/1.1 101 Switching Protocols\r\nserver: miniasgi\r\nx-more: yes\r\n"
        + SWITCH
        + b"sec-websocket-protocol: a\r\nsec-websocket-extensions: x-silent\r\nx-y: z\r\n\r\n"
    )


def test_the_transport_changes_hands(wired: Any) -> None:
    app = Held()
    wire = wired(app)
    wire.feed(upgrade())
    before = wire.connection
    assert wire.service.connections == {before}
    app.gate.set()
    wire.turn()
    after = wire.protocol
    assert isinstance(after, WebSocketConnection)
    assert wire.service.connections == {after}
    assert (before.state, before.read_deadline, before.write_deadline) == (State.UPGRADED, inf, inf)
    (exchange,) = wire.service.running
    assert exchange.status == 101
    assert (wire.service.opened, wire.service.requests) == (1, 1)
    assert not hasattr(before, "_parser"), "what it remembers of the handshake would be kept as long as the session"


@pytest.mark.parametrize("size", [1, 70_000])
def test_what_has_come_behind_the_request_is_the_sessions(wired: Any, size: int) -> None:
    app = Held()
    wire = wired(app)
    more = bytes(range(256)) * (size // 256 + 1)
    wire.feed(upgrade() + more[:1], more[1:size])
    assert Silent.made[0].heard == b""
    assert wire.transport.reading is (size == 1)  # too much of it, and the client has to wait
    app.gate.set()
    wire.turn()
    assert Silent.made[0].heard == more[:size]
    assert wire.transport.reading
    wire.feed(b"later")
    assert Silent.made[0].heard == more[:size] + b"later"


def test_a_transport_that_is_full_is_still_full_in_other_hands(wired: Any) -> None:
    app = Held()
    wire = wired(app)
    wire.feed(upgrade())
    wire.connection.pause_writing()
    app.gate.set()
    wire.turn()
    assert isinstance(wire.protocol, WebSocketConnection)
    assert (wire.protocol.write_paused, wire.connection.write_deadline) == (True, inf)
    assert not wire.transport.reading
    # It has as long to take some of it as any other.
    wire.wait(wire.service.config.timeout_write + 2)
    assert wire.transport.aborted


def test_a_client_that_has_been_lost_cannot_be_accepted(wired: Any) -> None:
    app = Held()
    wire = wired(app)
    wire.feed(upgrade())
    wire.lose()
    app.gate.set()
    wire.turn()
    assert isinstance(app.error, ClientDisconnected)
    assert wire.take() == b""


def test_a_client_that_has_closed_its_side_cannot_be_accepted(wired: Any) -> None:
    app = Held()
    wire = wired(app)
    wire.feed(upgrade())
    wire.half_close()
    app.gate.set()
    wire.turn()
    assert isinstance(app.error, ClientDisconnected)
    assert b"101" not in wire.take()


def test_the_connection_of_such_a_client_is_closed(wired: Any) -> None:
    app = Held()
    wire = wired(app)
    wire.feed(upgrade())
    wire.half_close()
    app.gate.set()
    wire.turn()
    assert not wire.service.running
    for _ in range(10):
        wire.wait(60)
    assert wire.lost


@pytest.mark.parametrize("part", [False, True])
def test_an_application_may_give_up_a_refusal_when_the_client_has_closed_its_side(
    wired: Any, caplog: pytest.LogCaptureFixture, part: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        if part:
            await send({"type": "websocket.http.response.body", "body": b"part", "more_body": True})
        await receive()

    wire = wired(app)
    wire.feed(upgrade())
    wire.half_close()
    cut = b"HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n"
    assert wire.take() == (cut if part else b"")
    assert wire.lost
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_answer_that_cannot_be_given_is_an_error_of_the_applications(wired: Any) -> None:
    app = Held(subprotocol="unasked")
    wire = wired(app)
    app.gate.set()
    assert wire.exchange(upgrade()).startswith(b"HTTP/1.1 500 ")
    assert Silent.made[0].heard == b""
    assert wire.state is State.IDLE or wire.lost


# Let go


async def deny(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})


async def wait(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await receive()


@pytest.mark.parametrize("app", [deny, wait, listen])
def test_what_was_made_for_a_websocket_goes_with_the_connection(make_wire: MakeWire, app: App) -> None:
    service = make_wire(app).service
    wire = make_wire(app, service=service)
    wire.feed(upgrade("/", DEFLATE))
    wire.turn()
    connection = weakref.ref(wire.connection)
    with without_collector():
        wire.lose()
        wire.transport.set_protocol(asyncio.Protocol())
        del wire.connection
        assert connection() is None


def test_what_was_made_for_a_websocket_that_was_refused_does_not_stay_with_a_client_that_does(wired: Any) -> None:
    wire = wired(deny)
    wire.feed(upgrade())
    assert wire.take().startswith(b"HTTP/1.1 403 ")
    assert wire.state is State.IDLE
    wire.connection.rest()
    assert Silent.made[0].heard == b"<discard>"
    wire.lose()
    assert Silent.made[0].heard == b"<discard>"
