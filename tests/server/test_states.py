"""How a connection goes from state to state, and what time does to it: no sockets, and a clock that tests set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from miniasgi.server.connections import ending
from miniasgi.server.connections.ending import TRANSITIONS, State
from miniasgi.types import Receive, Scope, Send
from tests.server.apps import Gate, Listening, answers, body, echo, hello, start
from tests.server.conftest import MakeWire
from tests.server.test_connection import GET, HELLO, chunked, get, ok, post, refusal
from tests.support import Wire

IDLE, HEAD, BUSY, DRAINING, CLOSING, CLOSED, UPGRADED = State
PAIRS = [(state, following) for state, all_following in TRANSITIONS.items() for following in all_following]


def drain(wire: Wire) -> None:
    """Answer a request whose content is still due."""
    wire.service.app = hello
    wire.feed(post(10))


def be_busy(wire: Wire) -> None:
    wire.service.app = Gate()
    wire.feed(GET)


async def accepts(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


def upgrade(wire: Wire) -> None:
    wire.service.app = accepts
    wire.feed(UPGRADE)


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

# What has to happen to a new connection for one state to follow another, last of all.
WAYS: dict[tuple[State, State], tuple[Callable[[Wire], None], ...]] = {
    (IDLE, HEAD): (lambda wire: wire.feed(b"G"),),
    (IDLE, BUSY): (be_busy,),
    (IDLE, CLOSING): (lambda wire: wire.wait(10),),
    (IDLE, CLOSED): (Wire.lose,),
    (HEAD, BUSY): (lambda wire: wire.feed(GET[:5]), lambda wire: wire.feed(GET[5:])),
    (HEAD, CLOSING): (lambda wire: wire.feed(b"G"), lambda wire: wire.feed(b"\n")),
    (HEAD, CLOSED): (lambda wire: wire.feed(b"G"), Wire.lose),
    (BUSY, IDLE): (lambda wire: wire.feed(GET),),
    (BUSY, DRAINING): (drain,),
    (BUSY, CLOSING): (lambda wire: wire.feed(b"GET / HTTP/1.0\r\n\r\n"),),
    (BUSY, CLOSED): (be_busy, Wire.lose),
    (BUSY, UPGRADED): (upgrade,),
    (DRAINING, IDLE): (drain, lambda wire: wire.feed(b"0123456789")),
    (DRAINING, CLOSING): (drain, lambda wire: wire.wait(30)),
    (DRAINING, CLOSED): (drain, Wire.lose),
    (CLOSING, CLOSED): (lambda wire: wire.feed(b"\n"), Wire.half_close),
}


def test_there_is_a_way_for_every_transition() -> None:
    assert set(WAYS) == set(PAIRS)
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def test_each_state_is_left_for_each_that_may_follow(make_wire: MakeWire, pair: tuple[State, State]) -> None:
    wire = make_wire(hello)
    *before, last = WAYS[pair]
    for step in before:
        step(wire)
    count = len(wire.connection.transitions)
    last(wire)
    assert pair in wire.connection.transitions[count:]


# Deadlines for what the client sends


def test_a_connection_that_never_speaks_is_closed_without_a_word(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    wire.wait(9.9)
    assert not wire.lost
    wire.wait(0.1)
    assert wire.lost
    assert wire.take() == b""


def test_a_head_that_takes_too_long_is_refused_however_steadily_it_comes(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    for octet in b"GET / HTTP":
        wire.wait(1)
        wire.feed(bytes([octet]))
    assert wire.take() == b""
    wire.wait(1)
    assert wire.take() == refusal(408)
    assert wire.state is CLOSING


def test_the_deadline_of_a_head_runs_from_its_first_octet(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    wire.feed(GET)
    wire.wait(60)
    wire.feed(GET[:5])
    wire.wait(9)
    wire.feed(GET[5:])
    assert wire.take() == HELLO * 2


def test_an_idle_connection_is_closed_after_its_time(make_wire: MakeWire) -> None:
    wire = make_wire(hello, timeout_keep_alive=20)
    wire.feed(GET)
    wire.wait(19)
    wire.feed(GET)
    wire.wait(19)
    assert not wire.lost
    wire.wait(1)
    assert wire.lost
    assert wire.take() == HELLO * 2


def test_content_that_stalls_is_refused(make_wire: MakeWire) -> None:
    listening = Listening()
    wire = make_wire(listening)
    wire.feed(post(10, b"half"))
    for _ in range(5):
        wire.wait(29)
        wire.feed(b"x")
    wire.wait(30)
    assert wire.take() == refusal(408)
    assert listening.received[-1] == {"type": "http.disconnect"}
    assert listening.error is not None


def test_content_that_the_application_does_not_ask_for_may_take_its_time(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(post(10, b"half"))
    wire.wait(3600)
    gate.open()
    wire.turn()
    assert wire.take() == ok(b"/")


def unread(make_wire: MakeWire, listening: Listening, octets: bytes) -> Wire:
    """A connection that is not read from, because there is enough of it."""
    wire = make_wire(listening)
    wire.feed(octets)
    assert not wire.transport.reading
    return wire


def test_a_client_that_has_gone_while_it_is_not_read_from_is_missed(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = False, False
    monkeypatch.setattr(ending, "_what_has_ended", lambda transport: found)
    listening = Listening()
    wire = unread(make_wire, listening, GET * 3000)
    for _ in range(3):
        wire.wait(6)
        assert not wire.lost
    found = True, True
    wire.wait(3)
    assert not wire.lost, "it is not looked for all the time"
    wire.wait(3)
    assert wire.lost
    assert isinstance(listening.error, OSError)


def test_the_end_of_a_client_that_is_not_read_from_is_told_where_its_request_is_complete(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = False, True
    monkeypatch.setattr(ending, "_what_has_ended", lambda transport: found)
    wire = unread(make_wire, Listening(), GET * 3000)
    wire.wait(6)
    assert wire.take().startswith(ok(b"last"))
    gate = Gate()
    wire = unread(make_wire, gate, post(100_000, bytes(70_000)))  # type: ignore[arg-type]
    wire.wait(6)
    assert not wire.lost
    gate.open()
    wire.turn()
    assert wire.take() == ok(b"/")


def test_a_client_that_is_made_to_wait_has_all_the_time_it_likes(make_wire: MakeWire) -> None:
    proceed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await echo(scope, receive, send)
        else:
            await proceed.wait()
            await Listening()(scope, receive, send)

    wire = make_wire(app)
    wire.feed(get("/wait") + GET * 3000)
    assert not wire.transport.reading
    proceed.set()
    wire.turn()
    assert not wire.transport.reading, "there is too much of it for who only waits for the client's end"
    wire.wait(3600)
    assert (wire.take(), wire.state) == (b"", BUSY)


def test_content_that_stalls_while_it_is_drained_ends_the_connection(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    wire.feed(post(10, b"half"))
    assert wire.take() == HELLO
    wire.wait(30)
    assert wire.state is CLOSING
    wire.wait(3)
    assert wire.lost
    assert wire.take() == b""


def test_an_application_may_take_its_time(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(GET)
    wire.wait(3600)
    gate.open()
    wire.turn()
    assert wire.take() == ok(b"/")


# Deadlines for what the client reads


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    for _ in range(3):
        await body(send, b"more", more=True)
    await body(send)


def test_a_client_that_reads_nothing_is_cut(make_wire: MakeWire) -> None:
    wire = make_wire(streams)
    wire.transport.buffer_size = 100_000
    wire.connection.pause_writing()
    wire.feed(GET)
    wire.wait(59)
    assert not wire.lost
    wire.wait(1)
    assert wire.lost
    assert wire.transport.aborted


def test_a_client_that_reads_a_little_is_waited_for(make_wire: MakeWire) -> None:
    wire = make_wire(streams)
    wire.transport.buffer_size = 100_000
    wire.connection.pause_writing()
    wire.feed(GET)
    for _ in range(10):
        wire.transport.buffer_size -= 1
        wire.wait(60)
    assert not wire.lost
    wire.connection.resume_writing()
    wire.wait(60)
    assert wire.take().endswith(b"0\r\n\r\n")


def test_a_client_that_is_refused_has_its_time_to_read_why(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    wire.feed(b"\n")
    for _ in range(4):
        wire.feed(b"x" * 64 * 1024)
    assert not wire.lost
    wire.feed(b"x")
    assert wire.lost, "more than its bound of octets has come"
    wire = make_wire(hello)
    wire.feed(b"\n")
    wire.wait(1.9)
    assert not wire.lost
    wire.wait(0.1)
    assert wire.lost
    assert wire.take() == refusal(400)


def test_a_slow_reader_gets_its_answer_whole_though_the_connection_is_to_close(make_wire: MakeWire) -> None:
    for request in (chunked(b""), b"GET / HTTP/1.0\r\n\r\n"):
        wire = make_wire(answers(200, (), b"x" * 200_000))
        close, wire.transport.close = wire.transport.close, lambda: None  # type: ignore[method-assign]
        wire.transport.buffer_size = 200_000
        wire.feed(request)
        assert wire.state is CLOSING
        for _ in range(10):
            wire.transport.buffer_size -= 1
            wire.wait(59)
            assert not wire.transport.aborted
        wire.wait(120)
        wire.wait(120)
        assert wire.transport.aborted, "it reads no longer"
        wire.transport.close = close  # type: ignore[method-assign]


# Stopping


def test_an_idle_connection_is_closed_when_the_server_stops(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    wire.feed(GET)
    wire.service.stopping = True
    wire.connection.stop()
    wire.turn()
    assert wire.lost


def test_what_is_answered_while_the_server_stops_is_the_last(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/a") + get("/b"))
    wire.service.stopping = True
    wire.connection.stop()
    gate.open("/a")
    wire.turn()
    assert wire.take() == ok(b"/a", b"connection: close")
    assert gate.events == ["begin /a", "end /a"]
    assert wire.state is CLOSING


def test_a_head_that_is_complete_while_the_server_stops_is_answered(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    wire.feed(GET[:5])
    wire.service.stopping = True
    wire.connection.stop()
    wire.feed(GET[5:])
    assert wire.take() == ok(b"", b"connection: close")


def test_a_running_request_is_told_when_the_servers_patience_ends(make_wire: MakeWire) -> None:
    listening = Listening()
    wire = make_wire(listening)
    wire.feed(GET)
    wire.service.stopping = True
    wire.connection.cut()
    wire.turn()
    assert listening.received[-1] == {"type": "http.disconnect"}
    assert listening.error is not None
    assert wire.lost


async def stalls(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, b"half", more=True)
    await receive()
    await receive()


def test_content_that_ends_with_the_connection_is_cut_by_a_reset_when_the_client_stalls(make_wire: MakeWire) -> None:
    wire = make_wire(stalls)
    wire.feed(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhe")
    assert wire.take() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf"
    assert not wire.transport.aborted
    wire.wait(30)
    assert wire.transport.aborted
    assert wire.take() == b""


def test_a_response_with_an_impossible_status_announces_nothing_that_its_successor_does_not(
    make_wire: MakeWire,
) -> None:
    wire = make_wire(answers(99, [(b"connection", b"close")]))
    answer = b"Internal Server Error\n"
    assert wire.exchange(GET) == (
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(answer), answer)
    )
    assert wire.state is IDLE


def test_what_a_parser_remembers_is_let_go_when_its_connection_rests(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    first = wire.connection._parser
    wire.connection.rest()
    assert wire.connection._parser is first, "it has read nothing yet"
    assert wire.exchange(GET) == HELLO
    wire.connection.rest()
    second = wire.connection._parser
    assert second is not first
    wire.connection.rest()
    assert wire.connection._parser is second, "there is nothing more to let go of"
    wire.feed(GET[:5])
    wire.connection.rest()
    assert wire.connection._parser is second, "half a head is not forgotten"
    assert wire.exchange(GET[5:]) == HELLO


def test_a_connection_that_the_server_stops_announces_its_close(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/x"))
    wire.service.stopping = True
    wire.connection.stop()
    gate.open("/x")
    wire.turn()
    assert wire.take() == ok(b"/x", b"connection: close")
    assert wire.state is CLOSED


def test_in_development_a_connection_that_is_new_when_the_server_stops_may_ask_once(make_wire: MakeWire) -> None:
    wire = make_wire(hello, reload=True)
    wire.wait(1.0)
    wire.service.begin_stop()
    wire.connection.stop()
    wire.turn()
    assert wire.state is IDLE
    assert wire.exchange(GET) == HELLO.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
    assert wire.state is CLOSED


@pytest.mark.parametrize("why", ["it is old", "it has asked before", "it is not development", "patience is over"])
def test_other_idle_connections_are_closed_when_the_server_stops(make_wire: MakeWire, why: str) -> None:
    wire = make_wire(hello, reload=why != "it is not development")
    if why == "it has asked before":
        assert wire.exchange(GET) == HELLO
    wire.wait(2.1 if why == "it is old" else 0)
    wire.service.begin_stop()
    if why == "patience is over":
        wire.connection.stop()
        wire.turn()
        assert wire.state is IDLE
        wire.service.lets_new_ask = False
    wire.connection.stop()
    wire.turn()
    assert wire.state is CLOSED
