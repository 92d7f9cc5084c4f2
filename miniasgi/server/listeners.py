"""Listening sockets: bound once, served by the event loop for as long as connections can be taken.

Knows sockets and the loop. Does not know what a connection is: it is given a factory.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from ..errors import StartupError

__all__ = ["Listener", "bind", "descriptors_to_spare"]

# 128: connections that asyncio accepts in one go. What it accepts is counted only later, so the pause at the limit of
# descriptors comes up to that many too late.
_ACCEPTED_AT_ONCE = 128
# 32: descriptors left for the application's and the server's own files.
_RESERVE = 32


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of *host*, all on one port, which is the system's choice where *port* is 0.

    Raises StartupError naming address and reason.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartupError(f"cannot listen on {_show(host, port)}: {error.strerror or error}") from error
    bound: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        if bound and not port:
            address = (address[0], bound[0].getsockname()[1], *address[2:])
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                # A server that starts again must not wait for its predecessor's connections to be forgotten.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # The same on every system: "::" is IPv6 only, and IPv4 is listened to where its address is named.
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setblocking(False)
            listener.bind(address)
        except OSError as error:
            for other in (listener, *bound):
                other.close()
            shown = _show(str(address[0]), int(address[1]))
            raise StartupError(f"cannot listen on {shown}: {error.strerror or error}") from error
        bound.append(listener)
    return bound


def _show(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def descriptors_to_spare() -> int:
    """How many connections may be open before descriptors run out, as things stand."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        used = len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))
    except (ImportError, OSError):
        return 1 << 30
    if limit == resource.RLIM_INFINITY:
        return 1 << 30
    return int(max(limit - used - _RESERVE - _ACCEPTED_AT_ONCE, 8))


class Listener:
    """One bound socket, and the loop's server on it while connections are accepted.

    Pausing closes that server but not the socket: clients queue in the kernel and are served after resume().
    """

    def __init__(self, bound: socket.socket, backlog: int) -> None:
        self._socket = bound
        self._backlog = backlog
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that it is bound to."""
        name = self._socket.getsockname()
        return name[0], name[1]

    @property
    def url(self) -> str:
        return f"http://{_show(*self.address)}"

    async def resume(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """Accept connections; *factory* makes the protocol of each."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(factory, sock=self._socket.dup(), backlog=_ACCEPTED_AT_ONCE)
            # The loop accepts as many at once as its backlog; the kernel may well queue more.
            self._socket.listen(self._backlog)

    def pause(self) -> None:
        """Accept no more for now."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def close(self) -> None:
        """Give the address back."""
        self.pause()
        self._socket.close()
