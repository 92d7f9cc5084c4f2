"""How a connection becomes a WebSocket: the handshake read, refused or answered, and the transport handed over.

Knows what a client may ask for. Does not know what comes after (connections.websocket), nor how requests are read
(connections.connection).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from ...asgi.exchange import PLAIN_TEXT
from ...asgi.scope import Origin, websocket_scope
from ...asgi.websocket import SessionWriter, WebSocketExchange
from ...errors import BadRequest, ClientDisconnected
from ...http1.head import RequestHead
from ...types import Field, Scope
from ...websocket.codec import Codec, CodecMissing, Offer
from ...websocket.handshake import Handshake, Refusal, asks_for_websocket, encode_accept, read_handshake
from ..service import Service
from .ending import BUSY, UPGRADED, EndingHalf
from .websocket import WebSocketConnection

__all__ = ["UpgradingHalf"]

logger = logging.getLogger("miniasgi.server")


_MISSING = Refusal(501, [], "WebSockets need the package websockets")


class _Upgrade(NamedTuple):
    handshake: Handshake
    connection: WebSocketConnection
    codec: Codec


class UpgradingHalf(EndingHalf):
    """The way from a request to a WebSocket; HttpConnection is the rest of it."""

    __slots__ = ("_upgrade",)

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        # What the running request becomes if the application accepts it. Stays when it does not, until _drop_upgrade().
        self._upgrade: _Upgrade | None = None

    def connection_lost(self, error: Exception | None) -> None:
        self._drop_upgrade()
        super().connection_lost(error)

    def _drop_upgrade(self) -> None:
        """Let go of what has not become a WebSocket: it holds this connection, and what compression needs."""
        upgrade, self._upgrade = self._upgrade, None
        if upgrade is not None:
            upgrade.codec.discard()

    def offers_websocket(self, head: RequestHead) -> bool:
        """Whether a request that offers an upgrade offers one to a protocol that is spoken here."""
        return self.service.config.ws != "none" and asks_for_websocket(head)

    def scope_for(self, exchange: WebSocketExchange, origin: Origin) -> Scope | None:
        """What the application is to be called with; None if the handshake has been refused."""
        refusal = self._read(exchange, origin)
        if refusal is None:
            upgrade = self._upgrade
            assert upgrade is not None
            return websocket_scope(exchange.head, origin, upgrade.handshake.subprotocols)
        logger.info("%s: refused with %d: %s", self.peer, refusal.status, refusal.reason)
        content = b"WebSocket handshake refused\n" if refusal.status != 501 else b"WebSockets are not available\n"
        self.respond(exchange, refusal.status, [*PLAIN_TEXT, *refusal.fields], content)
        return None

    def _read(self, exchange: WebSocketExchange, origin: Origin) -> Refusal | None:
        """Prepare the upgrade, or say why there is none."""
        found = read_handshake(exchange.head)
        if isinstance(found, Refusal):
            return found
        service = self.service
        if service.codec is None:
            return _MISSING
        connection = WebSocketConnection(service, self.transport, exchange, origin)
        config = service.config
        try:
            codec = service.codec(
                connection, Offer(found.extensions, config.ws_max_size, config.ws_per_message_deflate)
            )
        except BadRequest as error:
            return Refusal(400, [], str(error))
        except CodecMissing as error:
            service.codec = None  # so that it is said once, and not looked for again
            logger.error("a client asked for a WebSocket: these need %s", error)
            return _MISSING
        self._upgrade = _Upgrade(found, connection, codec)
        return None

    def accept_websocket(
        self, exchange: WebSocketExchange, subprotocol: str | None, fields: Sequence[Field]
    ) -> SessionWriter:
        upgrade = self._upgrade
        if upgrade is None or self.state is not BUSY or self._ended_by_client or self.transport.is_closing():
            self.cut()  # half-closed, it would wait for an answer that there cannot be
            raise ClientDisconnected("the client has gone")
        service = self.service
        handshake, connection, codec = upgrade
        head = encode_accept(handshake, codec.extensions, subprotocol, fields, service.defaults)
        exchange.status = 101
        self._upgrade = self._exchange = None
        held, self._held = self._held, b""
        self.flush()
        self.read_deadline = self.write_deadline = inf
        self.state = UPGRADED
        service.connections.discard(self)
        connection.begin(codec, head, held, reading_paused=self._reading_paused)
        if self.write_paused and not connection.write_paused:
            connection.pause_writing()  # which the transport has told this one
        return connection
