"""A server: listens, keeps its connections' deadlines, drains, stops.

Knows the running loop, listeners and connections. Installs no signal handler and configures no logging, so that it
can be embedded in a program that has its own (workers.run does both for the command line).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from .. import importer
from ..application import application
from ..asgi.lifespan import Lifespan
from ..config import Config
from ..errors import StartupError
from ..http1 import parsers
from ..observe.access import AccessLog
from ..types import App
from .connections.connection import HttpConnection
from .connections.websocket import codec_factory
from .draining import drain, hurry
from .service import TICK_SECONDS, Connection, RunningRequest, Service
from .sockets.arriving import Arriving
from .sockets.binding import Bound, bind_all
from .sockets.listeners import ROOM, Listener
from .tls.options import speaks_tls

if TYPE_CHECKING:
    from .tls.tls import Tls

__all__ = ["Server", "parser_factory"]

logger = logging.getLogger("miniasgi.server")

# 5 s: a connection that has been idle for so long is not in a hurry.
_REST_SECONDS = 5.0
# 5: ticks between two looks at the files of certificates.
_CERTIFICATE_TICKS = 5


def parser_factory(name: str) -> parsers.ParserFactory:
    """The parser that ``--http`` names. Raises StartupError where it cannot be had."""
    if name == "auto":
        name = "handwritten"  # the fastest, by the benchmark
    if ":" in name:
        factory: parsers.ParserFactory = importer.load_factory(name, what="parser factory", count=2)
        return factory
    try:
        return parsers.load(name)
    except ImportError as error:
        raise StartupError(f"--http {name}: the package {name} is not installed") from error


class Server:
    """Serves one application in the running loop.

    ::

        async with Server(app, Config(port=0)) as server:   # listening inside, drained outside
            print(server.port)

    Any number of servers may share a loop. *app* is an ASGI application, or "module:attribute"; it may be left out
    where *config* has folders to serve. *sockets*, bound already, are listened to instead of *config*'s address; there
    may be none at first.

    Raises:
        StartupError: from serve() and ``async with``: the application cannot be loaded or started, or the address
            cannot be had.
    """

    def __init__(
        self,
        app: App | str | None = None,
        config: Config | None = None,
        *,
        sockets: Sequence[socket.socket] | None = None,
    ) -> None:
        self.config = config or Config()
        self._app = application(app, self.config)
        self._sockets = sockets
        self._listeners: list[Listener] = []
        self._stop = asyncio.Event()
        self._forced = asyncio.Event()
        self._patient = False
        self._draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._accepting = False
        self._pause_reported = False
        self._ticks = 0
        self._bound: Bound | None = None  # what this server has bound itself
        self._tls: Tls | None = None
        self._arriving = Arriving()
        self._service: Service  # set by __aenter__
        self._lifespan: Lifespan  # set by __aenter__

    @property
    def addresses(self) -> list[tuple[str, int | None]]:
        """Host and port of each listening socket; path and None of a Unix domain socket."""
        return [listener.address for listener in self._listeners]

    @property
    def port(self) -> int:
        """The first port that is listened to, also where 0 was asked for. Raises LookupError if there is none."""
        for _, port in self.addresses:
            if port is not None:
                return port
        raise LookupError("no TCP port is listened to")

    @property
    def urls(self) -> list[str]:
        """Where the server can be reached."""
        return [listener.url for listener in self._listeners]

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._service.connections)

    @property
    def running(self) -> int:
        """How many requests are running."""
        return len(self._service.running)

    @property
    def requests(self) -> int:
        """How many have been taken."""
        return self._service.requests

    def running_requests(self) -> tuple[list[RunningRequest], int]:
        """Those that are running, oldest first, and how many more there are; from any thread.

        Raises RuntimeError if they change too fast, which they do not while the loop is stuck.
        """
        return self._service.running_requests()

    async def serve(self) -> None:
        """Serve until stop() is called, then drain and return."""
        async with self:
            await self.wait()

    async def wait(self) -> None:
        """Wait until stop() is called."""
        await self._stop.wait()

    def stop(self, *, force: bool = False, patient: bool = False) -> None:
        """Make serve() finish: running requests get ``timeout_graceful_shutdown``; with *force*, nothing.

        *patient*: so do connections that are idle, because a client may just be about to ask. The answer tells it that
        its connection closes, so that it loses nothing; else some client may have asked in vain.
        """
        if self._draining and not patient:
            hurry(self._service)
        self._patient = patient
        self._stop.set()
        if force:
            self._forced.set()

    async def __aenter__(self) -> Server:
        config = self.config
        # In this order: an address that cannot be had is told before an application has done its start-up.
        if speaks_tls(config):
            from .tls.tls import Tls  # here, because a server without it starts in less time

            self._tls = Tls(config)
        self._arriving = Arriving(config, self._tls)
        if self._sockets is None:
            self._bound = bind_all(config)
        self._listeners = self._listeners_of(self._bound.sockets if self._bound is not None else self._sockets or ())
        try:
            access_logger = logging.getLogger("miniasgi.access")
            enabled = config.access_log and access_logger.isEnabledFor(logging.INFO)
            access = AccessLog(access_logger, config) if enabled else None
            loop = asyncio.get_running_loop()
            self._service = Service(
                self._app,
                config,
                loop,
                parser_factory(config.http),
                access,
                codec=codec_factory(config.ws),
                tls=self._tls,
                arriving=self._arriving,
            )
            self._lifespan = Lifespan(self._app, config.lifespan, self._service.draining)
            self._service.state = self._lifespan.state
            await self._lifespan.start_up()
            self._accept()
            self._timer = loop.call_later(TICK_SECONDS, self._sweep)
            ROOM.enter(self._service)
        except BaseException:
            self._close_listeners()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._drain()
            await self._lifespan.shut_down(0 if self._forced.is_set() else self.config.timeout_graceful_shutdown)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            ROOM.leave(self._service)
            self._arriving.abandon()
            self.flush()

    def flush(self) -> None:
        """Write access lines that wait; for whoever ends the process without draining."""
        service: Service | None = getattr(self, "_service", None)
        if service is not None and service.access is not None:
            service.access.flush()

    def reload_certificates(self) -> None:
        """Read the certificates again, for connections to come; if they cannot be used, say so and keep the old."""
        if self._tls is not None:
            self._tls.reload()

    # Accepting

    def _listeners_of(self, sockets: Iterable[socket.socket]) -> list[Listener]:
        secure = self._tls is not None
        return [Listener(each, self.config.backlog, self._arriving, secure=secure) for each in sockets]

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        if self._bound is not None:
            self._bound.close()

    def listen(self, sockets: Iterable[socket.socket]) -> list[Listener]:
        """Accept connections from these bound sockets, too, which are the server's from now on."""
        added = self._listeners_of(sockets)
        if self._service.stopping:
            for listener in added:
                listener.close()
            return []
        self._listeners += added
        if self._accepting:
            for listener in added:
                listener.resume(self._connect)
        return added

    def forget(self, listeners: Iterable[Listener]) -> None:
        """Accept no more from these, and close their sockets; connections that are open go on."""
        for listener in listeners:
            if listener in self._listeners:
                self._listeners.remove(listener)
                listener.close()

    def _accept(self) -> None:
        self._accepting = True
        for listener in self._listeners:
            listener.resume(self._connect)

    def _connect(self) -> HttpConnection:
        service = self._service
        service.opened += 1
        if self._accepting and ROOM.is_full:
            self._accepting = False
            ROOM.fall_short()
            for listener in self._listeners:
                listener.pause()
            if not self._pause_reported:
                self._pause_reported = True
                logger.warning(
                    "%d connections are open, as many as the limit of descriptors allows: no more are accepted until "
                    "some end (ulimit -n raises it)",
                    ROOM.taken,
                )
        return HttpConnection(service)

    def _sweep(self) -> None:
        """Once a second: the date, access lines, deadlines."""
        service = self._service
        self._timer = service.loop.call_later(TICK_SECONDS, self._sweep)
        service.tick()
        if service.access is not None:
            service.access.tick()
        now = service.clock()
        if service.gate is not None:
            service.gate.check_deadlines(now)
        self._ticks += 1
        if self._tls is not None and self._ticks % _CERTIFICATE_TICKS == 0:
            self._tls.check_files()
        # What the deadline of a connection is that has been idle for so long.
        resting = now + service.keep_alive_seconds - _REST_SECONDS
        for connection in list(service.connections):
            # Compared here, because a call for each of ten thousand idle connections would be felt.
            deadline = connection.read_deadline
            if now >= deadline or now >= connection.write_deadline:
                connection.check_deadlines(now)
            elif deadline <= resting:
                connection.rest()
        # Counted anew: a connection that failed between accept() and connection_made is never lost.
        service.opened = len(service.connections) + self._arriving.count
        if not service.stopping:
            if ROOM.stays_short():
                self._make_room(resting)  # also for others, whose clients wait while ours do nothing
            elif not self._accepting:
                self._accept()

    def _make_room(self, resting: float) -> None:
        """End those connections that have been idle for longest, if that is long: they keep others out.

        *resting* is what the deadline of one is that has been.
        """
        excess = ROOM.excess
        for connection in sorted(self._service.connections, key=_read_deadline):
            if not excess or connection.read_deadline > resting:
                break
            excess -= connection.give_way()

    # Stopping

    async def _drain(self) -> None:
        self._service.begin_stop(patient=self._patient)
        self._draining = True
        self._accepting = False
        self._close_listeners()
        await drain(self._service, self._forced)


def _read_deadline(connection: Connection) -> float:
    return connection.read_deadline
