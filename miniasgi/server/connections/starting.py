"""From the head of a request to an application that runs: its turn, its origin, its scope, its task.

Knows who may run and with what. Does not know how requests are read (connections.connection), nor what a WebSocket is
(connections.upgrading).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ...asgi.exchange import Exchange
from ...asgi.scope import http_scope
from ...asgi.websocket import SessionWriter, WebSocketExchange
from ...errors import BadRequest, Overloaded, RequestError
from ...types import App, Field
from ..provenance import Provenance
from ..service import TICK_SECONDS
from .ending import BUSY, UPGRADED
from .upgrading import UpgradingHalf

__all__ = ["StartingHalf"]


class StartingHalf(UpgradingHalf):
    """The beginning of exchanges; HttpConnection is the rest of it."""

    __slots__ = ()

    def _received_some(self) -> None:
        """Learn that content of the request has come, or is to come."""
        raise NotImplementedError

    def _start(self, exchange: Exchange) -> None:
        self.state = BUSY
        self.read_deadline = inf
        self.closing_announced = False
        gate = self.service.gate
        if gate is None or gate.is_open:
            self._run(exchange)
        elif not gate.wait(self, self.service.now):
            self.refuse(Overloaded(f"{gate.running} requests are running, and {gate.waiting} wait"))
        elif self._ended_by_client:
            gate.step_back(self)

    # Requests that wait for others to end

    def let_in(self) -> None:
        """The request that has waited may run."""
        exchange = self._exchange
        if exchange is not None:
            self._run(exchange)

    def turn_away(self, reason: str) -> None:
        """The request has waited in vain."""
        self.refuse(Overloaded(reason))

    def connection_lost(self, error: Exception | None) -> None:
        self._give_up_waiting()
        super().connection_lost(error)

    def refuse(self, error: RequestError) -> None:
        self._give_up_waiting()
        super().refuse(error)

    def cut(self) -> None:
        """See EndingHalf; a request that has only waited can still be told so."""
        if self._give_up_waiting():
            self.refuse(Overloaded("the server stops"))
        else:
            super().cut()

    def _give_up_waiting(self) -> bool:
        gate = self.service.gate
        return gate is not None and gate.give_up(self)

    # Requests that run

    def _run(self, exchange: Exchange) -> None:
        service = self.service
        if self._unread:
            self._received_some()
        service.requests += 1
        service.starting = exchange
        origin = self._origin
        provenance: Provenance | None = None
        if service.traces_all or (origin.trusted and exchange.head.section.forwarded):
            try:
                provenance = service.tracer.trace(exchange.head, origin)
            except BadRequest as error:
                service.starting = None
                self.refuse(error)
                return
            origin = exchange.origin = provenance.origin
            exchange.request_id = provenance.request_id
        app: App = service.app
        if isinstance(exchange, WebSocketExchange):
            scope = self.scope_for(exchange, origin)
            if scope is None:
                service.starting = None
                return
        else:
            # Asked here, and not only there, because for most applications there is nothing to ask.
            answer = None if service.immediate is None else service.immediate_answer(exchange.head, origin.root_path)
            if answer is not None:
                if answer.file is None:
                    exchange.fields = answer.fields
                    self.respond_at_once(exchange, answer)
                    service.starting = None
                    return
                app = answer
            scope = http_scope(exchange.head, origin)
        if provenance is not None:
            provenance.amend(scope)
        task = service.spawn(exchange.run(app, scope))
        if not exchange.done:
            # Tasks are held weakly by asyncio; and whoever stops the server has to find this one.
            exchange.task = task
            if service.access is None:
                exchange.started_at = service.now - TICK_SECONDS
            service.running.add(exchange)
            if service.gate is not None and self.state is not UPGRADED:
                exchange.has_place = True
                service.gate.enter()
        service.starting = None

    def accept_websocket(
        self, exchange: WebSocketExchange, subprotocol: str | None, fields: Sequence[Field]
    ) -> SessionWriter:
        writer = super().accept_websocket(exchange, subprotocol, fields)
        # A session may last for days, and does nothing most of the time.
        self._give_place_back(exchange)
        return writer

    def _give_place_back(self, exchange: Exchange) -> None:
        gate = self.service.gate
        if gate is not None and exchange.has_place:
            exchange.has_place = False
            gate.leave()
