"""One WebSocket's connection: octets between a transport and a codec, after the handshake has been answered.

Knows the transport and its own deadlines. Does not know frames (websocket.codec) nor what an application is
(asgi.websocket).

    OPEN --close sent, or all said--> CLOSING --the client's close, or its time is up--> over
"""

from __future__ import annotations

import asyncio
import logging
from math import inf

from ... import importer
from ...asgi.body import HIGH_WATER
from ...asgi.scope import Origin
from ...asgi.websocket import WebSocketExchange
from ...errors import ApplicationError, ClientDisconnected, StartupError
from ...websocket import codecs
from ...websocket.codec import PACKAGE, Codec, CodecFactory
from ..service import Service
from .flow import Flow

__all__ = ["WebSocketConnection", "codec_factory"]

logger = logging.getLogger("miniasgi.server")

_GOING_AWAY_TO_RESTART, _ABNORMAL, _PING_TIMEOUT = 1012, 1006, 1011
# 10 s: for a client to answer a close.
_CLOSE_SECONDS = 10.0
# 2 s and 256 KiB: for what still comes when all has been said, so that the client gets to see the last of it.
_LINGER_SECONDS = 2.0
_LINGER_OCTETS = 256 * 1024
# 0.25 s: for an application that hears of the stop to say goodbye in its own words.
_FAREWELL_SECONDS = 0.25
# 16 KiB: how much is taken at a time where more has come at once: whether the queue is full is looked at in between.
_WINDOW = 16 * 1024
# 5 ms: for what one client has sent, then others have their turn. A window of pings takes 25 (CPython 3.11, 2026-11).
_TURN_SECONDS = 0.005


def codec_factory(name: str) -> CodecFactory | None:
    """What ``--ws`` names; None for no WebSockets. Raises StartupError where it cannot be had."""
    if ":" in name:
        factory: CodecFactory = importer.load_factory(name, what="WebSocket codec factory", count=2)
        return factory
    try:
        return codecs.load(name)
    except ImportError as error:
        raise StartupError(f"--ws {name}: expected {PACKAGE}: {error}") from error


