"""A WebSocket client that knows no more of RFC 6455 than it needs, so that it can also say what no library would.

Makes handshakes and frames as octets and takes them apart, with sockets that wait and with asyncio's streams. Does not
know what is allowed: whatever it is told to send, it sends. What the server sends is held against the RFC.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import zlib
from typing import NamedTuple

from tests.support import Client, connect

__all__ = [
    "ACCEPT",
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "DEFLATE",
    "KEY",
    "PING",
    "PONG",
    "TEXT",
    "BlockingPeer",
    "Frame",
    "Peer",
    "close",
    "close_code",
    "deflated",
    "frame",
    "inflated",
    "take_frame",
    "upgrade",
]

# RFC 6455 §1.3's own example.
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#: The field with which a client offers compression (RFC 7692 §7).
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Frame(NamedTuple):
    """A frame that the server has sent; *reserved* are its three reserved bits, RSV1 the highest."""

    opcode: int
    payload: bytes
    final: bool = True
    reserved: int = 0


# What a client says


def upgrade(target: str = "/", *fields: bytes, host: bytes = b"h") -> bytes:
    """The octets of a handshake's request, with more *fields* behind those that every one has."""
    lines = [
        f"GET {target} HTTP/1.1".encode(),
        b"Host: " + host,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: 13",
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x12\x34\x56\x78",
    declared: int | None = None,
) -> bytes:
    """The octets of a frame; without a *mask* as no client may send it, and with a *declared* length that may lie."""
    length = len(payload) if declared is None else declared
    first = (final << 7) | (reserved << 4) | opcode
    masked = 0 if mask is None else 0x80
    if length < 126:
        head = struct.pack("!BB", first, masked | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, masked | 126, length)
    else:
        head = struct.pack("!BBQ", first, masked | 127, length)
    if mask is None:
        return head + payload
    return head + mask + _masked(payload, mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    count = len(payload)
    key = (mask * (count // 4 + 1))[:count]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(count, "big")


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """The octets of a close frame; without a *code* it says nothing."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def deflated(payload: bytes) -> bytes:
    """*payload* as the first compressed message of a connection carries it (RFC 7692 §7.2.1)."""
    compressor = zlib.compressobj(wbits=-12)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(payload: bytes) -> bytes:
    """What the first compressed message of a connection says."""
    return zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")


# What a server says


def take_frame(buffer: bytearray) -> Frame | None:
    """The first frame in *buffer*, which is then no longer in it; None if there is none that is whole."""
    if len(buffer) < 2:
        return None
    first, second = buffer[0], buffer[1]
    assert not second & 0x80, "the server has masked a frame (RFC 6455 §5.1)"
    length, start = second & 0x7F, 2
    if length == 126:
        length, start = int.from_bytes(buffer[2:4], "big"), 4
    elif length == 127:
        length, start = int.from_bytes(buffer[2:10], "big"), 10
    if len(buffer) < start or len(buffer) < start + length:
        return None
    payload = bytes(buffer[start : start + length])
    del buffer[: start + length]
    return Frame(first & 0x0F, payload, bool(first & 0x80), first >> 4 & 7)


def close_code(frames: list[Frame]) -> int | None:
    """The code of the close frame in *frames*; 1005 if it gives none, None if there is no such frame."""
    kinds = [each.opcode for each in frames]
    if CLOSE not in kinds:
        return None
    at = kinds.index(CLOSE)
    # RFC 6455 §5.5.1 and §5.5.2: no message follows a close; pings are still answered where it is the first one.
    assert set(kinds[at + 1 :]) <= {PONG}, "the server has sent something after its close frame"
    payload = frames[at].payload
    return int.from_bytes(payload[:2], "big") if payload else 1005


class Peer(Client):
    """A client in the server's own loop, whose handshake is done.

    Attributes:
        head: the response to the handshake.
    """

    head = b""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._buffer = bytearray()

    @classmethod
    async def join(cls, port: int, target: str = "/", *fields: bytes) -> Peer:
        """Connect and do the handshake."""
        peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        peer.send(upgrade(target, *fields))
        peer.head = await peer.reader.readuntil(b"\r\n\r\n")
        assert peer.head.startswith(b"HTTP/1.1 101 "), peer.head
        return peer

    async def frame(self) -> Frame:
        """The next frame; EOFError if none comes any more."""
        while True:
            found = take_frame(self._buffer)
            if found is not None:
                return found
            piece = await self.reader.read(65536)
            if not piece:
                raise EOFError(f"the server has closed; left: {bytes(self._buffer[:80])!r}")
            self._buffer += piece

    async def say(self, text: str) -> None:
        """Send a text and wait for its echo."""
        self.send(frame(TEXT, text.encode()))
        assert await self.frame() == Frame(TEXT, text.encode())

    async def frames(self) -> list[Frame]:
        """All frames until the server closes, none of them cut."""
        found = []
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                found.append(await self.frame())
        assert not self._buffer, f"the last frame is cut: {bytes(self._buffer[:80])!r}"
        return found

    async def leave(self, code: int = 1000) -> None:
        """End the session as the RFC wants it: the server answers the close frame and closes."""
        self.send(close(code))
        assert await self.frames() == [Frame(CLOSE, struct.pack("!H", code))]
        self.close()


class BlockingPeer:
    """A client of a server process, on whose socket nothing waits longer than ten seconds."""

    def __init__(self, port: int, target: str = "/", *fields: bytes, receive_buffer: int | None = None) -> None:
        self.socket: socket.socket = connect(port, receive_buffer)
        self._buffer = bytearray()
        self.socket.sendall(upgrade(target, *fields))
        while b"\r\n\r\n" not in self._buffer:
            self._read()
        self.head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        assert re.match(rb"HTTP/1\.1 101 ", self.head), self.head

    def _read(self) -> None:
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError(f"the server has closed; left: {bytes(self._buffer[:80])!r}")
        self._buffer += piece

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def frame(self) -> Frame:
        """The next frame; EOFError if none comes any more."""
        while (found := take_frame(self._buffer)) is None:
            self._read()
        return found

    def frames(self) -> list[Frame]:
        """All frames until the server closes, none of them cut."""
        found = []
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                found.append(self.frame())
        assert not self._buffer, f"the last frame is cut: {bytes(self._buffer[:80])!r}"
        return found

    def __enter__(self) -> BlockingPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
