"""How a connection ends: refused, cut, timed out, or simply done.

Knows the transport and whom to tell. Does not know how requests are read (connections.connection) or responses framed
(connections.writing).
"""

from __future__ import annotations

import logging
import select
import sys
from asyncio import Transport
from enum import IntEnum
from math import inf

from ...asgi.exchange import Exchange
from ...asgi.scope import Origin
from ...errors import RequestError, RequestTimeout
from ...http1.response import UntilCloseWriter, encode_error
from ..service import Service
from .sendfile import unacknowledged
from .writing import WritingHalf

__all__ = ["TRANSITIONS", "EndingHalf", "State"]

logger = logging.getLogger("miniasgi.server")

# 256 KiB and 2 s: how much of what still comes is read before closing, so that the client gets to see the answer. A
# socket that is closed with octets unread sends a reset, which can overtake the answer (RFC 9112 §9.6).
_LINGER_OCTETS = 256 * 1024
_LINGER_SECONDS = 2.0
# 1 s: the same for the end of TLS, which a client may never answer; it has seen it when the kernel has nothing left.
_GOODBYE_SECONDS = 1.0
# 5 s: how often a client that is not read from is looked for. If it has gone, that is in the way of nobody else.
_LOOK_SECONDS = 5.0
# 2 s: younger than that, a connection is new; the clock that is used ticks once a second.
_NEW_SECONDS = 2.0


class State(IntEnum):
    """Where a connection stands. The members' comments say how they are left."""

    IDLE = 0  # no octet of a request: the first one (HEAD, BUSY); idle deadline or stop (CLOSING)
    HEAD = 1  # an incomplete head: its end (BUSY); head deadline, bad octets (CLOSING)
    BUSY = 2  # a request runs: its response is complete (IDLE, DRAINING, CLOSING), or is a handshake's (UPGRADED)
    DRAINING = 3  # answered, but content still comes: its end (IDLE); bad octets, too slow (CLOSING)
    CLOSING = 4  # nothing more is answered: the transport is closed (CLOSED)
    CLOSED = 5  # the transport is gone
    UPGRADED = 6  # the transport belongs to a WebSocketConnection


#: Which state may follow which; the tests hold the code against it.
TRANSITIONS: dict[State, tuple[State, ...]] = {
    State.IDLE: (State.HEAD, State.BUSY, State.CLOSING, State.CLOSED),
    State.HEAD: (State.BUSY, State.CLOSING, State.CLOSED),
    State.BUSY: (State.IDLE, State.DRAINING, State.CLOSING, State.CLOSED, State.UPGRADED),
    State.DRAINING: (State.IDLE, State.CLOSING, State.CLOSED),
    State.CLOSING: (State.CLOSED,),
    State.CLOSED: (),
    State.UPGRADED: (),
}

IDLE, HEAD, BUSY, DRAINING, CLOSING, CLOSED, UPGRADED = State


