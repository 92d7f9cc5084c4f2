"""Files to sockets without a copy in between, on asyncio and on uvloop alike.

uvloop has no loop.sendfile, so the socket is written to behind its transport's back, whose buffer must be empty then.
Where the platform or the transport (TLS) does not allow that, the file is read and written in pieces. Knows transports
and descriptors. Does not know HTTP, nor how a disk is waited for (connections.warming).
"""

from __future__ import annotations

import os
import socket
import sys
from asyncio import AbstractEventLoop, Future, Transport, sleep
from typing import Protocol

from ...errors import ClientDisconnected, FileEnded
from ...page_cache import is_cold
from .warming import Warming

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import TIOCOUTQ

__all__ = ["FileTarget", "send_file", "unacknowledged"]

# 512 KiB: how much of a file one client may take before others have their turn, 0.1 ms on loopback. 256 KiB cost up to
# a third more of CPU for a file of 1 MiB; 1 and 2 MiB save nothing that can be measured (uvloop, 2026-11).
_SLICE = 512 * 1024
# 32 KiB: how much is read at a time where sendfile cannot be used, and what a transport then holds before we wait. A
# client of TLS that takes nothing costs 0.2 MiB so, 1.4 with pieces of 256 KiB and the 512 KiB that transports for TLS
# hold by themselves. CPU for 100 MiB: 51 ms, with pieces of 256 KiB 75 (uvloop, CPython 3.11, 2026-11).
_PIECE = 32 * 1024
# How much of that one client may take before others have their turn. asyncio complains of a fifth piece for nobody.
_TURN = 4 * _PIECE
# Without it, the head leaves in a packet of its own.
_MORE = getattr(socket, "MSG_MORE", 0)

# How a slice went: it was the last; the socket takes no more for now, or it is others' turn; the disk has to be waited
# for; this file or this socket is not one for sendfile.
_SENT, _FULL, _COLD, _REFUSED = range(4)


class FileTarget(Protocol):
    """What send_file needs of a connection."""

    loop: AbstractEventLoop
    transport: Transport
    write_paused: bool

    async def drain(self) -> None: ...

    def await_socket(self) -> Future[None]:
        """A future to wait on until more of a file can be sent; resolved, too, when the connection is lost."""

    def socket_took(self) -> None:
        """Give the client its time, from now on, to take some more; until socket_ready()."""

    def socket_ready(self) -> None:
        """Learn that the wait is over."""


async def send_file(target: FileTarget, head: bytes, file: int, offset: int, count: int) -> None:
    """Send *head*, then *count* octets (at least one) of the open *file* from *offset*. The kernel has them afterwards.

    Raises:
        ClientDisconnected: the client went away meanwhile.
        FileEnded: the file ended before *count* octets.
    """
    transport = target.transport
    _check_open(transport)
    connected = transport.get_extra_info("socket")
    if connected is None or not hasattr(os, "sendfile") or transport.get_extra_info("ssl_object") is not None:
        if head:
            transport.write(head)
        transport.set_write_buffer_limits(_PIECE)
        await _send_by_reading(target, file, offset, offset + count)
        return
    if head and not transport.get_write_buffer_size():
        head = _send_head(connected.fileno(), head)
    if head:
        transport.write(head)
    if transport.get_write_buffer_size():
        await _flush(target)
    delivery = _Delivery(target, file, offset, count)
    # Most files leave at once: the transport's own descriptor will do, because nothing is waited for in between.
    state = delivery.send_slice(connected.fileno())
    if state != _SENT:
        await delivery.send_rest(connected.fileno(), state)


