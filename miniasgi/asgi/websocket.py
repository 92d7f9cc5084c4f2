"""One WebSocket and its application: what may be received and sent, and in which order (ASGI WebSocket 2.5).

Knows ASGI's messages. Does not know frames: it calls a SessionWriter, which the connection gives it when the handshake
is answered. Until then it is an exchange like others, and a refusal is an HTTP response like others.

    CONNECTING --websocket.accept--> OPEN --websocket.close, or the client's--> CLOSED
        `--websocket.close, websocket.http.response.start--> DENIED
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from ..errors import ApplicationError, ClientDisconnected
from ..http1.head import RequestHead
from ..types import App, Field, Message, Scope
from .exchange import COMPLETE, HELD, PLAIN_TEXT, Exchange
from .messages import listed, untyped
from .writer import ResponseWriter

__all__ = ["SessionWriter", "WebSocketExchange", "WebSocketStarter"]

logger = logging.getLogger("miniasgi.server")

CONNECTING, DENIED, OPEN, CLOSED = range(4)

_NORMAL, _ABNORMAL, _FAILED = 1000, 1006, 1011


class SessionWriter(Protocol):
    """What a session needs of its connection, once it is open."""

    #: Whether the client is slower than the application; drain() waits until it is not.
    write_paused: bool

    async def drain(self) -> None: ...

    def send_message(self, data: str | bytes) -> None:
        """Send a message."""

    def send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake. Raises ApplicationError: no such code, or too long a reason."""

    def want_messages(self) -> None:
        """Learn that the application has taken a message, so that there is room for another one."""


class WebSocketStarter(ResponseWriter, Protocol):
    """What it needs of its connection until then."""

    def accept_websocket(
        self, exchange: WebSocketExchange, subprotocol: str | None, fields: Sequence[Field]
    ) -> SessionWriter:
        """Answer the handshake. Raises ApplicationError for what cannot be answered so."""