class WebSocketConnection(Flow):
    """What a transport belongs to after its handshake; the sink of its codec and the SessionWriter of its exchange."""

    __slots__ = (
        "_closing",
        "_codec",
        "_due",
        "_exchange",
        "_held",
        "_linger_left",
        "_lingers",
        "_origin",
        "_pinged",
        "_reading_paused",
        "read_deadline",
    )

    # Set by begin() and the constructor, deleted by connection_lost.
    _codec: Codec
    _exchange: WebSocketExchange

    def __init__(
        self, service: Service, transport: asyncio.Transport, exchange: WebSocketExchange, origin: Origin
    ) -> None:
        super().__init__(service)
        self.transport = transport
        self._exchange = exchange
        self._origin = origin
        self._closing = False
        self._lingers = False
        self._linger_left = _LINGER_OCTETS
        # What has come and is not to be taken before the application has taken what came before it.
        self._held = b""
        self._reading_paused = False
        # Whether the loop is going to call _go_on.
        self._due = False
        self._pinged = False
        #: When the client is to be pinged, has had its time to answer, or has to be gone; checked by the sweep.
        self.read_deadline = inf

    def begin(self, codec: Codec, head: bytes, held: bytes, *, reading_paused: bool) -> None:
        """Send the *head* that opens the session, and take what has come behind the request."""
        self._codec = codec
        self._reading_paused = reading_paused
        self.service.connections.add(self)
        self._expect_life()
        self.transport.set_protocol(self)
        self.transport.write(head)
        self._held = held
        # Not now: this is called from within the application's task, which has still to learn of its success.
        self._go_on_soon()
        if self.service.stopping:
            self.stop()

    # asyncio calls these

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            self._drop(len(data))
        elif self._held or len(data) > _WINDOW:
            self._held += data
            if not self._due:
                self._go_on()
        else:
            self._take(data)

    def eof_received(self) -> bool:
        return False  # without a closing handshake: nothing that is sent now would be asked for

    def connection_lost(self, error: Exception | None) -> None:
        service = self.service
        service.connections.discard(self)
        service.opened -= 1
        self.read_deadline = inf
        self._lingers = self._closing = True
        self._held = b""
        self.resume_writing()
        exchange = self._exchange
        exchange.end_session(_ABNORMAL, "")
        if service.access is not None:
            seconds = service.clock() - exchange.started_at
            messages = (("in", exchange.received), ("out", exchange.sent))
            client, name = self._origin.client, exchange.request_id
            service.access.add(client, exchange.head, 101, exchange.octets, seconds, exchange.fields, name, messages)
        # They hold each other, and much else, which is to go now and not when Python looks for such circles.
        self._codec.discard()
        del self._codec, self._exchange
        if service.stopping:
            service.check_quiet()

    def pause_writing(self) -> None:
        super().pause_writing()
        # A client that takes no answers to its pings must not ask for more of them.
        self._pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    # Reading

    def _take(self, data: bytes) -> None:
        """Give the codec some octets, and the client what it says to them."""
        if self._pinged:
            self._pinged = False
            self._expect_life()
        answer = self._codec.receive(data)
        if answer:
            self._write(answer)
        if self._codec.over:
            self._linger()
        elif self._is_full():
            self._pause_reading()

    def _go_on(self) -> None:
        """Take what is held, as far as there is room and time."""
        self._due = False
        held, self._held = self._held, b""
        clock = self.service.clock
        at, end = 0, clock() + _TURN_SECONDS
        while at < len(held) and not self._lingers and not self._is_full():
            self._take(held[at : at + _WINDOW])
            at += _WINDOW
            if at < len(held) and clock() > end:
                # Nor may more come meanwhile: uvloop reads on and on while there is something to read.
                self._pause_reading()
                self._go_on_soon()
                break
        if not self._lingers:
            self._held = held[at:]
        if not self._is_full() and self._reading_paused and not self._held and not self.transport.is_closing():
            self._reading_paused = False
            self._expect_life()
            self.transport.resume_reading()

    def _go_on_soon(self) -> None:
        if not self._due:
            self._due = True
            self.loop.call_soon(self._go_on)

    def _is_full(self) -> bool:
        if self._closing or self.write_paused:
            return self.write_paused
        exchange = self._exchange
        return exchange.waiting >= self.service.config.ws_max_queue or exchange.waiting_octets > HIGH_WATER

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._lingers and not self.transport.is_closing():
            self._reading_paused = True
            # Whether the client is alive cannot be known by one who does not listen.
            if not self._closing:
                self.read_deadline = inf
            self.transport.pause_reading()

    # The codec calls these

    def on_message(self, data: str | bytes) -> None:
        if not self._closing:
            self._exchange.add_message(data)

    def on_pong(self) -> None:
        """A sign of life like all others."""

    def on_end(self, code: int, reason: str) -> None:
        self._closing = True
        self._exchange.end_session(code, reason)

    # The exchange calls these

    def send_message(self, data: str | bytes) -> None:
        if self.transport.is_closing():
            # Its loss has not been told yet, and would never be if the application went on without a pause.
            raise ClientDisconnected("the client has gone")
        octets = self._codec.message(data)
        self._exchange.octets += len(octets)
        self.transport.write(octets)

    def send_close(self, code: int, reason: str) -> None:
        try:
            octets = self._codec.close(code, reason)
        except ValueError as error:
            raise ApplicationError(f"websocket.close with code {code!r}: {error}") from None
        self._closing = True
        self._write(octets)
        self._exchange.end_session(code, reason)
        self.read_deadline = self.service.now + _CLOSE_SECONDS
        # What it has not taken it never will, and the client's close stands behind it.
        self._go_on()

    def want_messages(self) -> None:
        if self._held:
            self._go_on_soon()  # not now, or an application that takes small messages would never let go of the loop
        elif self._reading_paused:
            self._go_on()

    def _write(self, octets: bytes) -> None:
        self._exchange.octets += len(octets)
        if octets and not self.transport.is_closing():
            self.transport.write(octets)

    # Time

    def check_deadlines(self, now: float) -> None:
        """Ping, and end what has taken too long; called about once a second."""
        if now >= self.write_deadline and not self.check_write_progress():
            logger.info("%s: the client takes nothing, WebSocket cut", self._origin.peer)
            self.transport.abort()
        elif now >= self.read_deadline:
            if self._closing:
                self.transport.abort()
            elif self._pinged:
                logger.info("%s: no sign of life, WebSocket closed", self._origin.peer)
                self.send_close(_PING_TIMEOUT, "keepalive ping timeout")
                # Nobody is there who would answer it.
                self.transport.close()
            else:
                self._check_life()

    def _expect_life(self) -> None:
        """Have the client pinged when it has been silent for as long as it may."""
        if self._closing:
            return  # there is another deadline, for its answer to the close
        interval = self.service.config.ws_ping_interval
        self.read_deadline = self.service.now + interval if interval else inf

    def _check_life(self) -> None:
        self._write(self._codec.ping())
        timeout = self.service.config.ws_ping_timeout
        if timeout:
            self._pinged = True
            self.read_deadline = self.service.now + timeout
        else:
            self._expect_life()

    def rest(self) -> None:
        """There is nothing that an idle session does not need."""

    # The end

    def _linger(self) -> None:
        """All has been said: close, but not before the client has seen it."""
        if self._lingers:
            return
        self._lingers = self._closing = True
        self._held = b""
        transport = self.transport
        self.read_deadline = self.service.now + _LINGER_SECONDS
        if transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        if self.write_end() and self._reading_paused:
            self._reading_paused = False
            transport.resume_reading()

    def _drop(self, octets: int) -> None:
        self._linger_left -= octets
        if self._linger_left < 0:
            self.transport.close()

    def give_way(self) -> bool:
        """Nothing: a session that is silent is not idle."""
        return False

    def stop(self) -> None:
        """The server stops: close the session, when the application has had a moment to do so itself."""
        self.loop.call_later(_FAREWELL_SECONDS, self._exchange.close, _GOING_AWAY_TO_RESTART)

    def cut(self) -> None:
        """The server's patience is over."""
        self._exchange.close(_GOING_AWAY_TO_RESTART)
        self._exchange.hang_up()
        self.transport.close()
