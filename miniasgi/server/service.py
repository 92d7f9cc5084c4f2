"""What all connections of one server share, and nothing that a socket is needed for.

Knows the application, the configuration and the clock. Everything that changes with time is changed by tick(), once a
second: no request starts a timer or asks for the date.
"""

from __future__ import annotations

import contextlib
import logging
import time
from asyncio import AbstractEventLoop, BaseTransport, Event, Future, Transport
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..asgi.exchange import Exchange
from ..asgi.forwarded import ProxyFields
from ..asgi.scope import Origin, mounted_raw_path
from ..asgi.trusted import TrustedPeers
from ..config import Config
from ..dates import http_date
from ..http1.head import RequestHead
from ..http1.parser import Limits, ParserFactory
from ..http1.response import ResponseFields
from ..observe.access import AccessLog
from ..types import App, Fields, Receive, Scope, Send
from ..websocket.codec import CodecFactory
from .gate import Gate
from .provenance import Tracer
from .sockets.arriving import Arriving
from .sockets.proxy_protocol import Arrival
from .tasks import Spawn, task_spawner

if TYPE_CHECKING:
    from .tls.tls import Tls

__all__ = ["TICK_SECONDS", "Connection", "ReadyAnswer", "RunningRequest", "Service"]

logger = logging.getLogger("miniasgi.server")

#: How often tick() is to be called.
TICK_SECONDS = 1.0
# 10: how often a set is copied that the loop's thread changes meanwhile. A loop that is blocked changes none.
_COPIES = 10


class Connection(Protocol):
    """What a server does with its connections."""

    transport: Transport
    read_deadline: float
    write_deadline: float

    def check_deadlines(self, now: float) -> None:
        """End what has taken too long."""

    def rest(self) -> None:
        """Let go of what an idle connection does not need."""

    def give_way(self) -> bool:
        """End if nothing is going on, so that somebody else can connect; whether it does, or is about to end."""

    def stop(self) -> None:
        """End, unless something has been asked."""

    def cut(self) -> None:
        """End, whatever has been asked."""


class ReadyAnswer(Protocol):
    """What ``__immediate_answer__`` of an application gives: an answer without waiting, scope, messages or task.

    Attributes:
        content: all of it, where there is no *file*; else the answer has to be run as an application.
        encoded: for what the connection makes of the fields.
    """

    status: int
    fields: Fields
    content: bytes
    encoded: object

    @property
    def file(self) -> object | None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class RunningRequest(NamedTuple):
    """A request whose application has not returned, for a log line.

    Attributes:
        target: as received, with quotes and backslashes escaped as in access lines.
        seconds: since its head was complete. Without an access log it is reckoned from the tick before that, so up to a
            second too much, or as much as the loop had been held up; never too little.
    """

    method: str
    target: str
    seconds: float


