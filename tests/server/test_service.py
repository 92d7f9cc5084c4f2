"""What a server knows of itself: that it stops, what it has taken, and what runs, also while its loop is blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from miniasgi.asgi.exchange import Exchange
from miniasgi.server.service import RunningRequest
from miniasgi.types import Fields, Receive, Scope, Send
from tests.server.apps import Gate, body, echo, hello, start
from tests.server.conftest import MakeWire
from tests.server.test_connection import GET, HELLO, chunked, get, post
from tests.support import Wire

# 10 s: what a test that fails may take; none waits for its end.
PATIENCE_SECONDS = 10.0

Found = tuple[list[RunningRequest], int]


# Stopping


def test_a_stop_is_told_to_connections_and_applications(make_wire: MakeWire) -> None:
    scopes: list[Scope] = []
    told: list[tuple[bool, bool]] = []

    class Told:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            scopes.append(scope)
            await hello(scope, receive, send)

        def __server_stops__(self) -> None:
            told.append((service.stopping, service.draining.is_set()))

    wire = make_wire(Told())
    service = wire.service
    assert wire.exchange(GET) == HELLO
    event = scopes[0]["extensions"]["miniasgi.draining"]["event"]
    assert event is service.draining
    assert not event.is_set()
    assert told == []
    service.begin_stop()
    assert event.is_set()
    assert told == [(True, True)]
    # Whom to close is the server's affair; until then all are there, and answer for the last time.
    assert not wire.transport.is_closing()
    assert b"\r\nconnection: close\r\n" in wire.exchange(GET)
    assert wire.lost


def test_connections_share_an_event_and_servers_do_not(make_wire: MakeWire) -> None:
    events: list[asyncio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(scope["extensions"]["miniasgi.draining"]["event"])
        await hello(scope, receive, send)

    one = make_wire(app)
    for wire in (one, one, make_wire(app, service=one.service), make_wire(app)):
        wire.feed(GET)
    assert events[0] is events[1] is events[2] is not events[3]
    one.service.begin_stop()
    assert [event.is_set() for event in events] == [True, True, True, False]


# Counting


def test_each_request_that_is_begun_counts_once(make_wire: MakeWire) -> None:
    wire = make_wire(echo)
    assert wire.service.requests == 0
    wire.feed(b"GET / HTT")
    assert wire.service.requests == 0
    wire.feed(b"P/1.1\r\nHost: h\r\n\r\n")
    assert wire.service.requests == 1
    wire.feed(post(4))
    assert wire.service.requests == 2
    wire.feed(b"ab", b"cd")
    assert wire.service.requests == 2
    wire.feed(GET * 40)
    assert wire.service.requests == 42
    make_wire(echo, service=wire.service).feed(GET)
    assert wire.service.requests == 43


def test_a_request_counts_however_it_ends(make_wire: MakeWire) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("no")

    wire = make_wire(fails)
    wire.feed(GET)
    wire.service.app = echo
    # Its content is refused when the application is at work already.
    wire.take()
    wire.feed(chunked(b""), b"x\r\n")
    assert wire.take().startswith(b"HTTP/1.1 400 ")
    assert wire.service.requests == 2


@pytest.mark.parametrize(
    ("octets", "options"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", {}),
        (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", {}),
        (post(11), {"limit_request_body": 10}),
        (b"\n", {}),
    ],
)
def test_a_refused_request_does_not_count(make_wire: MakeWire, octets: bytes, options: dict[str, Any]) -> None:
    wire = make_wire(echo, **options)
    assert wire.exchange(octets).startswith(b"HTTP/1.1 4")
    assert wire.service.requests == 0


def test_requests_beyond_the_limit_do_not_count(make_wire: MakeWire) -> None:
    wire = make_wire(Gate(), limit_concurrency=1, limit_queue=0)
    wire.feed(GET)
    other = make_wire(Gate(), service=wire.service)
    assert other.exchange(GET).startswith(b"HTTP/1.1 503 ")
    assert wire.service.requests == 1


class Immediate:
    """An application that answers without being called."""

    def __init__(self) -> None:
        self.entered, self.left = threading.Event(), threading.Event()
        self.left.set()

    def __immediate_answer__(self, method: str, path: bytes, query: bytes, fields: Fields, root_path: str) -> Any:
        self.entered.set()
        assert self.left.wait(PATIENCE_SECONDS)
        return SimpleNamespace(status=200, fields=[], content=b"ready", encoded=None, file=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("expected not to be called")


def test_answers_without_the_application_count(make_wire: MakeWire) -> None:
    wire = make_wire(Immediate())
    assert wire.exchange(GET * 3).count(b"ready") == 3
    assert wire.service.requests == 3
    assert wire.service.running_requests() == ([], 0)
    assert wire.service.starting is None


# What runs


def test_requests_that_run_are_told_with_their_age(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    service = wire.service
    assert service.running_requests() == ([], 0)
    others = [make_wire(gate, service=service) for _ in range(2)]
    wire.feed(get("/first"))
    wire.wait(5)
    others[0].feed(b'DELETE /second?"x\\%41 HTTP/1.1\r\nHost: h\r\n\r\n')
    wire.wait(2)
    others[1].feed(get("/third"))
    wire.wait(0.5)
    first, second, third = (
        RunningRequest("GET", "/first", 7.5),
        RunningRequest("DELETE", "/second?\\x22x\\x5c%41", 2.5),
        RunningRequest("GET", "/third", 0.5),
    )
    assert service.running_requests() == ([first, second, third], 0)
    assert service.running_requests(most=2) == ([first, second], 1)
    gate.open("/first")
    wire.turn()
    assert service.running_requests() == ([second, third], 0)
    gate.open("/second")
    gate.open("/third")
    wire.turn()
    assert service.running_requests() == ([], 0)


def test_a_hundred_are_told_and_the_rest_counted(make_wire: MakeWire) -> None:
    wire = make_wire(Gate())
    wire.feed(GET)
    for _ in range(101):
        make_wire(Gate(), service=wire.service).feed(GET)
    requests, more = wire.service.running_requests()
    assert (len(requests), more) == (100, 2)


@pytest.mark.parametrize(("logs", "seconds"), [(False, 1.25), (True, 0.5)])
def test_an_age_is_as_coarse_as_the_sweep_unless_access_is_logged(
    make_wire: MakeWire, logs: bool, seconds: float
) -> None:
    wire = make_wire(Gate())
    if logs:
        wire.service.access = SimpleNamespace(add=lambda *_: None)  # type: ignore[assignment]  # takes all
    wire.clock.seconds += 0.75  # since the last tick
    wire.feed(GET)
    wire.wait(0.5)
    assert wire.service.running_requests() == ([RunningRequest("GET", "/", seconds)], 0)


def test_requests_that_wait_for_their_turn_do_not_run(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(get("/a") + get("/b"), get("/c"))
    assert [request.target for request in wire.service.running_requests()[0]] == ["/a"]
    assert wire.service.requests == 1
    gate.open("/a")
    wire.turn()
    assert [request.target for request in wire.service.running_requests()[0]] == ["/b"]
    assert wire.service.requests == 2


def test_an_application_that_goes_on_after_its_response_runs(make_wire: MakeWire) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        await go_on.wait()

    wire = make_wire(app)
    assert wire.exchange(GET) == HELLO
    assert wire.service.running_requests() == ([RunningRequest("GET", "/", 0.0)], 0)
    go_on.set()
    wire.turn()
    assert wire.service.running_requests() == ([], 0)


def test_nothing_is_kept_of_a_request_that_is_over(make_wire: MakeWire) -> None:
    wire = make_wire(hello)
    wire.feed(GET)
    assert wire.service.starting is None
    wire.service.app = Gate()
    wire.feed(GET)
    assert wire.service.starting is None


# While the loop is blocked


class Blocking:
    """An application that blocks its thread, in the way that its path names, until it is let go."""

    def __init__(self) -> None:
        self.entered, self.left = threading.Event(), threading.Event()
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        how = scope["path"]
        if how == "/later":
            await self.gate.wait()
        if how == "/after":
            await hello(scope, receive, send)
        self.entered.set()
        assert self.left.wait(PATIENCE_SECONDS)
        if how != "/after":
            await start(send)
            await body(send, b"hello")


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def asked_while_blocked(thread: ThreadPoolExecutor, wire: Wire, app: Blocking | Immediate, octets: bytes) -> Found:
    """What another thread is told while *octets* make *app* block this one."""

    def ask() -> Found:
        try:
            assert app.entered.wait(PATIENCE_SECONDS)
            return wire.service.running_requests()
        finally:
            app.left.set()

    answer = thread.submit(ask)
    wire.feed(octets)
    return answer.result(PATIENCE_SECONDS)


@pytest.mark.parametrize("how", ["/first", "/after"])
def test_another_thread_is_told_what_blocks_the_loop_in_its_first_step(
    make_wire: MakeWire, thread: ThreadPoolExecutor, how: str
) -> None:
    app = Blocking()
    wire = make_wire(app)
    found = asked_while_blocked(thread, wire, app, get(how))
    assert found == ([RunningRequest("GET", how, 0.0)], 0)
    assert wire.take() == HELLO
    assert wire.service.running_requests() == ([], 0)


def test_another_thread_is_told_what_blocks_the_loop_later(make_wire: MakeWire, thread: ThreadPoolExecutor) -> None:
    app = Blocking()
    wire = make_wire(app)
    wire.feed(get("/later"))
    assert wire.service.running_requests() == ([RunningRequest("GET", "/later", 0.0)], 0)
    app.gate.set()
    assert asked_while_blocked(thread, wire, app, b"") == ([RunningRequest("GET", "/later", 0.0)], 0)
    assert wire.take() == HELLO


def test_another_thread_is_told_what_blocks_the_loop_before_the_application_is_called(
    make_wire: MakeWire, thread: ThreadPoolExecutor
) -> None:
    app = Immediate()
    app.left.clear()
    wire = make_wire(app)
    assert asked_while_blocked(thread, wire, app, get("/file")) == ([RunningRequest("GET", "/file", 0.0)], 0)
    assert wire.service.running_requests() == ([], 0)


def test_a_request_that_is_looked_at_on_its_way_is_told_once(make_wire: MakeWire) -> None:
    gate = Gate()
    wire = make_wire(gate)
    wire.feed(GET)
    (exchange,) = wire.service.running
    # As another thread may find it: noted as running, and not yet as started; or over, and not yet forgotten.
    wire.service.starting = exchange
    assert wire.service.running_requests() == ([RunningRequest("GET", "/", 0.0)], 0)
    gate.open()
    wire.turn()
    assert wire.service.starting is exchange
    assert wire.service.running_requests() == ([], 0)


class Changing(set[Exchange]):
    """A set that another thread changes the first *times* that it is copied."""

    def __init__(self, exchanges: set[Exchange], times: int) -> None:
        super().__init__(exchanges)
        self.times = times

    def copy(self) -> set[Exchange]:
        self.times -= 1
        if self.times >= 0:
            raise RuntimeError("Set changed size during iteration")
        return super().copy()


def changing(make_wire: MakeWire, times: int) -> Wire:
    wire = make_wire(Gate())
    wire.feed(GET)
    wire.service.running = Changing(wire.service.running, times)
    return wire


def test_a_set_that_changes_is_copied_once_more(make_wire: MakeWire) -> None:
    wire = changing(make_wire, 9)
    assert wire.service.running_requests() == ([RunningRequest("GET", "/", 0.0)], 0)


def test_a_set_that_never_stands_still_is_an_error(make_wire: MakeWire) -> None:
    wire = changing(make_wire, 10)
    with pytest.raises(RuntimeError, match=r"^the running requests changed each of the 10 times they were looked at$"):
        wire.service.running_requests()
