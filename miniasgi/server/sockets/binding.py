"""Sockets bound to addresses, before anybody listens: by a server alone, or by the supervisor of several.

Knows addresses and sockets. Does not listen and accepts nothing (listeners).
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import socket
import stat
from collections.abc import Sequence
from typing import Any

from ...config import OPTIONS, Config
from ...config.addresses import Address, Descriptor, TcpAddress, UnixAddress
from ...errors import StartupError
from . import activation
from .unix_sockets import SocketFile, bind_unix

__all__ = ["Bound", "addresses", "bind", "bind_all", "remove_files", "url_of"]

logger = logging.getLogger("miniasgi.server")

# A client that has vanished without a word is found out after two minutes: 60 s of silence, then four questions that
# stay unanswered for 15 s each. TCP_KEEPALIVE is what macOS calls the first.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_TCP = (socket.AF_INET, socket.AF_INET6)
# 16: how many ports of the system's choice are tried for a host of several addresses; two in a row are seldom in use.
_CHOICES = 16


def addresses(config: Config) -> list[Address]:
    """Where *config* says to listen, each address once: bind, uds and fd together, else the sockets that systemd has
    passed, else host and port. What is not used for that is said in the log.
    """
    passed = activation.passed()
    given: list[Address] = [*config.bind]
    if config.uds:
        given.append(UnixAddress(config.uds))
    if config.fd is not None:
        given.append(Descriptor(config.fd))
    activated: list[Address] = [Descriptor(number) for number in passed.sockets]
    unused = [
        f"{each.flag} {each.kind.show(getattr(config, each.name))}"
        for each in OPTIONS
        if each.name in ("host", "port") and getattr(config, each.name) != each.default
    ]
    if unused and (given or activated):
        instead = "--bind, --uds or --fd says where to listen" if given else "systemd has passed sockets to listen on"
        logger.warning("not used: %s, because %s", " and ".join(unused), instead)
    if given:
        left = [
            f"fd://{number} ({name or 'without a name'})"
            for number, name in passed.sockets.items()
            if Descriptor(number) not in given
        ]
        if left:
            logger.warning("not used: %s, passed by systemd; --bind, --uds and --fd name others", ", ".join(left))
    elif passed.missed_by:
        logger.warning(
            "not used: sockets that systemd has passed to process %d, which has started this one; let systemd start "
            "the server itself, or name them, as in --bind fd://3",
            passed.missed_by,
        )
    found = given or activated or [TcpAddress(config.host, config.port)]
    unique: dict[object, Address] = {}
    for each in found:
        # A path may be written in several ways.
        unique.setdefault(os.path.abspath(each.path) if isinstance(each, UnixAddress) else each, each)
    return list(unique.values())


def url_of(bound: socket.socket, secure: bool = False) -> str:
    """Where what is bound to it can be reached; with TLS if it is *secure*."""
    name = bound.getsockname()
    if bound.family not in _TCP:
        return str(UnixAddress(os.fsdecode(name).replace("\0", "@", 1)))
    return f"{'https' if secure else 'http'}://{TcpAddress(name[0], name[1])}"


# All addresses of a server


class Bound:
    """The sockets of a server, bound and not listened to, and the files of those that have some.

    Attributes:
        sockets: all of them; whoever listens to them may close each of them, too.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._files: list[SocketFile] = []
        self._process = os.getpid()
        self.sockets: list[socket.socket] = []
        _open.add(self)

    def add(self, address: Address) -> list[socket.socket]:
        """Bind sockets to *address*. Raises StartupError if it cannot be had; what was bound before stays."""
        config = self._config
        if isinstance(address, Descriptor):
            found = [_take_over(address)]
        elif isinstance(address, UnixAddress):
            bound, file = bind_unix(address, config.uds_mode, config.uds_owner)
            self._files.append(file)
            found = [bound]
        else:
            found = bind(address.host, address.port, reuse_port=config.reuse_port is True)
            try:
                self._refuse_overlap(address, found)
            except StartupError:
                _close(found)
                raise
        self.sockets += found
        return found

    def _refuse_overlap(self, address: TcpAddress, found: list[socket.socket]) -> None:
        """Raise StartupError where the system would, when both are listened to, which is too late."""
        others = [each for each in self.sockets if each.family in _TCP]
        for new, other in itertools.product(found, others):
            (host, port), (other_host, other_port) = (each.getsockname()[:2] for each in (new, other))
            same_port = (new.family, port) == (other.family, other_port)
            if same_port and (host == other_host or {host, other_host} & {"0.0.0.0", "::"}):
                raise StartupError(f"cannot listen on {address}: {TcpAddress(other_host, port)} is listened to already")

    def close(self) -> None:
        """Give the addresses back, and remove the files of sockets, as far as they are those that were made here."""
        self.remove_files()
        for each in self.sockets:
            each.close()
        _open.discard(self)

    def remove_files(self) -> None:
        """Remove the files alone: nobody who does not know the server yet finds it any more."""
        files, self._files = self._files, []
        if self._process == os.getpid():  # else a child that was forked has inherited this object, but not the task
            for file in files:
                file.remove()


