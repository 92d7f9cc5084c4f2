"""The outgoing half of a connection: responses in, octets out, no faster than the client takes them.

Knows the transport and HTTP/1.1's framing. Does not know how requests come in (connections.connection) nor what an
application is (asgi.exchange, which calls what is here through its ResponseWriter).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from math import inf

from ...asgi.exchange import Exchange
from ...errors import ApplicationError
from ...http1.response import (
    CONTINUE,
    STATUS_LINES,
    BodyWriter,
    NoBodyWriter,
    ResponseFields,
    UntilCloseWriter,
    choose_framing,
    encode_fields,
    encode_informational,
    frame_whole,
    status_line,
    without_content,
)
from ..service import ReadyAnswer, Service
from .flow import Flow
from .sendfile import send_file, unacknowledged

__all__ = ["WritingHalf"]

# 64 KiB: how much is joined before it is sent; a transport's own high-water mark.
_JOIN_OCTETS = 64 * 1024
# 512 KiB: how much one response may send before other connections have their turn, as much as of a file.
_TURN_OCTETS = 512 * 1024
# 1 KiB: what each piece counts beside its octets, because a thousand small ones take their time, too.
_PIECE_OCTETS = 1024
# 4 KiB: content up to that is copied to stand behind its head, which costs less than to write two pieces at once.
_COPY_OCTETS = 4 * 1024


class WritingHalf(Flow):
    """What an exchange writes to; HttpConnection is the rest of it."""

    __slots__ = (
        "_body",
        "_pending",
        "_pending_octets",
        "_socket_wait",
        "_turn_octets",
        "_waits_for_turn",
        "closing_announced",
        "corked",
        "more_to_come",
        "persists",
    )

    _body: BodyWriter  # how the running response is framed; set by start_response

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        #: Whether the running response says that the connection closes after it.
        self.closing_announced = False
        #: Whether it is certain that the connection may take another request; else may_reuse() decides.
        self.persists = False
        # Octets to be joined, and how many they are.
        self._pending: list[bytes] = []
        self._pending_octets = 0
        # Octets given to the transport since the loop last had its turn.
        self._turn_octets = 0
        # Whether senders wait for no more than that turn; uncork() lets them go on.
        self._waits_for_turn = False
        #: Whether somebody is going to call uncork().
        self.corked = False
        #: Whether other requests wait that have come with this one, whose responses may be joined with its own.
        self.more_to_come = False
        # What a file that is being sent waits on; resolved by the end of the connection.
        self._socket_wait: asyncio.Future[None] | None = None

    def may_reuse(self, exchange: Exchange) -> bool:
        """Whether the connection may take another request after this response."""
        raise NotImplementedError

    def finished(self, exchange: Exchange) -> None:
        """Learn that the response has been written; the next request may have its turn."""
        raise NotImplementedError

    def sends_nothing(self, exchange: Exchange) -> None:
        """Learn that the client has all of a response without content, and that its application goes on."""
        raise NotImplementedError

    # Octets

    def write(self, data: bytes) -> None:
        """Send *data*, together with what else is written before the loop has its turn.

        Each write to the transport is a call of the kernel: a hundred small chunks sent one by one cost five times as
        much as joined, and so do the answers to pipelined requests.
        """
        pending = self._pending
        if not pending and not self.corked:
            self.corked = True
            self.loop.call_soon(self.uncork)
        pending.append(data)
        self._pending_octets += len(data)
        if self._pending_octets >= _JOIN_OCTETS:
            self._turn_octets += self._pending_octets + len(pending) * _PIECE_OCTETS
            self.flush()
            # A transport that has failed takes everything, and it is the loop that tells of its loss.
            if self._turn_octets >= _TURN_OCTETS or self.transport.is_closing():
                self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        """Make senders wait until the loop has had its turn: a client may be as fast as its application, or gone."""
        if not self.write_paused:
            self.write_paused = self._waits_for_turn = True
            if not self.corked:
                self.corked = True
                self.loop.call_soon(self.uncork)

    def pause_writing(self) -> None:
        self._waits_for_turn = False  # but for the client
        super().pause_writing()

    def flush(self) -> None:
        """Give the transport what has been written."""
        pending = self._pending
        if pending:
            data = pending[0] if len(pending) == 1 else b"".join(pending)
            self._pending = []
            self._pending_octets = 0
            self.transport.write(data)

    def uncork(self) -> None:
        """Stop joining what is written."""
        self.corked = False
        self._turn_octets = 0
        self.flush()
        if self._waits_for_turn:
            self._waits_for_turn = False
            self.resume_writing()

    # Responses

    def respond(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        known = encode_fields(fields)
        if status == 205 or (status == 204 and known.length is not None):
            known = encode_fields(without_content(status, fields))
        self._send_whole(exchange, status, known, body)

    def respond_at_once(self, exchange: Exchange, answer: ReadyAnswer) -> None:
        """Send a whole response that was ready when it was asked for; its fields are encoded the first time only."""
        known = answer.encoded
        if not isinstance(known, ResponseFields):
            known = answer.encoded = encode_fields(answer.fields)
        self._send_whole(exchange, answer.status, known, answer.content)

    def _send_whole(self, exchange: Exchange, status: int, known: ResponseFields, body: bytes) -> None:
        head = exchange.head
        framing, content = frame_whole(head, status, known, body)
        pieces = [
            STATUS_LINES.get(status) or status_line(status),
            self.service.defaults if known.plain else self.service.defaults_beside(known),
            known.encoded,
            framing,
            head.keep_alive if self.persists and not known.close else self._persistence(exchange, known),
            b"\r\n",
        ]
        exchange.status = status
        exchange.octets = len(content)
        exchange.complete()
        # One write for head and content: two would be two packets, and two calls of the kernel.
        joins = self._pending or self.more_to_come
        if len(content) > _COPY_OCTETS and not joins:
            self.transport.writelines((b"".join(pieces), content))
        else:
            pieces.append(content)
            octets = b"".join(pieces)
            if joins:
                self.write(octets)
            else:
                self.transport.write(octets)
        self.finished(exchange)

    def start_response(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        known = encode_fields(fields)
        if status == 205 or (status == 204 and known.length is not None):
            known = encode_fields(without_content(status, fields))
        first = status_line(status)
        self._body, framing = choose_framing(exchange.head, status, known, None)
        close = isinstance(self._body, UntilCloseWriter)
        persistence = self._persistence(exchange, known, close)
        defaults = self.service.defaults if known.plain else self.service.defaults_beside(known)
        self.write(b"".join((first, defaults, known.encoded, framing, persistence, b"\r\n")))
        exchange.status = status

    def _persistence(self, exchange: Exchange, fields: ResponseFields, close: bool = False) -> bytes:
        """The Connection field of a response, which must announce a close (RFC 9112 §9.6)."""
        if close or fields.close or not self.may_reuse(exchange):
            self.closing_announced = True
            return b"connection: close\r\n"
        return exchange.head.keep_alive

    def write_body(self, exchange: Exchange, data: bytes, more: bool) -> None:
        octets = self._body.write(data, more)
        if octets:
            self.write(octets)
            exchange.octets += len(data)
        elif more:
            if isinstance(self._body, NoBodyWriter):
                self.sends_nothing(exchange)
            self._wait_for_turn()  # nothing is sent that could make it wait

    async def write_file(self, exchange: Exchange, file: int, offset: int, count: int) -> None:
        if not count or isinstance(self._body, NoBodyWriter):
            return
        announcement = self._body.announce(count)
        if announcement:
            self.write(announcement)
        # What is pending leaves with the file, in one packet if it can.
        pending, self._pending, self._pending_octets = self._pending, [], 0
        await send_file(self, b"".join(pending), file, offset, count)
        exchange.octets += count
        if self._body.after:
            self.write(self._body.after)

    def write_trailers(self, exchange: Exchange, fields: list[tuple[bytes, bytes]]) -> None:
        end = self._body.write(b"", False)
        if end and exchange.head.section.takes_trailers:
            # Only a chunked end is not empty: the last chunk stays, its empty trailer section is replaced.
            end = b"0\r\n" + encode_fields(fields).encoded + b"\r\n"
        if end:
            self.write(end)

    def informational(self, exchange: Exchange, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.write(encode_informational(status, fields))

    def write_continue(self) -> None:
        """Tell the client to send its content (RFC 9110 §10.1.1)."""
        self.write(CONTINUE)

    def await_socket(self) -> asyncio.Future[None]:
        if self._socket_wait is not None:
            raise ApplicationError("a file sent, expected none while another is being sent")
        self._socket_wait = self.loop.create_future()
        return self._socket_wait

    def socket_took(self) -> None:
        self._mark = unacknowledged(self.transport)
        self.write_deadline = self.service.now + self.service.config.timeout_write

    def socket_ready(self) -> None:
        self._socket_wait = None
        self.write_deadline = inf

    def release_writers(self) -> None:
        """Let go of everybody who waits to write, because the connection is lost."""
        self._pending = []
        self.resume_writing()
        waiter = self._socket_wait
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def unsent(self) -> int:
        # A socket takes no more of a file before a third of its buffer is free, for which a client may need minutes.
        return super().unsent() if self._socket_wait is None else unacknowledged(self.transport)
