"""The listening sockets of a server with several workers: the supervisor's, so that no worker's end closes them.

Each worker has a place. Where the system spreads connections over several sockets of one address (SO_REUSEPORT), each
place has sockets of its own; elsewhere all places share one set. Unix domain sockets, and those that were open already,
cannot be bound a second time: they are shared by all places in any case. A connection waits in the queue of the socket
that the system has chosen for it, so a place that nobody serves must be served by the others: see Supervisor.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ...config import Config
from ...config.addresses import TcpAddress
from ...errors import StartupError
from ...server.sockets.binding import Bound, addresses, bind, url_of

__all__ = ["Places", "spreads_connections"]

# 64: as many as a worker is given at once (channel).
_MOST_SOCKETS = 64


def spreads_connections() -> bool:
    """Whether the system has SO_REUSEPORT, and with the meaning that is needed here."""
    # macOS and some BSDs have the name, but give all connections to the socket that was bound last.
    return hasattr(socket, "SO_REUSEPORT") and hasattr(socket, "SO_INCOMING_CPU")


class Places:
    """Sockets by place, from 1. Raises StartupError where an address cannot be had.

    Attributes:
        urls: where the server can be reached.
        own_sockets: whether each place has sockets of its own, beside those that are shared.
        opened: what those are called that clients may have connected to.
    """

    def __init__(self, config: Config, *, sets: int = 1) -> None:
        """*sets*: how many threads share a place, each with sockets of its own."""
        self._config = config
        if config.reuse_port and not spreads_connections():
            raise StartupError("--reuse-port: this system does not spread connections over several sockets")
        spread = spreads_connections() if config.reuse_port is None else config.reuse_port
        found = addresses(config)
        self.own_sockets = spread and any(isinstance(each, TcpAddress) for each in found)
        self.urls: list[str] = []
        self.opened: set[int] = set()
        self._own: list[TcpAddress] = []  # what each place binds for itself, with the ports that the system has chosen
        self._sockets: dict[int, list[socket.socket]] = {}
        self._shared = Bound(config)
        # Without SO_REUSEPORT, unless it is asked for, which fails where another server, of ours or not, listens.
        probe = Bound(config)
        secure = bool(config.ssl_certfile or config.ssl_context_factory)
        try:
            for address in found:
                if self.own_sockets and isinstance(address, TcpAddress):
                    bound = probe.add(address)
                    self._own.append(TcpAddress(address.host, bound[0].getsockname()[1]))
                else:
                    bound = self._shared.add(address)
                self.urls += [url_of(each, secure) for each in bound]
            if len(self.urls) > _MOST_SOCKETS:
                raise StartupError(f"found {len(self.urls)} addresses to listen on, expected at most {_MOST_SOCKETS}")
            self._sets = min(sets, _MOST_SOCKETS // len(self.urls)) if self.own_sockets else 1
            probe.close()
            self._sockets[self.key(1)] = self._bind_sets()
        except BaseException:
            probe.close()
            self._shared.close()
            raise

    def key(self, place: int) -> int:
        """What the sockets of *place* are called; the same for all where they are shared."""
        return place if self.own_sockets else 0

    def sockets(self, key: int) -> Sequence[socket.socket]:
        """Those that are called *key*. Raises StartupError if they cannot be had."""
        found = self._sockets.get(key)
        if found is None:
            found = self._sockets[key] = self._bind_sets()
        if key not in self.opened:
            # Not left to the worker: who reads that the server is ready may connect before the worker has got them.
            for each in found:
                try:
                    each.listen(self._config.backlog)
                except OSError as error:
                    # Such as another server's that was bound at the same moment, and was faster.
                    raise StartupError(f"cannot listen on {url_of(each)}: {error.strerror or error}") from error
            self.opened.add(key)
        return found

    def _bind_sets(self) -> list[socket.socket]:
        """A set for each thread: its own sockets, and those that all share."""
        found: list[socket.socket] = []
        own: list[socket.socket] = []
        try:
            for _ in range(self._sets):
                for host, port in self._own:
                    bound = bind(host, port, reuse_port=True)
                    own += bound
                    found += bound
                found += self._shared.sockets
        except StartupError:
            for each in own:
                each.close()
            raise
        return found

    def close(self) -> None:
        """Give the addresses back, as far as no worker has them still."""
        self._shared.close()
        for sockets in self._sockets.values():
            for each in sockets:
                each.close()
        self._sockets.clear()
        self.opened.clear()
