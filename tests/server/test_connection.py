"""What goes over the wire for a connection's requests, octet by octet: framing, order, persistence, content."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import weakref
from http import HTTPStatus
from itertools import pairwise

import pytest

from miniasgi.errors import ClientDisconnected
from miniasgi.http1.parsers import load
from miniasgi.server.connections.ending import State
from miniasgi.types import Receive, Scope, Send
from tests.server.apps import MIB, Gate, Listening, answers, body, echo, hello, replies, start
from tests.server.conftest import MakeWire
from tests.support import Wire, without_collector

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
IMF_FIXDATE = re.compile(rb"date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d GMT")
GET_10 = b"GET / HTTP/1.0\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
LAST_HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
FAILURE = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 22\r\n\r\n"
    b"Internal Server Error\n"
)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


def post(length: int, content: bytes = b"", fields: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b\r\n%b" % (length, fields, content)


def chunked(content: bytes, fields: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n%b\r\n%b" % (fields, content)


def ok(content: bytes, *lines: bytes) -> bytes:
    fields = b"".join(line + b"\r\n" for line in (b"content-length: %d" % len(content), *lines))
    return b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (fields, content)


def refusal(status: int) -> bytes:
    # RFC 9110's names, which Python has from 3.13 on.
    renamed = {413: "Content Too Large", 414: "URI Too Long"}
    phrase = renamed.get(status, HTTPStatus(status).phrase).encode()
    content = phrase + b"\n"
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (status, phrase, len(content), content)
    )


# One request after the other


def test_a_connection_is_kept_for_the_next_request(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    assert wire.exchange(GET) == HELLO
    assert wire.exchange(GET) == HELLO
    assert wire.state is State.IDLE


def test_a_response_has_a_date_and_a_server(make_wire: MakeWire) -> None:
    wire = make_wire(hello, date_header=True, server_header=True, headers=["x-more: yes"])
    octets = wire.exchange(GET)
    date = octets.split(b"\r\n")[1]
    assert octets == (
        b"HTTP/1.1 200 OK\r\n%b\r\nserver: miniasgi\r\nx-more: yes\r\ncontent-length: 5\r\n\r\nhello" % date
    )
    assert IMF_FIXDATE.fullmatch(date)


def test_an_applications_own_date_and_server_stand_alone(make_wire: MakeWire) -> None:
    wire = make_wire(answers(200, [(b"Date", b"today"), (b"Server", b"mine")]), date_header=True, server_header=True)
    assert wire.exchange(GET) == b"HTTP/1.1 200 OK\r\nDate: today\r\nServer: mine\r\ncontent-length: 0\r\n\r\n"


def test_pipelined_requests_are_answered_in_order_and_in_one_write(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    writes: list[bytes] = []
    wire.transport.write = writes.append  # type: ignore[method-assign, assignment]
    wire.feed(get("/a") + get("/b") + get("/c"))
    assert gate.events == ["begin /a"]
    gate.open("/a")
    wire.turn()
    for path in ("/b", "/c"):
        gate.open(path)
        wire.turn()
    assert b"".join(writes) == ok(b"/a") + ok(b"/b") + ok(b"/c")
    writes.clear()
    wire = make_wire(hello)
    wire.transport.write = writes.append  # type: ignore[method-assign, assignment]
    wire.feed(GET * 100)
    assert b"".join(writes) == HELLO * 100
    assert len(writes) <= 100 / 16 + 1


def test_a_slow_first_response_holds_the_second_back(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/slow"))
    wire.feed(get("/quick"))
    assert (gate.events, wire.take()) == (["begin /slow"], b"")
    gate.open("/slow")
    wire.turn()
    assert wire.take() == ok(b"/slow")
    gate.open("/quick")
    wire.turn()
    assert wire.take() == ok(b"/quick")


def test_a_pipelined_request_longer_than_what_is_fed_at_once_is_answered(make_wire: MakeWire) -> None:
    long = b"GET / HTTP/1.1\r\nHost: h\r\nA: %b\r\nB: %b\r\n\r\n" % (b"a" * 12000, b"b" * 12000)
    content = bytes(range(256)) * 400
    wire = make_wire(echo)
    octets = GET + long + post(len(content), content) + chunked(b"19000\r\n%b\r\n0\r\n\r\n" % content) + GET
    assert wire.exchange(octets) == ok(b"") + ok(b"") + ok(content) * 2 + ok(b"")


def test_content_that_comes_while_some_is_held_stays_in_order(make_wire: MakeWire) -> None:
    content = bytes(range(256)) * 1000
    wire = make_wire(echo)
    octets = GET + post(len(content), content) + GET
    wire.loop.call_soon(wire.connection.data_received, octets[:90000])
    wire.loop.call_soon(wire.connection.data_received, octets[90000:200000])
    wire.loop.call_soon(wire.connection.data_received, octets[200000:])
    wire.turn()
    wire.turn()
    assert wire.take() == ok(b"") + ok(content) + ok(b"")


def test_a_bad_request_waits_for_the_answer_to_the_good_one_before_it(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/good") + b"BAD\r\n\r\n")
    assert wire.take() == b""
    gate.open("/good")
    wire.turn()
    assert wire.take() == ok(b"/good") + refusal(400)
    assert gate.events == ["begin /good", "end /good"]


def test_connection_close_is_announced_and_what_follows_is_not_answered(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    assert wire.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET) == LAST_HELLO
    assert wire.transport.eof_written


def test_an_application_can_close_the_connection(make_wire: MakeWire) -> None:
    wire = make_wire(answers(200, [(b"connection", b"close")], b"hello"))
    assert wire.exchange(GET) == LAST_HELLO
    assert wire.lost


# HTTP/1.0


def test_an_http_1_0_connection_closes(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    assert wire.exchange(GET_10) == LAST_HELLO
    assert wire.lost


def test_an_http_1_0_connection_is_kept_when_both_say_so(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    kept = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello"
    assert wire.exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == kept
    assert wire.exchange(GET_10) == LAST_HELLO


def test_a_stream_to_http_1_0_ends_with_the_connection(make_wire: MakeWire) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"one", more=True)
        await body(send, b"two")

    wire = make_wire(app)
    assert wire.exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwo"
    )
    assert wire.lost
    assert not wire.transport.aborted


# Framing


def test_a_stream_goes_out_in_chunks(make_wire: MakeWire) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        for piece in (b"one", b"", b"two"):
            await body(send, piece, more=True)
        await body(send)

    wire = make_wire(app)
    expected = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert wire.exchange(GET) == expected
    assert wire.exchange(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n") == b"HTTP/1.1 200 OK\r\n\r\n"
    assert wire.exchange(GET) == expected


def test_a_stream_of_declared_length_is_not_chunked(make_wire: MakeWire) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, 200, (b"content-length", b"6"))
        await body(send, b"one", more=True)
        await body(send, b"two")

    assert make_wire(app).exchange(GET) == ok(b"onetwo")


def test_a_head_response_has_no_content(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    assert wire.exchange(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n") == HELLO.removesuffix(b"hello")
    assert wire.exchange(GET) == HELLO


def test_a_204_has_neither_content_nor_length(make_wire: MakeWire) -> None:
    wire = make_wire(answers(204, [(b"content-length", b"5"), (b"x", b"y")], b"hello"))
    assert wire.exchange(GET) == b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n"
    assert wire.exchange(GET) == b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n"


@pytest.mark.parametrize("declared", [[], [(b"content-length", b"5")]])
def test_a_205_has_no_content_and_says_so(make_wire: MakeWire, declared: list[tuple[bytes, bytes]]) -> None:
    reset = b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n"
    wire = make_wire(answers(205, declared, b"hello"))
    assert wire.exchange(GET * 2) == reset * 2
    assert wire.exchange(GET.replace(b"GET", b"HEAD")) == reset

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, 205, *declared)
        await body(send, b"he", more=True)
        await body(send, b"llo")

    assert make_wire(streams).exchange(GET * 2) == reset * 2


def test_a_304_keeps_the_length_of_what_it_stands_for(make_wire: MakeWire) -> None:
    wire = make_wire(answers(304, [(b"content-length", b"1234")], b"hello"))
    assert wire.exchange(GET) == b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\n\r\n"
    assert wire.state is State.IDLE


def test_a_large_message_goes_out_whole(make_wire: MakeWire) -> None:
    content = bytes(range(256)) * 4096
    app = answers(200, [(b"content-length", b"%d" % len(content))], content)
    assert make_wire(app).exchange(GET) == ok(content)


def test_trailers_go_to_a_client_that_takes_them(make_wire: MakeWire) -> None:
    app = replies(
        {"type": "http.response.start", "status": 200, "headers": [], "trailers": True},
        {"type": "http.response.body", "body": b"hello"},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True},
        {"type": "http.response.trailers", "headers": [(b"x-end", b"2")]},
    )
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    wire = make_wire(app)
    assert wire.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n") == (
        head + b"0\r\nx-sum: 1\r\nx-end: 2\r\n\r\n"
    )
    assert wire.exchange(GET) == head + b"0\r\n\r\n"


def test_early_hints_go_to_a_browser_that_navigates(make_wire: MakeWire) -> None:
    app = replies(
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": b"hello"},
    )
    wire = make_wire(app)
    assert wire.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nSec-Fetch-Mode: navigate\r\n\r\n") == (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n" + HELLO
    )
    assert wire.exchange(GET) == HELLO


# Content


def test_content_comes_to_the_application_however_it_is_framed(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    assert wire.exchange(post(5, b"hello")) == HELLO
    assert wire.exchange(chunked(b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-trailer: no\r\n\r\n")) == HELLO
    wire.feed(*(bytes([octet]) for octet in post(5, b"hello")))
    assert wire.take() == HELLO


def test_continue_is_sent_when_the_application_wants_the_content(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    assert wire.exchange(post(5, fields=b"Expect: 100-continue\r\n")) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert wire.exchange(b"hello") == HELLO
    assert wire.exchange(GET) == ok(b"")


def test_continue_is_not_sent_when_content_has_come_already(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    assert wire.exchange(post(5, b"he", fields=b"Expect: 100-continue\r\n")) == b""
    assert wire.exchange(b"llo") == HELLO


def test_an_expectant_client_whose_content_nobody_wants_is_not_kept(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    assert wire.exchange(post(5, fields=b"Expect: 100-continue\r\n")) == LAST_HELLO
    assert wire.transport.eof_written


def test_continue_is_not_sent_to_http_1_0(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    octets = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    assert wire.exchange(octets) == b""
    assert wire.exchange(b"hello") == LAST_HELLO


def test_a_little_content_that_nobody_wants_is_drained_and_the_connection_kept(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    assert wire.exchange(post(64 * 1024, b"x" * 10)) == HELLO
    assert wire.state is State.DRAINING
    assert wire.exchange(b"x" * (64 * 1024 - 10) + GET) == HELLO
    assert wire.state is State.IDLE


@pytest.mark.parametrize("request_octets", [post(64 * 1024 + 1), chunked(b"")])
def test_a_lot_of_content_that_nobody_wants_closes_the_connection(make_wire: MakeWire, request_octets: bytes) -> None:
    wire = make_wire(hello)
    assert wire.exchange(request_octets) == LAST_HELLO
    assert wire.transport.eof_written
    assert not wire.lost, "the client may still be sending, and has to see the answer"
    wire.feed(b"x" * 1000)
    assert not wire.lost
    wire.half_close()
    assert wire.lost
    assert not wire.transport.aborted


# Refusals


def test_expectations_other_than_continue_are_refused(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    expected = refusal(417)
    assert wire.exchange(post(5, fields=b"Expect: coffee\r\n")) == expected


@pytest.mark.parametrize(
    "octets", [post(11), post(10**15), chunked(b"b\r\n12345678901"), chunked(b"6\r\n123456\r\n5\r\n12345")]
)
def test_content_over_the_limit_is_refused_as_soon_as_it_shows(make_wire: MakeWire, octets: bytes) -> None:
    wire = make_wire(echo, limit_request_body=10)
    expected = refusal(413)
    assert wire.exchange(octets) == expected
    assert wire.transport.eof_written


def test_content_at_the_limit_is_taken(make_wire: MakeWire) -> None:
    wire = make_wire(echo, limit_request_body=5)
    assert wire.exchange(post(5, b"hello")) == HELLO
    assert wire.exchange(chunked(b"5\r\nhello\r\n0\r\n\r\n")) == HELLO


def test_a_declared_length_over_the_limit_never_reaches_the_application(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate, limit_request_body=10)
    wire.feed(post(11))
    assert gate.events == []


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 16384), 414),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: %b\r\n\r\n" % (b"a" * 16384), 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\n%b\r\n" % (b"A: b\r\n" * 100), 431),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    ],
)
def test_what_is_refused_is_answered_and_closed_without_the_application(
    make_wire: MakeWire, octets: bytes, status: int
) -> None:
    gate = Gate()
    wire = make_wire(gate)
    assert wire.exchange(octets + GET) == refusal(status)
    assert wire.state is State.CLOSING
    assert wire.transport.eof_written
    assert gate.events == []


def test_bad_content_is_refused_while_the_application_waits_for_it(make_wire: MakeWire) -> None:
    listening = Listening()
    wire = make_wire(listening)
    wire.feed(chunked(b"5\r\nhello\r\n"))
    assert wire.exchange(b"zz\r\n") == refusal(400)
    assert listening.received == [
        {"type": "http.request", "body": b"hello", "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert isinstance(listening.error, OSError)
    assert wire.take() == b""


def test_bad_content_cuts_a_response_that_has_begun(make_wire: MakeWire) -> None:
    wire = make_wire(Listening(streams=True))
    assert wire.exchange(chunked(b"5\r\nhello\r\n")).endswith(
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nfirst\r\n"
    )
    assert wire.exchange(b"zz\r\n") == b""
    assert wire.state is State.CLOSING


def test_a_server_with_enough_to_do_answers_503(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate, limit_concurrency=1, limit_queue=0)
    wire.feed(get("/a"))
    other = make_wire(gate, service=wire.service)
    assert other.exchange(get("/b")) == refusal(503).replace(b"content-type", b"retry-after: 5\r\ncontent-type")
    gate.open("/a")
    wire.turn()
    assert wire.take() == ok(b"/a")
    third = make_wire(gate, service=wire.service)
    third.feed(get("/c"))
    assert gate.events == ["begin /a", "end /a", "begin /c"]


# Applications that fail


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("deliberate")


async def fails_late(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, b"part", more=True)
    raise RuntimeError("deliberate")


def test_an_application_that_fails_before_its_response_is_answered_for(
    make_wire: MakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    wire = make_wire(fails)
    assert wire.exchange(GET + GET) == FAILURE * 2
    assert wire.state is State.IDLE
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert errors[0].exc_info is not None
    assert '"GET / HTTP/1.1"' in errors[0].getMessage()


class NoException(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [NoException(), BaseExceptionGroup("two", [NoException()]), ClientDisconnected("another client has gone")],
    ids=["BaseException", "group", "another's disconnect"],
)
def test_whatever_an_application_raises_its_client_is_answered(
    make_wire: MakeWire, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    async def raises(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await start(send)
            await body(send, b"part", more=True)
        raise error

    wire = make_wire(raises)
    assert wire.exchange(GET) == FAILURE
    assert wire.state is State.IDLE
    assert wire.exchange(get("/late")) == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n"
    assert wire.state >= State.CLOSING
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info and record.exc_info[1] for record in errors] == [error, error]


def test_an_application_that_fails_in_mid_response_is_cut(make_wire: MakeWire) -> None:
    wire = make_wire(fails_late)
    assert wire.exchange(GET + GET) == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n"
    assert wire.state >= State.CLOSING


def test_a_cut_that_no_framing_shows_is_a_reset(make_wire: MakeWire) -> None:
    wire = make_wire(fails_late)
    assert wire.exchange(GET_10) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\npart"
    assert wire.transport.aborted


@pytest.mark.parametrize(
    ("content", "more", "sent"),
    [
        (b"hello!", False, b""),
        (b"hell", False, b""),
        (b"hello!", True, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
    ],
)
def test_content_that_is_not_as_long_as_declared_never_looks_complete(
    make_wire: MakeWire, content: bytes, more: bool, sent: bytes
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, 200, (b"content-length", b"5"))
        await body(send, content, more)

    assert make_wire(app).exchange(GET) == (sent or FAILURE)


@pytest.mark.parametrize("fields", [[(b"x", b"a\r\nb: c")], [(b"x: y\r\nz", b"")], [(b"x", b"\0")], [(b"x y", b"")]])
def test_nothing_in_a_field_splits_a_response(make_wire: MakeWire, fields: list[tuple[bytes, bytes]]) -> None:
    wire = make_wire(answers(200, fields, b"hello"))
    assert wire.exchange(GET) == FAILURE
    assert wire.state is State.IDLE


def test_an_application_that_returns_without_an_answer_is_answered_for(make_wire: MakeWire) -> None:
    assert make_wire(replies()).exchange(GET) == FAILURE


def test_an_application_that_is_cancelled_is_answered_for(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/"))
    (exchange,) = wire.service.running
    assert exchange.task is not None
    exchange.task.cancel()
    wire.turn()
    assert wire.take() == FAILURE


# The client's end


def test_a_half_closed_client_is_answered_and_then_closed(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/a") + get("/b"))
    wire.half_close()
    assert not wire.lost
    gate.open("/a")
    wire.turn()
    gate.open("/b")
    wire.turn()
    assert wire.take() == ok(b"/a") + ok(b"/b", b"connection: close")
    assert wire.lost


def test_the_application_is_told_that_the_client_has_closed_its_side(make_wire: MakeWire) -> None:
    listening = Listening()
    wire = make_wire(listening)
    wire.feed(GET)
    wire.half_close()
    assert listening.received[-1] == {"type": "http.disconnect"}
    assert wire.take() == ok(b"last", b"connection: close")
    assert listening.error is None


def test_who_has_all_of_a_response_without_content_and_has_closed_its_side_has_gone(make_wire: MakeWire) -> None:
    asked = b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
    gate, errors = asyncio.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"part", more=True)
        await gate.wait()
        try:
            for _ in range(3):
                await body(send, b"part", more=True)
            await body(send, b"")
        except OSError as error:
            errors.append(error)

    for octets, ends, gone in (
        (asked, True, True),
        (asked, False, False),
        (asked + GET, True, False),  # it waits for the other one
        (GET, True, False),
    ):
        gate.clear()
        errors.clear()
        wire = make_wire(app)
        wire.feed(octets)
        if ends:
            wire.half_close()
        gate.set()
        wire.turn()
        assert (len(errors), wire.lost) == (gone, ends)


def test_an_application_is_told_that_its_client_has_gone_and_cannot_send(make_wire: MakeWire) -> None:
    for streams in (False, True):
        listening = Listening(streams)
        wire = make_wire(listening)
        wire.feed(GET)
        wire.lose(ConnectionResetError())
        assert listening.received == [
            {"type": "http.request", "body": b"", "more_body": False},
            {"type": "http.disconnect"},
        ]
        assert isinstance(listening.error, OSError)


def test_a_client_that_goes_is_never_logged_as_an_error(make_wire: MakeWire, caplog: pytest.LogCaptureFixture) -> None:
    for octets in (b"", GET[:9], GET, post(10, b"half")):
        for streams in (False, True):
            wire = make_wire(Listening(streams))
            if octets:
                wire.feed(octets)
            wire.lose(ConnectionResetError())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_content_that_is_cut_short_is_no_request_to_answer(make_wire: MakeWire) -> None:
    listening = Listening()
    wire = make_wire(listening)
    wire.feed(post(10, b"half"))
    wire.half_close()
    assert wire.lost
    assert wire.take() == b""
    assert listening.received == [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]


def test_a_request_that_is_cut_short_does_not_hold_a_client_that_takes_nothing(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(post(10, b"half"))  # which the application does not ask for
    wire.transport.close = lambda: None  # type: ignore[method-assign]  # a real one keeps what it has to send
    wire.transport.buffer_size = 1000  # of an earlier response
    wire.half_close()
    for _ in range(3):
        wire.wait(wire.service.config.timeout_write + 2)
    del wire.transport.close
    assert wire.transport.aborted
    wire.lose()


def test_a_request_that_is_cut_short_while_it_waits_is_not_let_in(make_wire: MakeWire) -> None:
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1)
    first.feed(get("/a"))
    second = make_wire(gate, service=first.service)
    second.feed(post(10, b"half"))
    second.transport.close = lambda: None  # type: ignore[method-assign]  # a real one keeps what it has to send
    second.half_close()
    assert first.service.gate is not None
    assert first.service.gate.waiting == 0
    gate.open("/a")
    first.turn()
    assert first.service.requests == 1
    del second.transport.close
    second.lose()


def test_a_request_that_waited_for_another_learns_that_the_client_has_closed_its_side(make_wire: MakeWire) -> None:
    gate, listening = Gate(), Listening()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (gate if scope["path"] == "/a" else listening)(scope, receive, send)

    wire = make_wire(app)
    wire.feed(get("/a") + post(3, b"abc"))
    wire.half_close()
    gate.open("/a")
    wire.turn()
    assert listening.received == [
        {"type": "http.request", "body": b"abc", "more_body": False},
        {"type": "http.disconnect"},
    ]
    assert wire.take() == ok(b"/a") + ok(b"last", b"connection: close")
    assert wire.lost


def test_an_application_may_give_up_when_the_client_has_closed_its_side(
    make_wire: MakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"part", more=True)
        await gives_up(scope, receive, send)

    for app, octets, answer, cut in (
        (gives_up, GET, b"", False),
        (streams, GET, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n", False),
        (streams, GET_10, b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\npart", True),
    ):
        wire = make_wire(app)
        wire.feed(octets)
        wire.half_close()
        assert (wire.take(), wire.lost, wire.transport.aborted) == (answer, True, cut)
    assert caplog.records == []


# As many requests as are answered before others have their turn, so that the content of the last one is held.
MANY = post(0) * 15
LONG = bytes(40 * 1024)


def feed_and_half_close(wire: Wire, octets: bytes) -> None:
    """The client's octets, and its end before the connection has its next turn."""
    wire.loop.call_soon(wire.connection.data_received, octets)
    wire.half_close()


