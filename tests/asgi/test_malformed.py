"""Messages that are none: each is an ApplicationError, and its request is answered, over the real framing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from miniasgi.errors import ApplicationError
from miniasgi.types import Receive, Scope, Send
from tests.asgi.conftest import Records
from tests.support import Wire

GET = b"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nSec-Fetch-Mode: navigate\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": []}
SIZED = {**START, "headers": [(b"content-length", b"10")]}
BODY = {"type": "http.response.body", "body": b"end"}
MORE = {"type": "http.response.body", "body": b"piece", "more_body": True}
TRAILERS = {"type": "http.response.trailers"}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    loop.close()
    asyncio.set_event_loop(None)


class Sender:
    """An application that sends *messages*, and keeps what the last one raised."""

    def __init__(self, *messages: Any) -> None:
        self.messages = messages
        self.raised: BaseException | None = None
        self.caught = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self.messages:
            try:
                await send(message)
            except BaseException as error:
                self.raised = error
                raise


NO_MESSAGES: dict[str, Any] = {
    "None": None,
    "str": "http.response.start",
    "bytes": b"http.response.start",
    "list": ["http.response.start"],
    "tuple": (1, 2),
    "int": 7,
    "empty": {},
    "without type": {"status": 200},
    "unknown type": {"type": "http.response.finish"},
    "type None": {"type": None},
    "type bytes": {"type": b"http.response.start"},
    "type list": {"type": []},
}

STARTS: dict[str, Any] = {
    "status missing": {"type": "http.response.start"},
    "status None": {**START, "status": None},
    "status str": {**START, "status": "200"},
    "status bool": {**START, "status": True},
    "status 0": {**START, "status": 0},
    "status 100": {**START, "status": 100},
    "status 1000": {**START, "status": 1000},
    "status negative": {**START, "status": -200},
    "status with fraction": {**START, "status": 200.5},
    "headers None": {**START, "headers": None},
    "headers int": {**START, "headers": 5},
    "headers str": {**START, "headers": "a: b"},
    "headers dict": {**START, "headers": {"a": "b"}},
    "headers of str": {**START, "headers": [("a", "b")]},
    "value str": {**START, "headers": [(b"a", "b")]},
    "name str": {**START, "headers": [("a", b"b")]},
    "value None": {**START, "headers": [(b"a", None)]},
    "value int": {**START, "headers": [(b"content-length", 3)]},
    "length str": {**START, "headers": [("content-length", "3")]},
    "one part": {**START, "headers": [(b"a",)]},
    "three parts": {**START, "headers": [(b"a", b"b", b"c")]},
    "no pair": {**START, "headers": [None]},
    "name empty": {**START, "headers": [(b"", b"b")]},
    "name with colon": {**START, "headers": [(b"a:", b"b")]},
    "name with line end": {**START, "headers": [(b"a\r\nb", b"c")]},
    "value with line end": {**START, "headers": [(b"a", b"b\r\nset-cookie: c")]},
    "value with LF": {**START, "headers": [(b"a", b"b\nc")]},
    "value with NUL": {**START, "headers": [(b"a", b"b\0")]},
    "length no number": {**START, "headers": [(b"content-length", b"3x")]},
    "length negative": {**START, "headers": [(b"content-length", b"-1")]},
    "length endless": {**START, "headers": [(b"content-length", b"1" * 5000)]},
    "two lengths": {**START, "headers": [(b"content-length", b"3"), (b"content-length", b"3")]},
}

BODIES: dict[str, Any] = {
    "None": None,
    "str": "text",
    "empty str": "",
    "int": 5,
    "list of bytes": [b"text"],
    "list of int": [1, 2],
    "dict": {},
    "False": False,
}

LINKS: dict[str, Any] = {"None": None, "int": 1, "of str": ["</a>"], "str": "</a>", "line end": [b"</a>\r\nx: y"]}

TRAILER_FIELDS: dict[str, Any] = {
    "None": None,
    "int": 1,
    "of str": [("a", "b")],
    "value None": [(b"a", None)],
    "no pair": [b"a"],
    "line end": [(b"a", b"b\r\n\r\nHTTP/1.1 200 OK")],
}


def check(loop: asyncio.AbstractEventLoop, logged: Records, app: Sender, *, started: bool) -> None:
    """Let *app* answer: a clean 500 on a connection that lives on, or a cut; and always an ApplicationError, logged."""
    wire = Wire(loop, app)
    sent = wire.exchange(GET)
    assert isinstance(app.raised, ApplicationError), repr(app.raised)
    assert not isinstance(app.raised, OSError)
    assert len(logged.errors) == 1
    assert "ApplicationError" in logged.errors[0]
    if started:
        assert wire.transport.is_closing()
        assert sent.startswith(b"HTTP/1.1 200 OK\r\n")
        assert not sent.endswith(b"\r\n0\r\n\r\n")  # no last chunk
        assert sent.count(b"HTTP/1.1") == 1
    else:
        body = b"Internal Server Error\n"
        assert sent == (
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert wire.exchange(GET) == sent
    assert wire.service.running == set()


BEFORE: dict[str, tuple[Any, ...]] = {
    "UNSTARTED": (),
    "HELD": (START,),
    "STREAMING": (START, MORE),
    "STREAMING, sized": (SIZED, MORE),
    "TRAILERS": ({**START, "trailers": True}, BODY),
}


@pytest.mark.parametrize("what", NO_MESSAGES)
@pytest.mark.parametrize("state", BEFORE)
def test_what_is_no_message_is_refused(state: str, what: str, loop: asyncio.AbstractEventLoop, logged: Records) -> None:
    check(loop, logged, Sender(*BEFORE[state], NO_MESSAGES[what]), started=state[0] in "ST")


@pytest.mark.parametrize("then", [BODY, MORE], ids=["whole", "streamed"])
@pytest.mark.parametrize("what", STARTS)
def test_a_malformed_start_is_a_clean_500(
    what: str, then: Any, loop: asyncio.AbstractEventLoop, logged: Records
) -> None:
    check(loop, logged, Sender(STARTS[what], then), started=False)


@pytest.mark.parametrize("what", BODIES)
@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("state", ["HELD", "STREAMING", "STREAMING, sized"])
def test_a_body_that_is_not_bytes_is_refused(
    state: str, more: bool, what: str, loop: asyncio.AbstractEventLoop, logged: Records
) -> None:
    message = {"type": "http.response.body", "body": BODIES[what], "more_body": more}
    check(loop, logged, Sender(*BEFORE[state], message), started=state != "HELD")


@pytest.mark.parametrize("what", LINKS)
def test_malformed_links_are_refused(what: str, loop: asyncio.AbstractEventLoop, logged: Records) -> None:
    message = {"type": "http.response.early_hint", "links": LINKS[what]}
    check(loop, logged, Sender(message), started=False)


@pytest.mark.parametrize("what", TRAILER_FIELDS)
def test_malformed_trailers_are_refused(what: str, loop: asyncio.AbstractEventLoop, logged: Records) -> None:
    message = {**TRAILERS, "headers": TRAILER_FIELDS[what]}
    check(loop, logged, Sender(*BEFORE["TRAILERS"], message), started=True)


@pytest.mark.parametrize(
    ("messages", "found", "started"),
    [
        ((SIZED, BODY), "7 octets fewer", False),
        ((SIZED, {**BODY, "body": b"x" * 12}), "2 octets more", False),
        ((SIZED, MORE, BODY), "2 octets fewer", True),
        ((SIZED, MORE, MORE, MORE), "5 octets more", True),
        ((SIZED, MORE, {**BODY, "body": b"x" * 6}), "1 octets more", True),
        ((SIZED, {**BODY, "body": b"x" * 300_000}), "octets more", True),
        (({**SIZED, "trailers": True}, MORE, BODY, TRAILERS), "2 octets fewer", True),
    ],
)
def test_content_that_is_not_as_long_as_declared_is_refused(
    messages: tuple[Any, ...], found: str, started: bool, loop: asyncio.AbstractEventLoop, logged: Records
) -> None:
    app = Sender(*messages)
    check(loop, logged, app, started=started)
    assert found in str(app.raised)


def test_headers_that_can_be_read_once_only_are_all_sent(loop: asyncio.AbstractEventLoop) -> None:
    def headers() -> Iterator[list[bytes]]:
        yield [b"content-length", b"3"]
        yield [b"x-a", b"1"]

    class Answers:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            status = int(scope["path"][1:])
            await send({"type": "http.response.start", "status": status, "headers": headers()})
            await send({"type": "http.response.body", "body": b"abc" if status == 200 else b""})

    wire = Wire(loop, Answers())
    assert (
        wire.exchange(GET.replace(b"/ ", b"/200 ", 1)) == b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx-a: 1\r\n\r\nabc"
    )
    assert wire.exchange(GET.replace(b"/ ", b"/204 ", 1)) == b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n"


@pytest.mark.parametrize("what", {**NO_MESSAGES, **STARTS})
def test_an_application_that_goes_on_after_its_mistake_may_still_answer(
    what: str, loop: asyncio.AbstractEventLoop
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({**NO_MESSAGES, **STARTS}[what])
            await send(BODY)
        except ApplicationError as error:
            message = str(error).encode()
        try:
            await send(START)
        except ApplicationError:  # the mistake shows with the body only, and the start counts
            raise
        await send({**BODY, "body": message[:3]})

    sent = Wire(loop, app).exchange(GET)
    assert re.match(rb"HTTP/1.1 (200 OK|500 Internal Server Error)\r\n", sent)
