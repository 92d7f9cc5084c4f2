"""A transport without a socket, for tests of connections."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["FakeTransport"]


class FakeTransport(asyncio.Transport):
    """A stream transport without a socket: it keeps what is written, and does what a test says.

    Attributes:
        written: all octets that a peer would have been sent.
        reading: whether the protocol wants to be given data; see pause_reading.
        eof_written, aborted: whether write_eof and abort were called.
        buffer_size: what get_write_buffer_size says.
        limits: the low and high mark of the write buffer.
    """

    def __init__(self, extra: dict[str, Any] | None = None) -> None:
        """*extra* is added to the addresses that get_extra_info knows."""
        super().__init__({"peername": ("192.0.2.1", 50000), "sockname": ("192.0.2.2", 80), **(extra or {})})
        self.written = b""
        self.reading = True
        self.eof_written = self.aborted = False
        self.buffer_size = 0
        self.limits = (16 * 1024, 64 * 1024)
        self._closing = False
        self._protocol: asyncio.BaseProtocol | None = None

    def write(self, data: bytes | bytearray | memoryview[Any], /) -> None:
        if self.eof_written:
            raise RuntimeError("write() after write_eof()")
        if not self._closing:
            self.written += data

    def take(self) -> bytes:
        """What has been written since the last take."""
        taken, self.written = self.written, b""
        return taken

    def write_eof(self) -> None:
        self.eof_written = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self._closing = True
        self.reading = False

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = not self._closing

    def get_write_buffer_size(self) -> int:
        return self.buffer_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.limits

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        high = 64 * 1024 if high is None else high
        self.limits = (high // 4 if low is None else low, high)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        if self._protocol is None:
            raise AssertionError("no protocol has been set")
        return self._protocol
