"""Requests that begin: at once, after others, or not at all; and what they are called with if a proxy speaks."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from miniasgi.server.connections.ending import State
from miniasgi.types import Receive, Scope, Send
from tests.server.apps import Gate, body, echo, hello, start
from tests.server.conftest import MakeWire

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 20\r\nconnection: close\r\n\r\nService Unavailable\n"
)


def get(path: str, *lines: str) -> bytes:
    fields = "".join(line + "\r\n" for line in lines)
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode()


def ok(content: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n%b" % (len(content), more, content)


# --limit-concurrency


def test_a_request_beyond_the_limit_waits_for_its_turn(make_wire: MakeWire) -> None:
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1)
    others = [make_wire(gate, service=first.service) for _ in range(2)]
    first.feed(get("/a"))
    for wire, path in zip(others, ("/b", "/c"), strict=True):
        assert wire.exchange(get(path)) == b""
        assert wire.state is State.BUSY
    assert gate.events == ["begin /a"]
    gate.open("/a")
    first.turn()
    assert gate.events == ["begin /a", "end /a", "begin /b"]
    gate.open("/b")
    others[0].turn()
    assert others[0].take() == ok(b"/b")
    gate.open("/c")
    others[1].turn()
    assert others[1].take() == ok(b"/c")
    assert first.take() == ok(b"/a")
    assert first.exchange(get("/d")) == b""
    gate.open("/d")
    first.turn()
    assert first.take() == ok(b"/d")
    assert first.service.gate is not None
    assert (first.service.gate.running, first.service.gate.waiting) == (0, 0)


def test_a_client_that_pipelines_does_not_overtake_those_who_wait(make_wire: MakeWire) -> None:
    gate = Gate()
    greedy = make_wire(gate, limit_concurrency=1)
    patient = make_wire(gate, service=greedy.service)
    greedy.feed(get("/1") + get("/2") + get("/3"))
    patient.feed(get("/patient"))
    gate.open("/1")
    greedy.turn()
    assert gate.events == ["begin /1", "end /1", "begin /patient"]
    gate.open("/patient")
    patient.turn()
    assert patient.take() == ok(b"/patient")
    assert gate.events[-1] == "begin /2"
    for path in ("/2", "/3"):
        gate.open(path)
        greedy.turn()
    assert greedy.take() == ok(b"/1") + ok(b"/2") + ok(b"/3")


def test_content_of_a_request_that_waits_is_taken_and_bounded(make_wire: MakeWire) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/a":
            await gate(scope, receive, send)
            return
        octets = 0
        while True:
            message = await receive()
            octets += len(message["body"])
            if not message["more_body"]:
                break
        await start(send)
        await body(send, b"%d" % octets)

    gate = Gate()
    first = make_wire(app, limit_concurrency=1, timeout_request_body=10)
    second = make_wire(app, service=first.service)
    first.feed(get("/a"))
    second.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
    first.wait(25)
    second.wait(0)
    assert second.take() == b""  # the client is not to blame for what it need not have sent yet
    sent = 0
    while second.transport.reading:
        second.feed(bytes(10_000))
        sent += 10_000
    assert 0 < sent <= 200_000
    gate.open("/a")
    second.turn()
    assert second.transport.reading
    while sent < 1_000_000:
        second.feed(bytes(10_000))
        sent += 10_000
    assert second.take() == ok(b"1000000")


def test_when_the_queue_is_full_or_the_wait_too_long_the_answer_is_503(
    make_wire: MakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1, limit_queue=1, timeout_queue=3)
    second, third = (make_wire(gate, service=first.service) for _ in range(2))
    first.feed(get("/a"))
    assert second.exchange(get("/b")) == b""
    assert third.exchange(get("/c")) == BUSY
    assert third.state is State.CLOSING
    first.wait(5)
    second.turn()
    assert second.take() == BUSY
    assert [record.getMessage() for record in caplog.records] == [
        "192.0.2.1:50000: refused with 503: 1 requests are running, and 1 wait",
        "192.0.2.1:50000: refused with 503: waited for 3 s",
    ]
    gate.open("/a")
    first.turn()
    assert gate.events == ["begin /a", "end /a"]


@pytest.mark.parametrize("how", ["lost", "malformed", "stopped"])
def test_who_gives_up_leaves_the_queue(make_wire: MakeWire, how: str) -> None:
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1)
    second, third = (make_wire(gate, service=first.service) for _ in range(2))
    first.feed(get("/a"))
    second.feed(b"POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    third.feed(get("/c"))
    assert first.service.gate is not None
    assert first.service.gate.waiting == 2
    if how == "lost":
        second.lose()
        assert second.take() == b""
    elif how == "malformed":
        assert second.exchange(b"zz\r\n").startswith(b"HTTP/1.1 400 ")
    else:
        second.loop.call_soon(second.connection.cut)
        second.turn()
        assert second.take() == BUSY
    assert first.service.gate.waiting == 1
    gate.open("/a")
    first.turn()
    assert gate.events == ["begin /a", "end /a", "begin /c"]


def test_an_application_that_goes_on_after_its_response_keeps_its_place(make_wire: MakeWire) -> None:
    gate = Gate()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"hello")
        await gate(scope, receive, send)

    first = make_wire(app, limit_concurrency=1, limit_queue=0)
    assert first.exchange(GET) == HELLO
    assert make_wire(app, service=first.service).exchange(GET) == BUSY
    gate.open("/")
    first.turn()
    assert make_wire(hello, service=first.service).exchange(GET) == HELLO


def test_a_client_that_has_said_all_is_answered_when_its_turn_comes(make_wire: MakeWire) -> None:
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1)
    second = make_wire(gate, service=first.service)
    first.feed(get("/a"))
    second.feed(get("/b"))
    second.half_close()
    gate.open("/a")
    first.turn()
    gate.open("/b")
    second.turn()
    assert second.take() == ok(b"/b", b"connection: close\r\n")


def test_a_client_that_has_ended_its_side_keeps_nobody_waiting(
    make_wire: MakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1, limit_queue=2)
    second, third, fourth, fifth = (make_wire(gate, service=first.service) for _ in range(4))
    first.feed(get("/a"))
    second.feed(get("/b"))
    second.half_close()
    third.feed(get("/c"))
    gate.open("/a")
    first.turn()
    assert gate.events[-1] == "begin /c"  # the second may have gone
    fourth.feed(get("/d"))
    fifth.feed(get("/e"))  # the queue is full
    second.turn()
    assert second.take() == BUSY
    assert second.transport.is_closing()  # nothing more can come that would be read
    assert [record.getMessage() for record in caplog.records] == [
        "192.0.2.1:50000: refused with 503: has ended its side, and others wait who have not"
    ]
    for wire, path in ((third, "/c"), (fourth, "/d"), (fifth, "/e")):
        gate.open(path)
        wire.turn()
        assert wire.take() == ok(path.encode())


def test_requests_of_a_client_that_has_ended_its_side_before_they_wait_let_others_pass_too(make_wire: MakeWire) -> None:
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1)
    second, third = (make_wire(gate, service=first.service) for _ in range(2))
    first.feed(get("/1") + get("/2"))
    first.half_close()
    second.feed(get("/b"))
    gate.open("/1")
    first.turn()
    assert gate.events[-1] == "begin /b"
    third.feed(get("/c"))  # behind the first client's second request
    gate.open("/b")
    second.turn()
    assert gate.events[-1] == "begin /c"
    gate.open("/c")
    third.turn()
    assert gate.events[-1] == "begin /2"
    gate.open("/2")
    first.turn()
    assert first.take() == ok(b"/1") + ok(b"/2", b"connection: close\r\n")


def test_a_request_that_waits_is_not_asked_for_its_content(make_wire: MakeWire) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/a":
            await gate(scope, receive, send)
        else:
            await echo(scope, receive, send)

    gate = Gate()
    first = make_wire(app, limit_concurrency=1)
    second = make_wire(app, service=first.service)
    first.feed(get("/a"))
    head = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    assert second.exchange(head) == b""
    gate.open("/a")
    first.turn()
    assert second.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert second.exchange(b"hello") == HELLO


def test_an_answer_at_once_takes_no_place_but_waits_for_its_turn(make_wire: MakeWire) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (hello if scope["path"] == "/hello" else gate)(scope, receive, send)

    gate = Gate()
    first = make_wire(app, limit_concurrency=1)
    others = [make_wire(app, service=first.service) for _ in range(2)]
    assert others[0].exchange(get("/hello")) == HELLO
    first.feed(get("/a"))
    assert [wire.exchange(get("/hello")) for wire in others] == [b"", b""]
    gate.open("/a")
    first.turn()
    assert [wire.take() for wire in others] == [HELLO, HELLO]


def test_who_waits_when_the_server_stops_still_has_a_turn(make_wire: MakeWire) -> None:
    gate = Gate()
    first = make_wire(gate, limit_concurrency=1)
    second = make_wire(gate, service=first.service)
    first.feed(get("/a"))
    second.feed(get("/b"))
    first.service.begin_stop()
    second.loop.call_soon(second.connection.stop)
    gate.open("/a")
    first.turn()
    gate.open("/b")
    second.turn()
    assert second.take() == ok(b"/b", b"connection: close\r\n")


def test_an_access_line_counts_the_wait(make_wire: MakeWire) -> None:
    class Lines:
        def __init__(self) -> None:
            self.found: list[tuple[int, float]] = []

        def add(self, client: object, head: object, status: int, octets: int, seconds: float, *_: object) -> None:
            self.found.append((status, seconds))

    gate = Gate()
    first = make_wire(gate, limit_concurrency=1, timeout_queue=100)
    second, third = (make_wire(gate, service=first.service) for _ in range(2))
    lines = first.service.access = Lines()  # type: ignore[assignment]  # as much of it as is called
    first.feed(get("/a"))
    second.feed(get("/b"))
    first.clock.seconds += 20
    third.feed(get("/c"))
    gate.open("/a")
    first.turn()
    gate.open("/b")
    second.turn()
    first.clock.seconds += 5
    first.loop.call_soon(third.connection.turn_away, "waited for 5 s")
    third.turn()
    assert lines.found == [(200, 20.0), (200, 20.0), (503, 5.0)]


# Proxies, and names of requests


class Noting:
    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await hello(scope, receive, send)


FORWARDED = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.org")


def noted(make_wire: MakeWire, octets: bytes, **options: Any) -> Scope:
    app = Noting()
    assert make_wire(app, **options).exchange(octets) == HELLO
    (scope,) = app.scopes
    return scope


def test_a_trusted_proxy_is_believed_as_far_as_is_asked_for(make_wire: MakeWire) -> None:
    trusted = {"forwarded_allow_ips": "192.0.2.0/24"}
    scope = noted(make_wire, get("/", *FORWARDED), **trusted)
    assert (scope["client"], scope["scheme"], scope["server"]) == (("203.0.113.9", 0), "https", ("192.0.2.2", 80))
    assert dict(scope["headers"])[b"host"] == b"h"
    scope = noted(make_wire, get("/", *FORWARDED), proxy_headers="x-forwarded", **trusted)
    assert (scope["client"], scope["scheme"], scope["server"]) == (("203.0.113.9", 0), "https", ("example.org", 443))
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"example.org"]
    scope = noted(make_wire, get("/", *FORWARDED), proxy_headers="off", **trusted)
    assert (scope["client"], scope["scheme"]) == (("192.0.2.1", 50000), "http")


def test_nobody_else_is(make_wire: MakeWire) -> None:
    scope = noted(make_wire, get("/", *FORWARDED), proxy_headers="x-forwarded")
    assert (scope["client"], scope["scheme"], scope["server"]) == (("192.0.2.1", 50000), "http", ("192.0.2.2", 80))
    assert dict(scope["headers"])[b"host"] == b"h"


def test_what_a_trusted_proxy_says_of_one_request_does_not_count_for_the_next(make_wire: MakeWire) -> None:
    app = Noting()
    wire = make_wire(app, forwarded_allow_ips="*")
    assert wire.exchange(get("/", *FORWARDED) + GET) == HELLO * 2
    assert [scope["client"] for scope in app.scopes] == [("203.0.113.9", 0), ("192.0.2.1", 50000)]


def test_what_makes_no_sense_is_answered_400(make_wire: MakeWire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    wire = make_wire(hello, forwarded_allow_ips="*", proxy_headers="forwarded")
    assert wire.exchange(get("/", 'Forwarded: for="')).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    (record,) = caplog.records
    assert record.getMessage().startswith("192.0.2.1:50000: refused with 400: ")
    assert not wire.service.running


def test_a_request_gets_a_name_that_the_scope_tells(make_wire: MakeWire) -> None:
    scopes = [noted(make_wire, get("/", "X-Request-ID: forged"), request_id="X-Request-ID") for _ in range(2)]
    names = [scope["extensions"]["miniasgi.request_id"]["id"] for scope in scopes]
    assert len(set(names)) == 2
    for scope, name in zip(scopes, names, strict=True):
        assert [value for field, value in scope["headers"] if field == b"x-request-id"] == [name.encode()]
        assert len(bytes.fromhex(name)) == 16
    assert "miniasgi.request_id" not in noted(make_wire, GET)["extensions"]


def test_a_trusted_proxy_may_name_requests(make_wire: MakeWire) -> None:
    scope = noted(make_wire, get("/", "X-Request-ID: abc-1"), request_id="X-Request-ID", forwarded_allow_ips="*")
    assert scope["extensions"]["miniasgi.request_id"] == {"id": "abc-1"}
    assert [value for field, value in scope["headers"] if field == b"x-request-id"] == [b"abc-1"]


def test_the_name_is_in_the_log_of_a_failure(make_wire: MakeWire, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("deliberate")

    wire = make_wire(fails, request_id="x-request-id", forwarded_allow_ips="*")
    assert wire.exchange(get("/", "X-Request-ID: abc-1")).startswith(b"HTTP/1.1 500 ")
    assert caplog.messages == [
        "\"GET / HTTP/1.1\" id=abc-1: the application failed without a response, expected 'http.response.start'"
    ]
