"""The listening sockets of a server with several workers: the supervisor's, so that no worker's end closes them.

Each worker has a place. Where the system spreads connections over several sockets of one address (SO_REUSEPORT), each
place has sockets of its own; elsewhere all places share one set. A connection waits in the queue of the socket that
the system has chosen for it, so a place that nobody serves must be served by the others: see Supervisor.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ..config import Config
from ..errors import StartupError
from ..server.binding import bind, url_of

__all__ = ["Places", "spreads_connections"]


def spreads_connections() -> bool:
    """Whether the system has SO_REUSEPORT, and with the meaning that is needed here."""
    # macOS and some BSDs have the name, but give all connections to the socket that was bound last.
    return hasattr(socket, "SO_REUSEPORT") and hasattr(socket, "SO_INCOMING_CPU")


class Places:
    """Sockets by place, from 1. Raises StartupError where the address cannot be had."""

    def __init__(self, config: Config, *, sets: int = 1) -> None:
        """*sets*: how many threads share a place, each with sockets of its own."""
        self._config = config
        self._sets = sets
        self.own_sockets = spreads_connections() if config.reuse_port is None else config.reuse_port
        if self.own_sockets and not spreads_connections():
            raise StartupError("--reuse-port: this system does not spread connections over several sockets")
        self._sockets: dict[int, list[socket.socket]] = {}
        #: What those are called that clients may have connected to.
        self.opened: set[int] = set()
        port = config.port
        if config.reuse_port is None or not self.own_sockets:
            # Without SO_REUSEPORT at first, which fails where another server, of ours or not, listens already.
            probe = bind(config.host, port)
            port = probe[0].getsockname()[1]
            if self.own_sockets:
                for each in probe:
                    each.close()
            else:
                self._sockets[0] = probe
        if self.own_sockets:
            self._sockets[1] = self._bind_sets(port)
            port = self._sockets[1][0].getsockname()[1]
        self._port: int = port

    @property
    def urls(self) -> list[str]:
        """Where the server can be reached."""
        return list(dict.fromkeys(url_of(each) for each in next(iter(self._sockets.values()))))

    def key(self, place: int) -> int:
        """What the sockets of *place* are called; the same for all where they are shared."""
        return place if self.own_sockets else 0

    def sockets(self, key: int) -> Sequence[socket.socket]:
        """Those that are called *key*. Raises StartupError if they cannot be bound."""
        found = self._sockets.get(key)
        if found is None:
            found = self._sockets[key] = self._bind_sets(self._port)
        if key not in self.opened:
            # Not left to the worker: who reads that the server is ready may connect before the worker has got them.
            for each in found:
                each.listen(self._config.backlog)
            self.opened.add(key)
        return found

    def _bind_sets(self, port: int) -> list[socket.socket]:
        found: list[socket.socket] = []
        try:
            for _ in range(self._sets):
                found += bind(self._config.host, port, reuse_port=True)
                port = found[0].getsockname()[1]
        except StartupError:
            for each in found:
                each.close()
            raise
        return found

    def close(self) -> None:
        """Give the address back, as far as no worker has it still."""
        for sockets in self._sockets.values():
            for each in sockets:
                each.close()
        self._sockets.clear()
        self.opened.clear()