class EndingHalf(WritingHalf):
    """The states of a connection and the ways out of them; HttpConnection is the rest of it."""

    __slots__ = (
        "_ended_by_client",
        "_exchange",
        "_fresh",
        "_has_asked",
        "_held",
        "_kernel_mark",
        "_linger_left",
        "_origin",
        "_reading_paused",
        "_unread",
        "read_deadline",
        "state",
    )

    _origin: Origin  # set by connection_made
    _linger_left: int  # octets that are still read before closing; set by close()

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.state = IDLE
        #: When the client has had its time to send; checked by the sweep. A new connection owes a whole head.
        self.read_deadline = service.now + service.config.timeout_request_header
        # The request whose response is not complete; content goes to it.
        self._exchange: Exchange | None = None
        # The same until it has been started: sink methods only queue.
        self._fresh: Exchange | None = None
        # Octets after the current request, which may not be parsed before it is answered.
        self._held = b""
        # Whether content of the current request is still to come: its length, CHUNKED, or 0.
        self._unread = 0
        self._reading_paused = False
        # Whether a request of it has been answered.
        self._has_asked = False
        # Whether the client has closed its side; it may still be reading.
        self._ended_by_client = False
        # Octets of TLS in the kernel when the write deadline was set. Set by expect_reading and check_write_progress.
        self._kernel_mark = 0

    def check_deadlines(self, now: float) -> None:
        """End what has taken too long; called about once a second."""
        if now >= self.write_deadline and not self.check_write_progress():
            logger.info("%s: the client takes nothing, connection cut", self.peer)
            self.transport.abort()
        elif now >= self.read_deadline:
            self.read_deadline = inf
            if self._held and self.state <= HEAD:
                # Held until the client has read what it was sent, for which there is another deadline.
                self.read_deadline = now + self.service.config.timeout_request_header
            elif self.state is HEAD:
                self.refuse(RequestTimeout("the request head took too long"))
            elif self.state is BUSY and (self._reading_paused or not self._unread):
                self._look_for_end(now)
            elif self.state is BUSY:
                self.refuse(RequestTimeout("no more of the content came"))
            elif self.state is CLOSING:
                self._close_late(now)
            else:
                self.close()

    def _look_for_end(self, now: float) -> None:
        """See whether a client that is not read from is still there: the loop, which does not read, cannot tell."""
        if not self._reading_paused:
            return
        gone, ended = _what_has_ended(self.transport)
        if gone:
            self.transport.abort()
            return
        self.read_deadline = now + _LOOK_SECONDS
        if ended and self._exchange is not None and not self._unread:
            self._exchange.disconnect()

    def _close_late(self, now: float) -> None:
        """End a connection that should have ended, unless the client is still taking its answer."""
        if not self.unsent() and not self._kernel_octets():
            self.transport.abort()
            return
        self.read_deadline = now + _LINGER_SECONDS
        if self.write_deadline == inf:
            self.expect_reading()

    # A transport of TLS does not know what is left in the one below it, which nobody may ask: if there is anything, the
    # kernel is full, and if what the kernel has changes, the client takes some of it.

    def _kernel_octets(self) -> int:
        """How many octets of TLS the kernel keeps for the client."""
        return 0 if self.transport.can_write_eof() else unacknowledged(self.transport)

    def expect_reading(self) -> None:
        super().expect_reading()
        self._kernel_mark = self._kernel_octets()

    def check_write_progress(self) -> bool:
        before, self._kernel_mark = self._kernel_mark, self._kernel_octets()
        return super().check_write_progress() or self._kernel_mark != before

    @property
    def peer(self) -> str:
        """The client's address for a log line."""
        return self._origin.peer

    def refuse(self, error: RequestError) -> None:
        """Answer a request with the error's status, and end the connection. No other code writes a 4xx."""
        exchange, self._exchange, self._fresh = self._exchange, None, None
        logger.info("%s: refused with %d: %s", self.peer, error.status, error)
        cut = exchange is not None and exchange.response_started
        if not cut:
            bodiless = exchange is not None and exchange.head.line.method == "HEAD"
            self.write(encode_error(error.status, self.service.defaults + error.fields, bodiless=bodiless))
        if exchange is not None:
            exchange.status = exchange.status or error.status
            exchange.hang_up()
        self._log(exchange, error.status)
        if cut and isinstance(self._body, UntilCloseWriter):
            self._reset()
        # More may be coming, whatever has been found wrong with what came.
        self.close(linger=True)

    def abort(self, exchange: Exchange) -> None:
        """Let the client see that the response was cut: no last chunk, fewer octets than declared, or a reset."""
        self._exchange = None
        exchange.hang_up()
        self._log(exchange, exchange.status)
        if exchange.response_started and isinstance(self._body, UntilCloseWriter):
            self._reset()
        self.close()

    def _reset(self) -> None:
        """End content that ends with the connection so that it cannot be taken for whole."""
        self.flush()
        self.transport.abort()

    def close(self, *, linger: bool = False) -> None:
        """Close when everything has been written; with *linger*, or input left, only when the client has seen it."""
        if self.state >= CLOSING:
            return
        self.flush()
        linger = (linger or bool(self._held) or self._unread != 0) and not self._ended_by_client
        self.state = CLOSING
        self._held = b""
        transport = self.transport
        if not linger or transport.is_closing() or not transport.can_write_eof():
            patience = self.service.config.timeout_write if transport.can_write_eof() else _GOODBYE_SECONDS
            self.read_deadline = self.service.now + patience
            transport.close()
            return
        self._linger_left = _LINGER_OCTETS
        self.read_deadline = self.service.now + _LINGER_SECONDS
        if self.write_end():
            self._resume_reading()

    def _linger(self, octets: int) -> None:
        """Drop what comes after the end, up to a bound."""
        self._linger_left -= octets
        if self._linger_left < 0:
            self.transport.close()

    def sends_nothing(self, exchange: Exchange) -> None:
        if self._ended_by_client and not self._held:
            # It waits for nothing else, or has gone: as nothing is sent, nothing would ever tell.
            exchange.hang_up()
            self.close()

    def give_way(self) -> bool:
        """End if it is idle, and has been of use already; whether it does, or is about to end."""
        if self.state is CLOSING:
            # Such as one of TLS that waits for the client's goodbye, in vain if need be.
            return not self.unsent() and not self._kernel_octets()
        gives = self.state is IDLE and self._has_asked and not self._held
        if gives:
            self.close()
        return gives

    def stop(self) -> None:
        """The server stops: end a connection on which nothing has been asked, unless it may still ask once."""
        self.persists = False
        service = self.service
        if self.state is IDLE and not self._held and not service.lets_ask:
            if not (service.lets_new_ask and self._is_new()):
                self.close()

    def _is_new(self) -> bool:
        """Whether the client has hardly had the time to ask; one that opens connections to have them does not."""
        owed_since = self.read_deadline - self.service.config.timeout_request_header
        return not self._has_asked and owed_since > self.service.now - _NEW_SECONDS

    def cut(self) -> None:
        """The server's patience is over: tell the application that its client has gone."""
        exchange = self._exchange
        if exchange is None:
            self.close()
        else:
            self._exchange = None
            exchange.hang_up()
            self._log(exchange, exchange.status)
            self.close()

    def _pause_reading(self) -> None:
        if self.read_deadline == inf:
            self.read_deadline = self.service.now + _LOOK_SECONDS
        if not self._reading_paused and not self.transport.is_closing():
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    def _log(self, exchange: Exchange | None, status: int) -> None:
        """The access line of a request, or of what was none."""
        access = self.service.access
        if access is None:
            return
        if exchange is None:
            access.add(self._origin.client, None, status, 0, 0.0)
        else:
            seconds = self.service.clock() - exchange.started_at
            client = (exchange.origin or self._origin).client
            access.add(client, exchange.head, status, exchange.octets, seconds, exchange.fields, exchange.request_id)


def _what_has_ended(transport: Transport) -> tuple[bool, bool]:
    """Whether a client has gone, and whether it has closed its side, as far as the system says without reading."""
    connected = transport.get_extra_info("socket")
    if connected is None or sys.platform == "win32":
        return False, False
    ending = getattr(select, "POLLRDHUP", 0)  # where there is none, the end of input has to wait until it is read
    poll = select.poll()
    try:
        poll.register(connected.fileno(), ending)
        found = poll.poll(0)
    except (OSError, ValueError):
        return False, False
    events = found[0][1] if found else 0
    return bool(events & (select.POLLERR | select.POLLHUP)), bool(events & ending)
