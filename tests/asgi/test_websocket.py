"""What an application may send over a WebSocket, and when, and what is said of what it may not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from miniasgi.asgi.websocket import WebSocketExchange
from miniasgi.errors import ApplicationError, ClientDisconnected
from miniasgi.types import Field, Message
from tests.asgi.writer import RecordingWriter, head

ACCEPT: Message = {"type": "websocket.accept"}
TEXT: Message = {"type": "websocket.send", "text": "hello"}
CLOSE: Message = {"type": "websocket.close"}
START: Message = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"a", b"b")]}
BODY: Message = {"type": "websocket.http.response.body", "body": b"end"}
MORE: Message = {"type": "websocket.http.response.body", "body": b"piece", "more_body": True}
HTTP_START: Message = {"type": "http.response.start", "status": 200}
HTTP_BODY: Message = {"type": "http.response.body"}
PLAIN = [(b"content-type", b"text/plain; charset=utf-8")]


class Starter(RecordingWriter):
    """A WebSocketStarter, and the SessionWriter that it gives; closes as a connection does."""

    refusal: Exception | None = None

    def accept_websocket(
        self, exchange: WebSocketExchange, subprotocol: str | None, fields: Sequence[Field]
    ) -> Starter:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(("accept", subprotocol, list(fields)))
        self.exchange = exchange
        return self

    def send_message(self, data: str | bytes) -> None:
        self.calls.append(("message", data))

    def send_close(self, code: int, reason: str) -> None:
        if code == 999:
            raise ApplicationError("no such code")
        self.calls.append(("close", code, reason))
        self.exchange.end_session(code, reason)

    def want_messages(self) -> None:
        self.calls.append(("want",))


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test, 10)

    asyncio.run(bounded())


def make() -> tuple[Starter, WebSocketExchange]:
    starter = Starter()
    return starter, WebSocketExchange(starter, head())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def after(*messages: Message) -> Callable[[WebSocketExchange], Awaitable[None]]:
    async def reach(exchange: WebSocketExchange) -> None:
        for message in messages:
            await exchange.send(message)

    return reach


async def closed_by_client(exchange: WebSocketExchange) -> None:
    await exchange.send(ACCEPT)
    exchange.end_session(1001, "bye")


async def gone_before(exchange: WebSocketExchange) -> None:
    exchange.hang_up()


# Order: each state, each kind of message

STATES: dict[str, Callable[[WebSocketExchange], Awaitable[None]]] = {
    "CONNECTING": after(),
    "OPEN": after(ACCEPT),
    "DENIED": after(CLOSE),
    "DENIED, not begun": after(START),
    "DENIED, in between": after(START, MORE),
    "DENIED, complete": after(START, BODY),
    "CLOSED": after(ACCEPT, CLOSE),
    "CLOSED by the client": closed_by_client,
    "gone": gone_before,
}
MESSAGES = (ACCEPT, TEXT, CLOSE, START, BODY, HTTP_START, HTTP_BODY)
ALLOWED = {
    "CONNECTING": (ACCEPT, CLOSE, START),
    "OPEN": (TEXT, CLOSE),
    "DENIED, not begun": (BODY,),
    "DENIED, in between": (BODY,),
}
ENDED = ("CLOSED", "CLOSED by the client", "gone")
EXPECTED = {
    "CONNECTING": "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
    "OPEN": "'websocket.send' or 'websocket.close'",
    "DENIED": "nothing more: the response is complete",
    "DENIED, not begun": "'websocket.http.response.body'",
    "DENIED, in between": "'websocket.http.response.body'",
    "DENIED, complete": "nothing more: the response is complete",
    "CLOSED": "nothing more: the WebSocket has been closed",
    "gone": "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["type"])
@pytest.mark.parametrize("state", STATES)
def test_each_state_takes_what_may_come_and_says_what_else_it_expected(state: str, message: Message) -> None:
    async def test() -> None:
        starter, exchange = make()
        await STATES[state](exchange)
        count = len(starter.calls)
        kind = message["type"]
        if message in ALLOWED.get(state, ()):
            await exchange.send(message)
            assert len(starter.calls) > count or message is START  # whose head waits for its content
            return
        if state in ENDED and message is CLOSE:
            await exchange.send(message)
        elif state in ENDED and message in (ACCEPT, TEXT):
            with pytest.raises(ClientDisconnected) as gone:
                await exchange.send(message)
            assert isinstance(gone.value, OSError)
        else:
            with pytest.raises(ApplicationError) as caught:
                await exchange.send(message)
            expected = EXPECTED.get(state) or EXPECTED[state.partition(" ")[0]]
            assert str(caught.value) == f"{kind!r} sent, expected {expected}"
        assert len(starter.calls) == count

    run(test())


@pytest.mark.parametrize("message", [{}, {"text": "x"}, None, "websocket.accept", []])
def test_a_message_has_a_type(message: Any) -> None:
    async def test() -> None:
        with pytest.raises(ApplicationError) as caught:
            await make()[1].send(message)
        assert str(caught.value) == f"{message!r} sent, expected a dict with a 'type'"

    run(test())


# Sending


def test_what_is_sent_is_sent_as_it_is() -> None:
    async def test() -> None:
        starter, exchange = make()
        await exchange.send({**ACCEPT, "subprotocol": "chat", "headers": ((b"a", b"b"),)})
        await exchange.send({"type": "websocket.send", "text": "", "bytes": None})
        await exchange.send({"type": "websocket.send", "bytes": b""})
        mutable = bytearray(b"ab")
        await exchange.send({"type": "websocket.send", "bytes": mutable, "text": None})
        mutable[0] = 0
        await exchange.send({"type": "websocket.send", "bytes": memoryview(b"cd")})
        assert exchange.sent == 4
        await exchange.send({**CLOSE, "code": 3000, "reason": "bye"})
        assert starter.calls == [
            ("accept", "chat", [(b"a", b"b")]),
            *[("message", data) for data in ("", b"", b"ab", b"cd")],
            ("close", 3000, "bye"),
        ]
        assert all(type(call[1]) is bytes for call in starter.calls[2:5])

    run(test())


@pytest.mark.parametrize(
    ("before", "message", "said"),
    [
        ((), {**ACCEPT, "subprotocol": b"chat"}, "'subprotocol' of websocket.accept is b'chat', expected a str"),
        ((), {**ACCEPT, "headers": 5}, "'headers' of 'websocket.accept' is 5, expected a list"),
        ((), {**CLOSE, "code": "x"}, "websocket.close with 'x' and '', expected an int and a str"),
        ((), {"type": START["type"]}, "'http.response.start' without 'status', expected one"),
        ((ACCEPT,), {"type": "websocket.send"}, "'websocket.send' with neither of 'bytes' and 'text'"),
        ((ACCEPT,), {**TEXT, "bytes": b""}, "'websocket.send' with both of 'bytes' and 'text'"),
        ((ACCEPT,), {**TEXT, "text": b"hello"}, "'text' is b'hello', expected a str"),
        ((ACCEPT,), {"type": "websocket.send", "bytes": "hello"}, "'bytes' is 'hello', expected bytes"),
        ((ACCEPT,), {"type": "websocket.send", "bytes": 5}, "'bytes' is 5, expected bytes"),
        ((ACCEPT,), {**CLOSE, "code": 1000.0}, "websocket.close with 1000.0 and '', expected an int and a str"),
        ((ACCEPT,), {**CLOSE, "reason": b"x"}, "websocket.close with 1000 and b'x', expected an int and a str"),
        ((ACCEPT,), {**CLOSE, "code": 999}, "no such code"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_a_message_says_is_checked_and_a_right_one_may_follow(
    before: tuple[Message, ...], message: Message, said: str
) -> None:
    async def test() -> None:
        starter, exchange = make()
        await after(*before)(exchange)
        count = len(starter.calls)
        with pytest.raises(ApplicationError) as caught:
            await exchange.send(message)
        assert str(caught.value) == said
        assert (exchange.sent, len(starter.calls)) == (0, count)
        await exchange.send(TEXT if before else ACCEPT)

    run(test())


def test_a_handshake_that_cannot_be_answered_may_be_answered_otherwise() -> None:
    async def test() -> None:
        starter, exchange = make()
        starter.refusal = ApplicationError("no such subprotocol")
        with pytest.raises(ApplicationError):
            await exchange.send(ACCEPT)
        assert not exchange.response_started
        await exchange.send(CLOSE)
        assert starter.calls[0] == ("respond", 403, PLAIN, b"Forbidden\n")

    run(test())


def test_a_sender_waits_while_the_client_is_slow() -> None:
    async def test() -> None:
        starter, exchange = make()
        await exchange.send(ACCEPT)
        starter.write_paused = True
        sending = asyncio.ensure_future(exchange.send(TEXT))
        await settle()
        assert not sending.done()
        assert starter.names == ["accept", "message", "drain"]
        starter.drains[0].set_result(None)
        await sending

    run(test())


# Denying


def test_a_denial_is_a_response_in_one_piece_or_streamed() -> None:
    async def test() -> None:
        starter, exchange = make()
        await after(START, BODY)(exchange)
        assert starter.calls == [("respond", 401, [(b"a", b"b")], b"end"), ("finished",)]
        starter, exchange = make()
        await after(START, MORE, MORE, BODY)(exchange)
        assert starter.calls == [
            ("start_response", 401, [(b"a", b"b")]),
            ("write_body", b"piece", True),
            ("write_body", b"piece", True),
            ("write_body", b"end", False),
            ("finished",),
        ]

    run(test())