class WebSocketExchange(Exchange):
    """One WebSocket, from its handshake to its end.

    Attributes:
        received, sent: how many messages, for the access line.
        waiting_octets: of messages that the application has not taken.
    """

    def __init__(self, source: WebSocketStarter, head: RequestHead) -> None:
        super().__init__(source, head)
        self.content_complete = True
        self.received = self.sent = 0
        self._starter = source
        self._writer: SessionWriter  # set by websocket.accept
        self._session = CONNECTING
        self._connected = False
        self._messages: deque[str | bytes] = deque()
        # What the disconnect says: how the session has ended.
        self._code = _ABNORMAL
        self._reason = ""

    @property
    def waiting(self) -> int:
        """How many messages the application has not taken."""
        return len(self._messages)

    # The application's side

    async def run(self, app: App, scope: Scope) -> None:
        try:
            await super().run(app, scope)
        finally:
            # An application that is done with its session has said all that it wanted.
            self.close(_NORMAL)

    async def receive(self) -> Message:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while not self._messages:
            if self.disconnected:
                # A session that is over is nothing to give up any more.
                self.knows_disconnect = self._session <= DENIED
                return {"type": "websocket.disconnect", "code": self._code, "reason": self._reason}
            arrival = self.source.loop.create_future()
            self._arrivals += (arrival,)
            try:
                await arrival
            finally:
                if self._arrivals:  # this one is among them if it was cancelled
                    self._arrivals = tuple(other for other in self._arrivals if other is not arrival)
        data = self._messages.popleft()
        if not self.disconnected:
            self.waiting_octets -= len(data)
            self._writer.want_messages()
        if isinstance(data, str):
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    async def send(self, message: Message) -> None:
        """Take a message of the application.

        Raises:
            ClientDisconnected: (an OSError) the session has ended.
            ApplicationError: the message is not one that may come now.
        """
        try:
            kind = message["type"]
        except (KeyError, TypeError):
            raise untyped(message) from None
        session = self._session
        if session == OPEN:
            if kind == "websocket.send":
                try:
                    self._writer.send_message(_content(message))
                except UnicodeEncodeError as error:
                    raise ApplicationError(f"'text' of websocket.send cannot be sent as UTF-8: {error}") from None
                self.sent += 1
                if self._writer.write_paused:
                    await self._writer.drain()
                return
            if kind == "websocket.close":
                self._writer.send_close(*_close(message))
                # It is not the client who has left: if the application fails now, that is worth its traceback.
                self.gone = False
                return
        elif session == CONNECTING and not self.gone:
            if kind == "websocket.accept":
                self._accept(message)
                return
            if kind == "websocket.close":
                _close(message)  # which only an open session could tell the client
                self._session = DENIED
                self.source.respond(self, 403, PLAIN_TEXT, b"Forbidden\n")
                return
            if kind == "websocket.http.response.start":
                await super().send({**message, "type": "http.response.start"})
                self._session = DENIED
                return
        elif session == DENIED and kind == "websocket.http.response.body" and self._state != COMPLETE:
            await super().send({**message, "type": "http.response.body"})
            return
        self._refuse(kind)

    def _accept(self, message: Message) -> None:
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and not isinstance(subprotocol, str):
            raise ApplicationError(f"'subprotocol' of websocket.accept is {subprotocol!r:.80}, expected a str")
        self._writer = self._starter.accept_websocket(self, subprotocol, listed(message, "headers"))
        # What follows is none of the exchange's business: to it, the request has been answered.
        self._state = COMPLETE
        self._session = OPEN

    def _refuse(self, kind: object) -> None:
        """Raise what is wrong with a message that has no place here."""
        ended = self._session == CLOSED or (self.gone and self._session == CONNECTING)
        if ended and kind == "websocket.close":
            return  # which is what the application wanted
        if ended and kind in ("websocket.send", "websocket.accept"):
            raise ClientDisconnected("the WebSocket has been closed")
        answered = self._session == DENIED and self._state == COMPLETE
        expected = "nothing more: the response is complete" if answered else _EXPECTED[self._session]
        raise ApplicationError(f"{kind!r} sent, expected {expected}")

    # The connection's side

    def add_message(self, data: str | bytes) -> None:
        """Take a message for the application."""
        self.received += 1
        self._messages.append(data)
        self.waiting_octets += len(data)
        if self._arrivals:
            self._wake()

    def end_session(self, code: int, reason: str) -> None:
        """Learn how the session has ended: after the messages that have come, the application is told."""
        if self._session != CLOSED:
            self._session = CLOSED
            self._code, self._reason = code, reason
            self.hang_up()

    def hang_up(self) -> None:
        if self._session == OPEN:
            self._session = CLOSED
        super().hang_up()

    def close(self, code: int) -> None:
        """Close the session if it is open, for a reason that is not the application's."""
        if self._session == OPEN:
            self._writer.send_close(code, "")

    def _fail(self) -> None:
        if self._session <= DENIED:
            super()._fail()
        else:
            self.close(_FAILED)

    def _is_unfinished(self) -> bool:
        return self._session == OPEN or super()._is_unfinished()

    def _when(self) -> str:
        if self._session > DENIED:
            return " in an open WebSocket" if self._session == OPEN else " after its WebSocket was closed"
        if self._state <= HELD:
            return f" without an answer to the handshake, expected {_EXPECTED[self._session]}"
        if self._state < COMPLETE:
            return f" before its response was complete, expected {_EXPECTED[DENIED]}"
        return super()._when()


def _content(message: Message) -> str | bytes:
    """What a websocket.send has to say: the one of its two keys that is there and not None."""
    data = message.get("bytes")
    text = message.get("text")
    if (data is None) == (text is None):
        raise ApplicationError(f"'websocket.send' with {'neither' if data is None else 'both'} of 'bytes' and 'text'")
    if text is not None:
        if not isinstance(text, str):
            raise ApplicationError(f"'text' is {text!r:.80}, expected a str")
        return text
    if data.__class__ is not bytes:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise ApplicationError(f"'bytes' is {data!r:.80}, expected bytes")
        data = bytes(data)
    return data


def _close(message: Message) -> tuple[int, str]:
    code = message.get("code")
    reason = message.get("reason")
    code = _NORMAL if code is None else code
    reason = "" if reason is None else reason
    if not isinstance(code, int) or not isinstance(reason, str):
        raise ApplicationError(f"websocket.close with {code!r:.40} and {reason!r:.80}, expected an int and a str")
    return code, reason


_EXPECTED: dict[int, str] = {
    CONNECTING: "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
    DENIED: "'websocket.http.response.body'",
    OPEN: "'websocket.send' or 'websocket.close'",
    CLOSED: "nothing more: the WebSocket has been closed",
}
