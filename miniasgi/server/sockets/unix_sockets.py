"""Unix domain sockets with their files: bound where nobody else is, with permissions, and removed again.

Knows paths and the kernel's answers. Does not listen and accepts nothing (listeners).
"""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ...config.addresses import MOST_PATH_OCTETS, UnixAddress
from ...errors import StartupError, UsageError

__all__ = ["SocketFile", "bind_unix"]

logger = logging.getLogger("miniasgi.server")


class SocketFile(NamedTuple):
    """The file of a socket, as it was made."""

    path: str
    # Device and inode alone are not enough: once the socket is closed, another file may get the same ones.
    identity: tuple[int, int, int]

    def remove(self) -> None:
        """Remove it, unless it has gone, or another one is in its place."""
        with suppress(OSError):
            if _identity(os.lstat(self.path)) == self.identity:
                os.unlink(self.path)


def bind_unix(address: UnixAddress, mode: int, owner: str) -> tuple[socket.socket, SocketFile]:
    """A socket bound to *address*, and its file, with these permissions and this owner (USER[:GROUP]; empty for ours).

    The socket of a server that has gone is replaced. Raises StartupError saying what is in the way, and UsageError
    where there is no such user or group.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise StartupError(f"cannot listen on {address}: the system has no Unix domain sockets")
    user, group = _owner(owner) if owner else (-1, -1)
    # Whatever directory the application changes to; but the path alone may be as long as an address can be.
    absolute = os.path.abspath(address.path)
    path = absolute if len(os.fsencode(absolute)) <= MOST_PATH_OCTETS else address.path
    _make_way(address, path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.bind(path)
    except OSError as error:
        bound.close()
        directory = os.path.dirname(absolute)
        if error.errno == errno.ENOENT:
            raise StartupError(f"cannot listen on {address}: there is no directory {directory}") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            what = f"nothing can be made in {directory}: {error.strerror}"
            raise StartupError(f"cannot listen on {address}: {what}") from error
        raise StartupError(f"cannot listen on {address}: {error.strerror or error}") from error
    try:
        # Nobody can connect yet, because nobody listens.
        os.chmod(path, mode)
        if owner:
            os.chown(path, user, group, follow_symlinks=False)
        return bound, SocketFile(absolute, _identity(os.lstat(absolute)))
    except OSError as error:
        os.unlink(path)
        bound.close()
        what = f"its permissions cannot be {mode:o}" + (f" and its owner {owner}" if owner else "")
        raise StartupError(f"cannot listen on {address}: {what}: {error.strerror}") from error


def _make_way(address: UnixAddress, path: str) -> None:
    """Remove the socket of a server that has gone. Raises StartupError if something else is there."""
    try:
        found = os.lstat(path)
    except OSError:
        return  # there is nothing, or bind() says better what is wrong
    if not stat.S_ISSOCK(found.st_mode):
        raise StartupError(f"cannot listen on {address}: a file is there that is no socket")
    # Datagrams: asked so, the kernel tells a socket that somebody has bound, even before it is listened to, from the
    # file of one that is gone; and a server that is there does not see a connection.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
            answer = 0
        except OSError as error:
            answer = error.errno or 0
    if answer in (0, errno.EPROTOTYPE):
        raise StartupError(f"cannot listen on {address}: another server listens there")
    if answer == errno.ENOENT:
        return
    if answer != errno.ECONNREFUSED:
        raise StartupError(f"cannot listen on {address}: nobody can tell whether it is in use: {os.strerror(answer)}")
    try:
        if _identity(os.lstat(path)) == _identity(found):  # not what somebody has put there in the meantime
            os.unlink(path)
            logger.info("replaced: %s, the socket of a server that has gone", address)
    except FileNotFoundError:
        return
    except OSError as error:
        what = f"the socket of a server that has gone cannot be removed: {error.strerror}"
        raise StartupError(f"cannot listen on {address}: {what}") from error


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _owner(owner: str) -> tuple[int, int]:
    """The numbers of USER and GROUP; -1 where there is none, as os.chown has it. Raises UsageError."""
    import grp  # neither is there on every system
    import pwd

    user, _, group = owner.partition(":")
    return (
        _number(user, "user", lambda name: pwd.getpwnam(name).pw_uid),
        _number(group, "group", lambda name: grp.getgrnam(name).gr_gid),
    )


def _number(name: str, what: str, look_up: Callable[[str], int]) -> int:
    if not name:
        return -1
    # 2**32 - 1 is what chown(2) takes for nobody.
    if re.fullmatch(r"[0-9]{1,10}", name) and int(name) < 2**32 - 1:
        return int(name)
    try:
        return look_up(name)
    except KeyError:
        raise UsageError(f"--uds-owner: found {name!r}, expected the name or the number of a {what}") from None