# Those that are not closed yet.
_open: set[Bound] = set()


def remove_files() -> None:
    """Remove the files of all sockets that this process has made; for one that ends without closing them."""
    for bound in list(_open):
        bound.remove_files()


def bind_all(config: Config) -> Bound:
    """The sockets of a server that looks after itself, bound to its addresses. Raises StartupError, UsageError."""
    bound = Bound(config)
    try:
        for address in addresses(config):
            bound.add(address)
    except BaseException:
        bound.close()
        raise
    return bound


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


# TCP


def bind(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Sockets bound to every address of *host*, all on one port, which is the system's choice where *port* is 0.

    An empty *host* is every interface, in IPv6 and IPv4; ``::`` is those of IPv6, ``0.0.0.0`` those of IPv4.
    With *reuse_port*, others may be bound there in the same way (SO_REUSEPORT).

    Raises StartupError naming address and reason.
    """
    asked = TcpAddress(host, port)
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise StartupError("--reuse-port: this system does not share ports")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _refusal(asked, error) from error
    except UnicodeError as error:  # from the codec for names of hosts, such as of one with two dots in a row
        raise StartupError(f"cannot listen on {asked}: not the name of a host") from error
    for _ in range(_CHOICES - 1):
        try:
            return _bind_each(asked, found, reuse_port=reuse_port)
        except StartupError as error:
            # What the system has chosen at the first address may be in use at the next.
            if port or not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EADDRINUSE:
                raise
    return _bind_each(asked, found, reuse_port=reuse_port)


def _bind_each(asked: TcpAddress, found: Sequence[Any], *, reuse_port: bool) -> list[socket.socket]:
    """Sockets bound to what getaddrinfo() has *found*. Raises StartupError."""
    bound: list[socket.socket] = []
    lacking: StartupError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        if bound and not asked.port:
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
            _prepare(listener)
            listener.bind(address)
        except OSError as error:
            listener.close()
            refusal = _refusal(TcpAddress(str(address[0]), int(address[1])), error)
            if family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
                # localhost has ::1 among its addresses in many a container whose IPv6 is switched off.
                lacking = refusal
                continue
            _close(bound)
            raise refusal from error
        bound.append(listener)
    if not bound:
        raise lacking or StartupError(f"cannot listen on {asked}: the system has no sockets for such addresses")
    return bound


def _refusal(address: Address, error: OSError) -> StartupError:
    return StartupError(f"cannot listen on {address}: {error.strerror or error}")


def _prepare(bound: socket.socket) -> None:
    """Set what holds for the server's sockets, and what the connections of TCP inherit from them."""
    bound.setblocking(False)
    if bound.family in _TCP:
        # An answer must not wait for the client to acknowledge the one before.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                bound.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# Sockets that are open already


def _take_over(address: Descriptor) -> socket.socket:
    """The socket under this number, which is the server's from now on: to others who have it, nothing changes.

    Not a duplicate: a server that stops must not leave connections to wait at a socket that nobody serves any more.
    """
    number = address.number
    try:
        is_socket = stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError as error:
        raise StartupError(f"cannot listen on {address}: no descriptor of this number is open") from error
    if not is_socket:
        raise StartupError(f"cannot listen on {address}: found a file, expected a socket")
    found = socket.socket(fileno=number)
    try:
        unfit = _unfit(found)
        if not unfit:
            os.set_inheritable(number, False)
            _prepare(found)
            return found
    except OSError as error:
        unfit = error.strerror or str(error)
    found.detach()  # not ours: it stays open
    raise StartupError(f"cannot listen on {address}: {unfit}")


def _unfit(found: socket.socket) -> str:
    """Why nobody can listen to it; empty if it is fit."""
    if found.family not in (*_TCP, getattr(socket, "AF_UNIX", None)) or found.type != socket.SOCK_STREAM:
        family, kind = (getattr(each, "name", each) for each in (found.family, found.type))
        return f"found a socket of {family} and {kind}, expected one of TCP or a Unix domain socket for streams"
    try:
        found.getpeername()
    except OSError:
        name = found.getsockname()
        is_bound = name[1] if found.family in _TCP else name
        return "" if is_bound else "found a socket without an address, expected one that is bound"
    return "found a connection, expected a socket to listen to (of systemd: Accept=no)"