def test_content_that_is_held_when_the_client_closes_its_side_is_whole(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    feed_and_half_close(wire, MANY + post(len(LONG), LONG))
    assert wire.take() == ok(b"") * 15 + ok(LONG, b"connection: close")
    assert wire.lost


def test_content_that_is_held_when_the_client_closes_its_side_may_be_cut_short(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    feed_and_half_close(wire, MANY + post(len(LONG) + 1, LONG))
    assert wire.take() == ok(b"") * 15
    assert wire.lost


def test_content_that_nobody_wants_and_that_is_cut_short_is_not_waited_for(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    feed_and_half_close(wire, MANY + post(len(LONG) + 1, LONG))
    assert wire.take() == HELLO * 16
    assert wire.lost


def test_a_connection_whose_loss_has_not_been_told_yet_is_closed_without_a_word(make_wire: MakeWire) -> None:
    def write_eof() -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    wire = make_wire(hello)
    wire.transport.write_eof = write_eof  # type: ignore[method-assign]
    wire.loop.set_exception_handler(lambda loop, context: pytest.fail(str(context)))
    assert wire.exchange(b"\0") == refusal(400)
    assert wire.transport.aborted


@pytest.mark.parametrize("octets", [b"", GET, GET + GET[:9], post(2, b"a"), b"\0", GET + b"\0", chunked(b"1\ra")])
def test_what_belongs_to_a_connection_goes_with_it(make_wire: MakeWire, parser_name: str, octets: bytes) -> None:
    service = make_wire(hello).service
    service.parser = load(parser_name)
    wire = make_wire(hello, service=service)
    connection = weakref.ref(wire.connection)
    with without_collector():
        wire.feed(octets)
        wire.lose()
        wire.transport.set_protocol(asyncio.Protocol())
        del wire.connection
        assert connection() is None


# Others' turns


class Pieces:
    """An application that sends pieces without ever waiting by itself; *sent* of them have gone."""

    def __init__(self, piece: bytes, count: int) -> None:
        self.piece, self.count = piece, count
        self.sent = 0
        self.error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await start(send)
            while self.sent < self.count:
                await body(send, self.piece, more=True)
                self.sent += 1
            await body(send)
        except Exception as error:
            self.error = error
            raise


@pytest.mark.parametrize("size", [1, 100, 10_000, MIB])
def test_a_client_that_takes_everything_at_once_is_no_reason_to_keep_others_waiting(
    make_wire: MakeWire, size: int
) -> None:
    app = Pieces(b"x" * size, 3 * MIB // max(size, 100))
    wire = make_wire(app)
    turns: list[tuple[int, int]] = []

    def look() -> None:
        turns.append((app.sent, len(wire.transport.written)))
        if app.sent < app.count:
            wire.loop.call_soon(look)

    wire.loop.call_soon(look)
    wire.feed(GET)
    while wire.state is State.BUSY:
        wire.turn()
    assert (app.sent, app.error) == (app.count, None)
    assert wire.take().endswith(b"\r\n0\r\n\r\n")
    steps = [(sent - before[0], octets - before[1]) for before, (sent, octets) in pairwise(turns)]
    assert max(octets for _, octets in steps) <= 800 * 1024
    assert max(sent for sent, _ in steps) <= 64 * 1024 // 6 + 1  # one octet makes six


@pytest.mark.parametrize(("octets", "piece"), [(GET.replace(b"GET", b"HEAD"), b"x"), (GET, b"")], ids=["HEAD", "empty"])
def test_pieces_of_which_nothing_is_sent_keep_nobody_waiting(make_wire: MakeWire, octets: bytes, piece: bytes) -> None:
    app = Pieces(piece, 1000)
    wire = make_wire(app)
    wire.feed(octets)
    assert 0 < app.sent < 20
    while wire.state is State.BUSY:
        wire.turn()
    assert (app.sent, app.error) == (1000, None)


@pytest.mark.parametrize("size", [1000, MIB])
def test_an_application_that_never_waits_learns_that_its_client_has_gone(make_wire: MakeWire, size: int) -> None:
    app = Pieces(b"x" * size, 10_000)
    wire = make_wire(app)
    # What a transport does when its socket fails: it takes what it is given, and tells of its loss later.
    wire.transport.write = lambda data: wire.transport.close()  # type: ignore[method-assign]
    wire.feed(GET)
    assert wire.lost
    assert app.sent < 1000  # as many as fill the buffer, in each of the turns that this transport takes
    assert isinstance(app.error, ClientDisconnected)


def test_large_responses_to_pipelined_requests_leave_others_their_turn_and_come_all(make_wire: MakeWire) -> None:
    content = b"x" * 600 * 1024
    wire = make_wire(answers(200, (), content))
    wire.feed(GET * 3)
    while wire.state is not State.IDLE or wire.connection._held:
        wire.turn()
    assert wire.take() == ok(content) * 3


def test_who_waits_for_a_turn_waits_for_the_client_too(make_wire: MakeWire) -> None:
    connection = make_wire(hello).connection
    connection._wait_for_turn()
    assert connection.write_paused
    connection.pause_writing()
    connection.uncork()
    assert connection.write_paused, "the client has not read yet"
    connection._wait_for_turn()
    connection.uncork()
    assert connection.write_paused
    connection.resume_writing()
    assert not connection.write_paused


# No faster than the other side


def test_reading_pauses_while_the_application_does_not_take_its_content(make_wire: MakeWire) -> None:
    proceed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await proceed.wait()
        await echo(scope, receive, send)

    wire = make_wire(app)
    content = b"x" * 200_000
    wire.feed(post(200_000, content[:60_000]))
    assert wire.transport.reading
    wire.feed(content[60_000:70_000])
    assert not wire.transport.reading
    proceed.set()
    wire.turn()
    assert wire.transport.reading
    assert wire.exchange(content[70_000:]) == ok(content)


def test_reading_pauses_when_a_client_asks_faster_than_it_is_answered(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/") * 2000)
    wire.feed(get("/") * 1000)
    assert not wire.transport.reading
    for _ in range(3000):
        gate.open()
        wire.turn()
    assert wire.take() == ok(b"/") * 3000
    assert wire.transport.reading


def test_no_request_is_started_for_a_client_that_does_not_read_its_answers(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    wire.connection.pause_writing()
    wire.feed(GET * 10)
    assert wire.take() == b""
    wire.feed(GET[:5])
    wire.connection.resume_writing()
    wire.turn()
    assert wire.take() == HELLO * 10
    assert wire.exchange(GET[5:]) == HELLO

    writes: list[int] = []

    def write(octets: bytes) -> None:
        writes.append(octets.count(b"HTTP/1.1"))
        wire.connection.pause_writing()

    wire.transport.write = write  # type: ignore[method-assign, assignment]
    wire.feed(GET * 100)
    assert writes == [16], "what was started before the first write"
    wire.wait(30)
    wire.connection.resume_writing()
    wire.turn()
    assert writes == [16, 16]
    wire.half_close()
    while sum(writes) < 100:
        wire.connection.resume_writing()
        wire.turn()
    assert sum(writes) == 100
    wire.connection.resume_writing()
    wire.turn()
    assert wire.lost


def test_an_application_that_polls_for_the_disconnect_does_not_let_a_flood_in(make_wire: MakeWire) -> None:
    asked = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked
        await receive()
        while True:
            asked += 1
            poll = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            poll.cancel()
            await asyncio.sleep(0)

    wire = make_wire(app)
    fed = 0
    wire.feed(GET)
    for _ in range(20):
        if wire.transport.reading:
            wire.feed(GET * 2000)
            fed += 1
        else:
            wire.turn()
    assert asked > 20
    assert fed <= 2


def test_send_waits_while_the_client_does_not_read(make_wire: MakeWire) -> None:
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, 200, (b"content-length", b"30"))
        for number in range(3):
            await body(send, b"x" * 10, more=True)
            sent.append(number)
        await body(send)

    wire = make_wire(app)
    wire.connection.pause_writing()
    wire.feed(GET)
    assert sent == []
    wire.connection.resume_writing()
    wire.turn()
    assert sent == [0, 1, 2]
    assert wire.take() == ok(b"x" * 30)
