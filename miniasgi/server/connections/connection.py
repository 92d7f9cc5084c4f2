"""The life of one HTTP/1.1 connection: reading requests, answering them in order, ending.

Knows asyncio's transport and its own deadlines. Does not know how octets are parsed (http1.parsers), how responses are
framed (connections.writing), how a connection is ended (connections.ending) nor what an application is (asgi.exchange).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf

from ...asgi.body import HIGH_WATER
from ...asgi.exchange import Exchange
from ...asgi.websocket import SessionWriter, WebSocketExchange
from ...errors import BadRequest, ContentTooLarge, RequestError
from ...http1.head import CHUNKED, RequestHead
from ...types import Field
from ..service import Service
from ..sockets.first_octets import misplaced
from ..sockets.proxy_protocol import Arrival
from .ending import BUSY, CLOSED, CLOSING, DRAINING, HEAD, IDLE
from .starting import StartingHalf

__all__ = ["HttpConnection"]

# 64 KiB: content that the application has left unread is read to that bound to save the connection.
_DRAIN_OCTETS = 64 * 1024
# 16: pipelined requests that are answered before other connections have their turn.
_TURN = 16
# 16 KiB: how much of what is held is fed at a time, because each request copies what follows it.
_WINDOW = 16 * 1024


class HttpConnection(StartingHalf):
    """One client's connection; the sink of its parser and the ResponseWriter of its exchanges."""

    __slots__ = ("_content_octets", "_fault", "_parser", "_pumping", "_rested", "arrival")

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._parser = service.parser(self, service.limits)
        #: What a proxy has said of the connection before HTTP came; until connection_made.
        self.arrival: Arrival | None = None
        # What is wrong with the request, found inside a sink method.
        self._fault: RequestError | None = None
        # Octets of content that have come.
        self._content_octets = 0
        # Whether _pump is at work, which goes on by itself when a response completes inside it.
        self._pumping = False
        # The read deadline of the idle time in which rest() was last called.
        self._rested = self.read_deadline

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream transport is what it is
        service = self.service
        arrival, self.arrival = self.arrival, None
        self._origin = service.origin_of(transport, arrival)
        service.connections.add(self)
        service.arriving.arrived(self)
        if transport.get_extra_info("peername") is None:
            # A client of TCP that has gone with a reset has no name, though what it had sent could still be read. It
            # must not be taken for one on a Unix domain socket, which is believed more, nor ask without a name.
            if not isinstance(transport.get_extra_info("sockname"), (str, bytes)):
                self.transport.abort()
        if service.stopping:
            self.stop()

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state is IDLE and not self._held and not self.write_paused:
            self._pump(data)
        elif state >= CLOSING:
            self._linger(len(data))
        elif self._held or (self.write_paused and not self._unread):
            self._hold(self._held + data)  # in order; whoever holds it comes back for it
        elif state <= HEAD or self._unread:
            self._pump(data)
        else:
            self._hold(data)

    def eof_received(self) -> bool:
        """Keep the connection to answer what has been asked: a half-closed client still reads (RFC 9112 §9.6).

        The application is told http.disconnect, because a client that has gone altogether looks the same; its
        response is sent all the same, and fails when the client answers with a reset. Over TLS nothing can be sent any
        more: the loop ends the connection, whatever is returned, and complains of True.
        """
        sends_on = self.transport.can_write_eof()
        self._ended_by_client = True
        self.persists = False
        exchange = self._exchange
        if exchange is None or self.state is not BUSY:
            return sends_on and bool(self._held) and self.state < CLOSING
        self._reach_end()
        if self.service.gate is not None:
            # Most who end their side while they wait have given up, and under load there is no time for them.
            self.service.gate.step_back(self)
        return sends_on

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.state = CLOSED
        service = self.service
        service.connections.discard(self)
        service.opened -= 1
        self.read_deadline = inf
        self.release_writers()
        exchange = self._exchange
        self._held = b""
        del self._parser  # each holds the other
        if exchange is not None:
            self._exchange = None
            exchange.hang_up()
            self._log(exchange, exchange.status)
        if service.stopping:
            service.check_quiet()

    # Reading

    def _pump(self, data: bytes) -> None:
        """Feed the parser, and start what it finds, one request after the other."""
        pumping, self._pumping = self._pumping, True
        turns = _TURN
        while True:
            try:
                rest = self._parser.feed(data)
            except RequestError as error:
                hint = "" if self._has_asked or self.state > HEAD else misplaced(data)
                self._fault = self._fault or (BadRequest(f"{error}: {hint}") if hint else error)
                rest = b""
            if self._fault is not None:
                self.refuse(self._fault)
                self._fault = None  # through its traceback, it would hold this frame and all that belongs to it
                break
            if rest or self._held:
                self._held = rest + self._held
                # What is written from now on is joined, and sent when all that came together has been answered.
                self.more_to_come = self.corked = True
            else:
                self.more_to_come = False
            fresh = self._fresh
            if fresh is not None:
                self._fresh = None
                self._start(fresh)
            else:
                self._took_some()
            if not self._held or not self._wants_more():
                break
            turns -= 1
            if not turns:
                self.loop.call_soon(self._resume)
                break
            data = self._next_window()
        self._pumping = pumping
        if self.corked or self._pending:
            self.uncork()
        if self._held and len(self._held) > HIGH_WATER:
            self._pause_reading()

    def _took_some(self) -> None:
        """The parser has taken octets that complete no head."""
        if self.state is IDLE:
            self.state = HEAD
            self.read_deadline = self.service.now + self.service.config.timeout_request_header
        elif self.state is DRAINING:
            if not self._unread:
                self._become_idle()
        elif self.state is BUSY:
            self._received_some()

    def _wants_more(self) -> bool:
        """Whether what is held may be parsed: it is the rest of this request, or none is running."""
        if self._unread:
            return self.state < CLOSING
        # A client that asks and asks without reading would have its answers pile up here.
        return self.state <= HEAD and not self.write_paused

    def _resume(self) -> None:
        """Go on with what is held, as soon as it may be."""
        if self._held and not self._pumping and self._wants_more():
            self._pump(self._next_window())
        if self._ended_by_client and self.state < CLOSING:
            self._reach_end()

    def _reach_end(self) -> None:
        """Nothing comes after what is held: end what will never be complete, and tell who waits for more."""
        exchange = self._exchange
        if exchange is not None and not self._unread:
            exchange.disconnect()
        elif exchange is not None and not self._held:
            # The content is cut short: there is no request to answer (RFC 9112 §8), nor one to let in.
            self._give_up_waiting()
            exchange.hang_up()
            self.close()
        elif not self._held:
            self._unread = 0  # the rest of what is drained, which never comes
            self.close()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._held:
            self.loop.call_soon(self._resume)

    def _next_window(self) -> bytes:
        data = self._held[:_WINDOW]
        self._held = self._held[_WINDOW:]
        if self._reading_paused and len(self._held) <= HIGH_WATER:
            self._resume_reading()
        return data

    def _hold(self, data: bytes) -> None:
        """Keep what may not be parsed yet; beyond the mark the client is made to wait."""
        self._held = data
        if len(data) > HIGH_WATER:
            self._pause_reading()

    def rest(self) -> None:
        """Nobody has asked for anything for a while: let go of what only speed is the better for."""
        if self.state is IDLE and self._rested != self.read_deadline:
            self._rested = self.read_deadline
            # Parsers may remember what they have read, cookies among it.
            self._parser = self.service.parser(self, self.service.limits)
            self._drop_upgrade()

    # The parser calls these

    def on_request(self, head: RequestHead) -> None:
        kind = WebSocketExchange if head.section.upgrade and self.offers_websocket(head) else Exchange
        exchange = self._exchange = self._fresh = kind(self, head)
        length = head.section.length
        if length:
            self._unread = length
            self._content_octets = 0
            limit = self.service.limit_body
            if limit is not None and length > limit:
                self._fault = ContentTooLarge(f"content of {length} octets, at most {limit} are taken")
        else:
            exchange.content_complete = True
        service = self.service
        # Nothing else can speak against another request but what stop() and eof_received() know of.
        self.persists = head.persistent and not length and not service.stopping and not self._ended_by_client
        if service.access is not None:
            exchange.started_at = service.clock()

    def on_body(self, data: bytes) -> None:
        self._content_octets += len(data)
        limit = self.service.limit_body
        if limit is not None and self._content_octets > limit:
            self._fault = self._fault or ContentTooLarge(f"content of more than {limit} octets")
        elif self._exchange is not None:
            self._exchange.add_content(data)

    def on_end(self) -> None:
        if self._unread:
            self._unread = 0
            if self._exchange is not None:
                self._exchange.end_content()

    def _received_some(self) -> None:
        """Content has come: more is due before long, unless the application has enough for now."""
        if not self._unread:
            self.read_deadline = inf
            return
        if self.read_deadline != inf:
            self.read_deadline = self.service.now + self.service.config.timeout_request_body
        exchange = self._exchange
        if exchange is not None and exchange.waiting_octets > HIGH_WATER:
            self.read_deadline = inf  # the application is slow, not the client
            self._pause_reading()

    def want_content(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if len(self._held) <= HIGH_WATER:
            # Not beyond: whoever asks again and again for the client's end would let a flood of requests in.
            self._resume_reading()
        if not self._unread:
            return  # nothing but the client's end is waited for
        self.read_deadline = self.service.now + self.service.config.timeout_request_body
        if exchange.head.expects_continue and not exchange.continued:
            exchange.continued = True
            # RFC 9110 §10.1.1: not when content has come already, nor after the response has begun.
            if not self._content_octets and not exchange.response_started:
                self.write_continue()

    def may_reuse(self, exchange: Exchange) -> bool:
        if not exchange.head.persistent or self.service.stopping:
            return False
        if self._ended_by_client and not self._held:  # no request can follow
            return False
        if self._unread:
            # Unknown, too much, or perhaps never sent: not worth waiting for.
            if self._unread == CHUNKED or self._unread - self._content_octets > _DRAIN_OCTETS:
                return False
            if exchange.head.expects_continue and not exchange.continued:
                return False
        return True

    def finished(self, exchange: Exchange) -> None:
        self._exchange = None
        if self.service.access is not None:
            self._log(exchange, exchange.status)
        if self.closing_announced:
            self.close()
        elif self._unread:
            # The application did not want it all; the next request comes after it.
            self.state = DRAINING
            self.read_deadline = self.service.now + self.service.config.timeout_request_body
            self._resume_reading()
        else:
            self._become_idle()

    def _become_idle(self) -> None:
        service = self.service
        if service.stopping and not service.lets_ask:
            self.close()
            return
        self.state = IDLE
        self._has_asked = True
        self.read_deadline = service.now + service.keep_alive_seconds
        if self._reading_paused and len(self._held) <= HIGH_WATER:
            self._resume_reading()
        if not self._pumping and (self._held or self._ended_by_client):
            # Not at once: this is called from within the application's task.
            self.loop.call_soon(self._resume)

    def accept_websocket(
        self, exchange: WebSocketExchange, subprotocol: str | None, fields: Sequence[Field]
    ) -> SessionWriter:
        writer = super().accept_websocket(exchange, subprotocol, fields)
        del self._parser  # with all that it remembers; a session may last for days
        return writer

    def ended(self, exchange: Exchange) -> None:
        service = self.service
        service.running.discard(exchange)
        self._give_place_back(exchange)
        if service.stopping:
            service.check_quiet()
