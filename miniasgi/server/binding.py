"""Sockets bound to an address, before anybody listens: by a server alone, or by the supervisor of several."""

from __future__ import annotations

import os
import socket

from ..errors import StartupError

__all__ = ["bind", "url_of"]


def bind(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Sockets bound to every address of *host*, all on one port, which is the system's choice where *port* is 0.

    With *reuse_port*, others may be bound there in the same way (SO_REUSEPORT).

    Raises StartupError naming address and reason.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartupError(f"cannot listen on {_show(host, port)}: {error.strerror or error}") from error
    except UnicodeError as error:  # from the codec for names of hosts, such as of one with two dots in a row
        raise StartupError(f"cannot listen on {_show(host, port)}: not the name of a host") from error
    bound: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        if bound and not port:
            address = (address[0], bound[0].getsockname()[1], *address[2:])
        try:
            listener = socket.socket(family, kind, protocol)
        except OSError:
            continue  # a kernel without IPv6 may still be told of addresses that have it
        try:
            if os.name == "posix":
                # A server that starts again must not wait for its predecessor's connections to be forgotten.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                # The same on every system: "::" is IPv6 only, and IPv4 is listened to where its address is named.
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Connections inherit it: an answer must not wait for the client to acknowledge the one before.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.setblocking(False)
            listener.bind(address)
        except OSError as error:
            for other in (listener, *bound):
                other.close()
            shown = _show(str(address[0]), int(address[1]))
            raise StartupError(f"cannot listen on {shown}: {error.strerror or error}") from error
        bound.append(listener)
    if not bound:
        raise StartupError(f"cannot listen on {_show(host, port)}: the system has no sockets for such addresses")
    return bound


def url_of(bound: socket.socket) -> str:
    """Where what is bound to it can be reached."""
    host, port = bound.getsockname()[:2]
    return f"http://{_show(host, port)}"


def _show(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
