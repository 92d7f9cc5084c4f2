"""What comes on a new connection before HTTP does: the header of the PROXY protocol, and TLS.

Knows sockets that have been accepted, and the loop. Does not know what a connection is: a protocol takes it over. Every
wait is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from asyncio import AbstractEventLoop, BaseProtocol, Task
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from ...asgi.trusted import TrustedPeers
from ...config import Config
from ...config.addresses import TcpAddress
from ...errors import BadRequest
from ...http1.response import encode_error
from .first_octets import PLAIN_HTTP_ANSWER, looks_like_http
from .proxy_protocol import MOST_OCTETS, Arrival, read_proxy_header

if TYPE_CHECKING:
    from ..tls.tls import Tls

__all__ = ["Arriving", "ArrivingProtocol"]

logger = logging.getLogger("miniasgi.server")

# A day, because it counts from when a connection is closed and not from when all has been sent: a client that takes its
# time would lose the end of its response. The connection's own deadlines are what bounds it (connections.ending).
_SHUTDOWN_SECONDS = 24 * 3600.0
# 0.001 s: loops take no deadline that is over.
_LEAST_SECONDS = 0.001
# 1 s and 64 KiB: for one who has been refused to see why before the connection is closed.
_LINGER_SECONDS = 1.0
_LINGER_OCTETS = 64 * 1024


class ArrivingProtocol(Protocol):
    """What a connection is handed over to."""

    #: What a proxy has said of it, set before connection_made.
    arrival: Arrival | None


class Arriving:
    """Connections that have been accepted and not yet been handed over.

    Without arguments nothing comes before HTTP.
    """

    def __init__(self, config: Config | None = None, tls: Tls | None = None) -> None:
        self._tls = tls
        self._peers = None
        self._handshake_seconds = self._header_seconds = 0.0
        if config is not None:
            self._peers = TrustedPeers(config.forwarded_allow_ips) if config.proxy_protocol else None
            self._handshake_seconds = config.timeout_ssl_handshake
            self._header_seconds = config.timeout_request_header
        # Held, because asyncio holds tasks weakly; of each the protocol.
        self._tasks: dict[Task[None], BaseProtocol] = {}
        # Those that have no transport yet.
        self._expecting: set[BaseProtocol] = set()
        # Those of whom nothing has come yet.
        self._silent: set[Task[None]] = set()
        # Those who are being told that they are refused.
        self._refusing: set[Task[None]] = set()
        #: Called when one has been handed over, or has gone.
        self.on_change: Callable[[], None] = _nothing

    @property
    def count(self) -> int:
        """How many have not been handed over."""
        return len(self._expecting)

    def take(self, loop: AbstractEventLoop, client: socket.socket, protocol: BaseProtocol) -> None:
        """Hand *client* over to *protocol* as soon as HTTP may come."""
        task = loop.create_task(self._open(loop, client, protocol))
        self._tasks[task] = protocol
        self._expecting.add(protocol)
        task.add_done_callback(self._discard)

    def arrived(self, protocol: BaseProtocol) -> None:
        """Learn that *protocol* has its transport."""
        self._expecting.discard(protocol)

    def _discard(self, task: Task[None]) -> None:
        self._refusing.discard(task)
        self._expecting.discard(self._tasks.pop(task))
        self.on_change()

    def hurry(self, *, begun: bool) -> None:
        """End those of whom nothing has come yet; with *begun*, also who has begun, and would not be let ask."""
        begun = begun and (self._peers is not None or self._tls is not None)
        for task, protocol in self._tasks.items():
            # One that has been handed over is its connection's.
            if protocol in self._expecting and task not in self._refusing and (begun or task in self._silent):
                task.cancel()

    def abandon(self) -> None:
        """End all, because the server does."""
        for task in self._tasks:
            task.cancel()

    async def _open(self, loop: AbstractEventLoop, client: socket.socket, protocol: Any) -> None:
        shown = "-"
        try:
            if self._peers is None and self._tls is None:
                await loop.connect_accepted_socket(lambda: protocol, client)
                return
            shown = _shown(client)  # now, because one who has gone has no name
            if self._peers is not None and self._peers.trusts(_peer(client)):
                protocol.arrival = await self._read_header(loop, client)
            if self._tls is None:
                await loop.connect_accepted_socket(lambda: protocol, client)
            else:
                await self._shake_hands(loop, client, protocol, self._tls)
        except BadRequest as error:
            logger.info("%s: refused with 400: %s", shown, error)
            await self._refuse(loop, client, encode_error(400, b""))
        except TimeoutError:
            logger.info("%s: closed: too slow to begin", shown)
            client.close()
        except _NothingCame:
            client.close()
        except OSError as error:  # the client has gone already, or does not speak TLS as it is spoken here
            if self._tls is not None:
                logger.info("%s: no TLS: %s", shown, _reason(error))
            client.close()
        except asyncio.CancelledError:
            client.close()
            raise

    async def _readable(self, loop: AbstractEventLoop, client: socket.socket) -> None:
        """Wait until something can be read."""
        try:
            client.recv(1, socket.MSG_PEEK)
            return
        except BlockingIOError:
            pass
        except ConnectionError:
            return  # nothing will come, which is to be read as well
        waiter = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None
        self._silent.add(task)
        loop.add_reader(client.fileno(), waiter.set)
        try:
            await waiter.wait()
        finally:
            self._silent.discard(task)
            loop.remove_reader(client.fileno())

    async def _read_header(self, loop: AbstractEventLoop, client: socket.socket) -> Arrival | None:
        """Take the header of the PROXY protocol off, and no octet more."""
        head = b""
        async with asyncio.timeout(self._header_seconds):
            while True:
                await self._readable(loop, client)
                data = _peek(client, MOST_OCTETS - len(head))
                found = read_proxy_header(head + data)
                if found is not None:
                    arrival, length = found
                    client.recv(length - len(head))
                    return arrival
                # All of it belongs to the header, so it can be taken: what is only looked at would wake us again.
                head += client.recv(len(data))

    async def _shake_hands(self, loop: AbstractEventLoop, client: socket.socket, protocol: Any, tls: Tls) -> None:
        began = loop.time()
        try:
            async with asyncio.timeout(self._handshake_seconds):
                await self._readable(loop, client)
        except TimeoutError:
            raise _NothingCame from None
        first = _peek(client, 8)
        if looks_like_http(first):
            logger.info("%s: plain HTTP where HTTPS is spoken", _shown(client))
            await self._refuse(loop, client, PLAIN_HTTP_ANSWER)
            return
        tls.expect(client)
        await loop.connect_accepted_socket(
            lambda: protocol,
            client,
            ssl=tls.context,
            ssl_handshake_timeout=max(began + self._handshake_seconds - loop.time(), _LEAST_SECONDS),
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )

    async def _refuse(self, loop: AbstractEventLoop, client: socket.socket, answer: bytes) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._refusing.add(task)
        await _refuse(loop, client, answer)


class _NothingCame(ConnectionError):
    """The client has gone, or is sent away, before it has said what it came for.

    Nothing is logged of it, as where HTTP comes first: balancers look in this way, and often, whether somebody listens,
    and browsers open connections for which they then have no use.
    """


def _peek(client: socket.socket, octets: int) -> bytes:
    """What has come, and stays to be read. Raises _NothingCame."""
    data = b""
    with suppress(ConnectionError):
        data = client.recv(octets, socket.MSG_PEEK)
    if not data:
        raise _NothingCame
    return data


def _nothing() -> None:
    """Nobody wants to know."""


async def _refuse(loop: AbstractEventLoop, client: socket.socket, answer: bytes) -> None:
    """Answer, and close when the client has seen it: octets that are left unread would overtake it with a reset."""
    try:
        client.send(answer)
        client.shutdown(socket.SHUT_WR)
        left = _LINGER_OCTETS
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0:
                data = await loop.sock_recv(client, left)
                if not data:
                    break
                left -= len(data)
    except OSError:
        pass  # it has gone, or its time is up
    finally:
        client.close()  # also when the server ends meanwhile


def _peer(client: socket.socket) -> tuple[str, int] | None:
    """The name of a client of TCP. Raises _NothingCame: it has gone with a reset, and its name with it."""
    try:
        name = client.getpeername()
    except OSError:
        raise _NothingCame from None
    return (name[0], name[1]) if isinstance(name, tuple) else None


def _shown(client: socket.socket) -> str:
    try:
        peer = _peer(client)
    except OSError:
        peer = None
    return str(TcpAddress(*peer)) if peer else "-"


def _reason(error: OSError) -> str:
    """What OpenSSL or the system says, without the place in its source."""
    if isinstance(error, ConnectionAbortedError):
        return "the handshake takes too long"  # where loops tell how much of the time was left for them
    # asyncio's word for a client that goes in the middle of it is an error without any.
    return getattr(error, "reason", None) or error.strerror or str(error) or "the client has gone"
