"""The request side of an exchange: content in, ``receive()`` out.

Knows futures and backpressure in octets. Does not know how content was framed.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from typing import Protocol

from ..types import Message

__all__ = ["HIGH_WATER", "ContentSource", "RequestSide"]

#: Octets that may wait for the application before the client is made to wait: asyncio's own mark for the other way.
HIGH_WATER = 64 * 1024


class ContentSource(Protocol):
    """Where content comes from; what the request side needs of a connection."""

    loop: AbstractEventLoop

    def want_content(self) -> None:
        """The application waits for what has not arrived, content or the client's end: let it come."""


class RequestSide:
    """What ``receive()`` gives, in order: the content, then the disconnect (ASGI HTTP 2.5, "Request").

    The class attributes are the state of a request without content, which has no more than these (0.1 µs less than
    as many assignments for each request; CPython 3.11, 2026-11).
    """

    #: Content that has arrived and not been taken. Replaced, not shared, when content comes.
    _pieces: tuple[bytes, ...] | list[bytes] = ()
    #: Octets in _pieces.
    waiting_octets = 0
    #: Whether all content has arrived; set by the connection.
    content_complete = False
    #: Whether the application has been given the last piece.
    _content_taken = False
    #: Whether receive() has nothing more to give than http.disconnect.
    disconnected = False
    #: Whether the application has been told so.
    knows_disconnect = False
    #: Done when something arrives: one for each receive() that waits, because a cancelled task cancels its own.
    _arrivals: tuple[Future[None], ...] = ()

    source: ContentSource  # set by the subclass

    async def receive(self) -> Message:
        """Wait for the next message, without polling."""
        while True:
            if not self._content_taken:
                if self._pieces or self.content_complete:
                    return self._take_content()
            if self.disconnected:
                self.knows_disconnect = True
                return {"type": "http.disconnect"}
            self.source.want_content()
            arrival = self.source.loop.create_future()
            self._arrivals += (arrival,)
            try:
                await arrival
            finally:
                if self._arrivals:  # this one is among them if it was cancelled
                    self._arrivals = tuple(other for other in self._arrivals if other is not arrival)

    def _take_content(self) -> Message:
        pieces = self._pieces
        body = b"" if not pieces else pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = ()
        self.waiting_octets = 0
        complete = self._content_taken = self.content_complete
        if not complete:
            self.source.want_content()
        return {"type": "http.request", "body": body, "more_body": not complete}

    def add_content(self, data: bytes) -> None:
        """Take a piece of content for the application."""
        if self._pieces:
            self._pieces.append(data)  # type: ignore[union-attr]  # a tuple here is empty
        else:
            self._pieces = [data]
        self.waiting_octets += len(data)
        self._wake()

    def end_content(self) -> None:
        """Learn that the content is complete."""
        self.content_complete = True
        self._wake()

    def disconnect(self) -> None:
        """Learn that nothing more comes from the client; content that has arrived is still given."""
        self.disconnected = True
        self._wake()

    def _wake(self) -> None:
        arrivals = self._arrivals
        if arrivals:
            self._arrivals = ()
            for arrival in arrivals:
                if not arrival.done():
                    arrival.set_result(None)