class Service:
    """One server's application, settings and books.

    Attributes:
        now: the clock's time at the next tick: a deadline that is reckoned from it is late by up to two seconds, and
            never early.
        defaults: field lines that every response gets which does not state its own Date or Server.
        stopping: whether responses must announce that their connection closes.
        draining: set with it; what applications are given to wait for.
        connections: those that are open.
        requests: how many have been begun, those included that were answered without calling the application, and not
            those refused before.
        starting: the exchange whose first step is being run, which may be its only one; set by its connection.
        running: exchanges whose application has not returned, but for those that return at once.
        state: what lifespan start-up has stored.
    """

    def __init__(
        self,
        app: App,
        config: Config,
        loop: AbstractEventLoop,
        parser: ParserFactory,
        access: AccessLog | None = None,
        *,
        clock: Callable[[], float] | None = None,
        spawn: Spawn | None = None,
        codec: CodecFactory | None = None,
        tls: Tls | None = None,
        arriving: Arriving | None = None,
    ) -> None:
        self.app = app
        self.config = config
        self.loop = loop
        self.parser = parser
        #: What makes the codec of a WebSocket; None if there is none.
        self.codec = codec
        self.access = access
        self.clock = clock or time.monotonic  # uvloop's own clock has milliseconds only
        self.spawn = spawn or task_spawner(loop)
        # A private way for the files that this server serves (docs/design.md); other applications have none.
        self.immediate: Callable[..., ReadyAnswer | None] | None = getattr(app, "__immediate_answer__", None)
        self._stops: Callable[[], None] | None = getattr(app, "__server_stops__", None)
        self.limits = Limits(
            request_line=config.limit_request_line,
            field=config.limit_request_field_size,
            fields=config.limit_request_fields,
            head=config.limit_request_head,
        )
        self.limit_body = config.limit_request_body
        most = config.limit_concurrency
        #: Where requests wait for others to end; None if they need not.
        self.gate = None if most is None else Gate(loop, most, config.limit_queue, config.timeout_queue)
        self._tls = tls
        self._peers = TrustedPeers(config.forwarded_allow_ips)
        proxies = ProxyFields(config.proxy_headers, self._peers) if config.proxy_headers else None
        self._asks_proxies = proxies is not None or bool(config.request_id)
        self.tracer = Tracer(proxies, config.request_id)
        #: Whether each request is to be traced, and not only one of which a proxy says where it comes from.
        self.traces_all = self.tracer.names_all
        self.keep_alive_seconds = config.timeout_keep_alive
        self.connections: set[Connection] = set()
        self.requests = 0
        self.starting: Exchange | None = None
        self.running: set[Exchange] = set()
        self.state: dict[str, Any] = {}
        self.stopping = False
        #: Whether a connection that is idle while the server stops may ask once more.
        self.lets_ask = False
        #: The same for one that has just been opened. In development, who saves a file looks at the page at once.
        self.lets_new_ask = config.reload
        self.draining = Event()
        #: Connections that have been accepted, and to which HTTP may not come yet.
        self.arriving = arriving or Arriving()
        self.arriving.on_change = self.check_quiet
        #: Connections accepted and not yet lost, those included that are arriving.
        self.opened = 0
        # Resolved when nothing is left of what is waited for; only while the server stops.
        self._quiet: Future[None] | None = None
        self._quiet_connections = False
        # The last that _shared_address() has returned.
        self._address: tuple[str, int | None] | None = None
        names = {name for name, _ in config.headers}
        self._more = b"".join(b"%b: %b\r\n" % pair for pair in config.headers)
        self._server = b"server: miniasgi\r\n" if config.server_header and b"server" not in names else b""
        self._has_date = config.date_header and b"date" not in names
        self.tick()

    def immediate_answer(self, head: RequestHead, root_path: str) -> ReadyAnswer | None:
        """The application's answer, where it has one without being called."""
        if self.immediate is None:
            return None
        line = head.line
        try:
            path = mounted_raw_path(line, root_path) if root_path else line.raw_path
            return self.immediate(line.method, path, line.query, head.fields, root_path)
        except Exception:
            # It is called after all, and if it fails again, that is an application's failure like any other.
            logger.exception("%s: no immediate answer", line.log)
            return None

    def begin_stop(self, *, patient: bool = False) -> None:
        """Let connections end, and applications know it; must be called before any is closed.

        *patient*: a connection that is idle is left open for one request, whose answer announces the end.
        """
        self.stopping = True
        self.lets_ask = patient
        self.draining.set()
        if self._stops is not None:
            self._stops()  # responses that go on for as long as the client likes

    def running_requests(self, most: int = 100) -> tuple[list[RunningRequest], int]:
        """The requests that are running, oldest first: the first *most* of them, and how many there are besides.

        May be called from any thread, also while an application blocks the loop's.

        Raises:
            RuntimeError: they changed each time they were looked at, so the loop is not blocked.
        """
        # In this order: an exchange goes from the one place to the other, and must not be missed on its way.
        starting = self.starting
        exchanges = self._running_now()
        if starting is not None and not starting.done:
            exchanges.add(starting)
        # One that is being started has begun since the last tick, if it has not noted when.
        ticked = self.now - TICK_SECONDS
        begun = sorted((exchange.started_at or ticked, exchange.head.line.log) for exchange in exchanges)
        now = self.clock()
        requests = []
        for started_at, line in begun[:most]:
            method, target, _ = line[1:-1].split(" ")
            requests.append(RunningRequest(method, target, max(now - started_at, 0.0)))
        return requests, len(begun) - len(requests)

    def _running_now(self) -> set[Exchange]:
        for _ in range(_COPIES):
            # CPython copies a set in one go, but does not promise it.
            with contextlib.suppress(RuntimeError):
                return self.running.copy()
        raise RuntimeError(f"the running requests changed each of the {_COPIES} times they were looked at")

    def tick(self) -> None:
        """Set the clock and the Date field (RFC 9110 §6.6.1)."""
        self.now = self.clock() + TICK_SECONDS
        date = b"date: %b\r\n" % http_date(time.time()) if self._has_date else b""
        self._date = date
        self.defaults = date + self._server + self._more

    def defaults_beside(self, fields: ResponseFields) -> bytes:
        """The default field lines for an application that states its own Date or Server."""
        date = b"" if fields.has_date else self._date
        return date + (b"" if fields.has_server else self._server) + self._more

    def origin_of(self, transport: BaseTransport, arrival: Arrival | None) -> Origin:
        """What is known of a new connection; *arrival* is what a proxy has said of it."""
        name = transport.get_extra_info("peername")
        client = (name[0], name[1]) if isinstance(name, tuple) else None
        server = self._shared_address(transport.get_extra_info("sockname"))
        scheme, tls = "http", None
        if self._tls is not None:
            scheme, tls = "https", self._tls.extension(transport.get_extra_info("ssl_object"))
        is_known = arrival is None or arrival.is_known
        if arrival is not None and is_known:
            client, server, scheme = arrival.client, arrival.server, arrival.scheme or scheme
        # Not what an unknown client has sent through a proxy that only passes it on.
        trusted = self._asks_proxies and is_known and self._peers.trusts(client)
        return Origin(client, server, scheme, self.config.root_path, self.state, self.draining, tls, trusted)

    def _shared_address(self, name: object) -> tuple[str, int | None] | None:
        """The server's address in the form of ASGI, the same object for as long as it is the same address.

        Each idle connection would have its own otherwise, 150 octets for nothing.
        """
        address: tuple[str, int | None] | None = None
        if isinstance(name, tuple):
            address = name[0], name[1]
        elif name:
            address = str(name), None
        if address != self._address:
            self._address = address
        return self._address

    def quiet(self, *, connections: bool) -> Future[None]:
        """A future that is done when no request is running and, with *connections*, no connection is open."""
        self._quiet = self.loop.create_future()
        self._quiet_connections = connections
        self.check_quiet()
        return self._quiet

    def check_quiet(self) -> None:
        """Something has ended while the server stops: see whether it was the last."""
        quiet = self._quiet
        if quiet is not None and not quiet.done() and not self.running:
            if not (self._quiet_connections and (self.connections or self.arriving.count)):
                quiet.set_result(None)