def unacknowledged(transport: Transport) -> int:
    """How many octets the kernel keeps until the client has them; 0 where it does not say."""
    connected = transport.get_extra_info("socket")
    if connected is None or sys.platform == "win32":
        return 0
    try:
        return int.from_bytes(ioctl(connected.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):
        return 0


def _check_open(transport: Transport) -> None:
    if transport.is_closing():
        raise ClientDisconnected("the client has gone")


def _send_head(descriptor: int, head: bytes) -> bytes:
    """Give the kernel what it is to send together with the file. Returns what it has not taken.

    CPU of the server for a file of 100 KiB: 24.6 µs with MSG_MORE, 27.4 with os.write(), 26.9 through the transport and
    a turn of the loop; that of eight clients of 1 MiB is nearly halved (uvloop, CPython 3.11, 2026-11). TCP_CORK is the
    same with two more calls of the kernel, which take uvloop's socket 3 µs.
    """
    # send() looks neither at the family nor at the type.
    borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
    try:
        return head[borrowed.send(head, _MORE) :]
    except OSError:
        return head  # the transport finds out what is wrong
    finally:
        borrowed.detach()


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
    _check_open(transport)


class _Delivery:
    """A part of a file on its way to a socket, from slice to slice."""

    __slots__ = ("_checked", "_descriptor", "_end", "_error", "_file", "_offset", "_state", "_target", "_waiter")

    _descriptor: int  # where to send; set by send_rest, like the next two
    _state: int  # how the last slice went
    _error: Exception | None  # what ended the wait, if it is an error
    _waiter: Future[None]  # what send_rest waits on; set by _become_writable

    def __init__(self, target: FileTarget, file: int, offset: int, count: int) -> None:
        self._target = target
        self._file = file
        self._offset = offset
        self._end = offset + count
        # Up to where the file need not be asked for in the page cache (any more).
        self._checked = offset

    def send_slice(self, descriptor: int) -> int:
        """Send as much as the socket takes, up to a slice. Returns how it went; raises as send_file does."""
        offset, checked, end = self._offset, self._checked, self._end
        if checked < end and checked - offset < _SLICE:
            ahead = min(end - checked, _SLICE)
            if not is_cold(self._file, checked, ahead):
                self._checked = checked = checked + ahead
            elif checked == offset:
                return _COLD
        try:
            sent = os.sendfile(descriptor, self._file, offset, min(checked - offset, _SLICE))
        except BlockingIOError:
            return _FULL
        except ConnectionError as error:
            self._target.transport.abort()
            raise ClientDisconnected("the client has gone") from error
        except OSError:
            # Not every file can be sent so: one in /proc, say. What is wrong with the others, reading tells.
            return _REFUSED
        if not sent:
            raise FileEnded(f"the file ends {end - offset} octets before what was announced")
        self._offset = offset + sent
        return _SENT if offset + sent == end else _FULL

    async def send_rest(self, descriptor: int, state: int) -> None:
        """Go on where a slice has not been the last, on a duplicate of the *descriptor*."""
        if state != _REFUSED:
            try:
                # The transport may close its own while we wait, and the number be given to another client.
                self._descriptor = os.dup(descriptor)
            except OSError:  # there are none left
                state = _REFUSED
        if state != _REFUSED:
            self._state, self._error = state, None
            try:
                while self._state in (_FULL, _COLD):
                    await (self._warm() if self._state == _COLD else self._become_writable())
                    if self._error is not None:
                        raise self._error
                    if self._state != _SENT:
                        _check_open(self._target.transport)
            finally:
                os.close(self._descriptor)
                self._error = None  # its traceback holds this frame, and with it the connection
            state = self._state
        if state == _REFUSED:
            await _send_by_reading(self._target, self._file, self._offset, self._end)

    async def _become_writable(self) -> None:
        """Send slice after slice, whenever the socket takes more, until that does not help."""
        target = self._target
        self._waiter = target.await_socket()
        target.socket_took()
        try:
            # One registration for all slices: each would cost two calls of the kernel, a future and a turn of the loop.
            target.loop.add_writer(self._descriptor, self._on_writable)
            await self._waiter
        finally:
            target.loop.remove_writer(self._descriptor)
            target.socket_ready()

    def _on_writable(self) -> None:
        if self._waiter.done():
            return
        offset = self._offset
        try:
            _check_open(self._target.transport)
            self._state = self.send_slice(self._descriptor)
        except Exception as error:
            # Not by set_exception(): were the task cancelled now, nobody would retrieve it.
            self._error = error
        else:
            if self._state == _FULL:
                if self._offset != offset:
                    self._target.socket_took()
                return
        self._waiter.set_result(None)

    async def _warm(self) -> None:
        ahead = min(self._end - self._checked, _SLICE)
        await _read_ahead(self._target, self._file, self._checked, ahead)
        # Whatever has come of it: once is enough to wait.
        self._checked += ahead
        _check_open(self._target.transport)
        self._state = self.send_slice(self._descriptor)


async def _read_ahead(target: FileTarget, file: int, offset: int, count: int) -> None:
    """Wait for a part of *file* to be in memory, or for the connection to be lost."""
    waiter = target.await_socket()
    try:
        try:
            warming = Warming(target.loop, file, offset, count)
        except (OSError, RuntimeError):
            return  # then the loop has to wait for the disk
        warming.ended.add_done_callback(lambda _: _resolve(waiter))
        try:
            await waiter
        finally:
            warming.abandon()
    finally:
        target.socket_ready()


def _resolve(waiter: Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _send_by_reading(target: FileTarget, file: int, offset: int, end: int) -> None:
    checked = turn_ends = offset
    while offset < end:
        if offset == checked:
            checked = min(end, offset + _SLICE)
            if is_cold(file, offset, checked - offset):
                await _read_ahead(target, file, offset, checked - offset)
        if offset >= turn_ends:
            turn_ends = offset + _TURN
        _check_open(target.transport)
        try:
            data = os.pread(file, min(checked - offset, _PIECE), offset)
        except OSError as error:
            raise FileEnded(f"the file cannot be read: {error}") from error
        if not data:
            raise FileEnded(f"the file ends {end - offset} octets before what was announced")
        target.transport.write(data)
        offset += len(data)
        if target.write_paused:
            await target.drain()
        elif turn_ends <= offset < end:
            # A client that is fast enough never makes us wait, and others would wait for the end of its file; nor would
            # we learn that it has gone, as transports for TLS take what they cannot send any more until they are told.
            await sleep(0)
