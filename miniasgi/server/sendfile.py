"""Files to sockets without a copy in between, on asyncio and on uvloop alike.

uvloop has no loop.sendfile, so a duplicate of the socket's descriptor is written to, which either loop can watch
beside the transport's own. Where the platform or the transport (TLS) cannot, the file is read and written in pieces.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, Future, Transport
from typing import Protocol

from ..errors import ApplicationError, ClientDisconnected

__all__ = ["FileTarget", "send_file"]

# 1 MiB: how much of a file one client may take before others have their turn.
_SLICE = 1024 * 1024
# 256 KiB: how much is read at a time where sendfile cannot be used.
_PIECE = 256 * 1024


class FileTarget(Protocol):
    """What send_file needs of a connection."""

    loop: AbstractEventLoop
    transport: Transport
    write_paused: bool

    async def drain(self) -> None: ...

    def await_socket(self) -> Future[None]:
        """A future to wait on while the socket takes nothing; resolved, too, when the connection is lost."""

    def socket_ready(self) -> None:
        """Learn that the wait is over."""


async def send_file(target: FileTarget, file: int, offset: int, count: int) -> None:
    """Send *count* octets of the open *file* from *offset*, and return when the kernel has them.

    Raises:
        ClientDisconnected: the client went away meanwhile.
        ApplicationError: the file ended before *count* octets.
    """
    transport = target.transport
    socket = transport.get_extra_info("socket")
    if not hasattr(os, "sendfile") or socket is None or transport.get_extra_info("ssl_object") is not None:
        await _send_by_reading(target, file, offset, count)
        return
    await _flush(target)
    # The transport may close its own descriptor while we wait, and the number be given to another client.
    descriptor = os.dup(socket.fileno())
    try:
        end = offset + count
        while offset < end:
            if transport.is_closing():
                raise ClientDisconnected("the client has gone")
            try:
                sent = os.sendfile(descriptor, file, offset, min(end - offset, _SLICE))
            except BlockingIOError:
                await _writable(target, descriptor)
                continue
            except ConnectionError as error:
                transport.abort()
                raise ClientDisconnected("the client has gone") from error
            except OSError:
                # Not every file can be sent so: one in /proc, say. What is wrong with the others, reading tells.
                await _send_by_reading(target, file, offset, end - offset)
                return
            if not sent:
                raise ApplicationError(f"the file ends {end - offset} octets before what was announced")
            offset += sent
            if sent == _SLICE:
                await _writable(target, descriptor)
    finally:
        os.close(descriptor)


async def _flush(target: FileTarget) -> None:
    """Wait until nothing is left in the transport's buffer, which would otherwise come after the file."""
    transport = target.transport
    low, high = transport.get_write_buffer_limits()
    # With a limit of nothing, the transport pauses at once and resumes when its buffer is empty.
    transport.set_write_buffer_limits(0)
    try:
        await target.drain()
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits(high, low)
    if transport.is_closing():
        raise ClientDisconnected("the client has gone")


async def _writable(target: FileTarget, descriptor: int) -> None:
    """Wait until the socket takes more, or the connection is lost."""
    waiter = target.await_socket()
    target.loop.add_writer(descriptor, _wake, waiter)
    try:
        await waiter
    finally:
        target.loop.remove_writer(descriptor)
        target.socket_ready()


def _wake(waiter: Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _send_by_reading(target: FileTarget, file: int, offset: int, count: int) -> None:
    end = offset + count
    while offset < end:
        if target.transport.is_closing():
            raise ClientDisconnected("the client has gone")
        try:
            data = os.pread(file, min(end - offset, _PIECE), offset)
        except OSError as error:
            raise ApplicationError(f"the file cannot be read: {error}") from error
        if not data:
            raise ApplicationError(f"the file ends {end - offset} octets before what was announced")
        target.transport.write(data)
        offset += len(data)
        if target.write_paused:
            await target.drain()
