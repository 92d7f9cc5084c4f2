"""WebSockets as octets, from the client's side: the opening handshake, and frames that hold a whole message each.

Knows RFC 6455 and RFC 7692 as far as a load needs them. Does no I/O.
"""

import base64
import hashlib
import zlib
from typing import NamedTuple

from .probe import WrongAnswer

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _COMPRESSED, _MASKED = 0x80, 0x40, 0x80
# RFC 6455, section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# RFC 7692, section 7.2.1: what every flush ends with, and no message contains.
FLUSH_END = b"\x00\x00\xff\xff"
# The window that frames are made with: all of the servers allow it, or a larger one.
_WINDOW_BITS = 12


class Frame(NamedTuple):
    """A server's frame as it was read."""

    opcode: int
    is_final: bool
    is_compressed: bool
    content: bytes  # still compressed
    octets: bytes  # all of it


def handshake(target: str, key: bytes, is_compressed: bool) -> bytes:
    """The request that asks for WebSockets, and offers compression as browsers do."""
    lines = [
        *(b"GET %b HTTP/1.1" % target.encode(), b"Host: bench.example"),
        *(b"Upgrade: websocket", b"Connection: Upgrade"),
        *(b"Sec-WebSocket-Key: %b" % key, b"Sec-WebSocket-Version: 13"),
    ]
    if is_compressed:
        lines.append(b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    return b"\r\n".join([*lines, b"", b""])


def check_handshake(head: bytes, key: bytes, is_compressed: bool) -> None:
    """Look at the head of the answer to a handshake.

    Raises:
        WrongAnswer: it does not accept, or not what was asked for.
    """
    status_line, *lines = head.split(b"\r\n")
    if status_line.split()[1:2] != [b"101"]:
        raise WrongAnswer(f"{status_line[:80]!r} instead of status 101 to a WebSocket handshake")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    expected = {b"upgrade": b"websocket", b"connection": b"upgrade"}
    found = {name: fields.get(name, b"").lower() for name in expected}
    if found != expected or fields.get(b"sec-websocket-accept") != accept:
        raise WrongAnswer(f"no WebSocket handshake's answer to the key {key!r}: {head!r}")
    extension = fields.get(b"sec-websocket-extensions", b"").partition(b";")[0].strip()
    if extension != (b"permessage-deflate" if is_compressed else b""):
        offered = "permessage-deflate" if is_compressed else "none"
        raise WrongAnswer(f"the extension {extension!r} was accepted, and {offered} was offered")


def client_frame(opcode: int, content: bytes, mask: bytes, *, is_compressed: bool = False) -> bytes:
    """A whole message, or a control frame, as a client sends it."""
    octets = len(content)
    pattern = (mask * (octets // 4 + 1))[:octets]
    masked = (int.from_bytes(content) ^ int.from_bytes(pattern)).to_bytes(octets)
    first = _FIN | (_COMPRESSED if is_compressed else 0) | opcode
    return _frame_head(first, octets, _MASKED) + mask + masked


def server_frame(opcode: int, content: bytes) -> bytes:
    """A whole message as a server must send it, not compressed."""
    return _frame_head(_FIN | opcode, len(content), 0) + content


def read_frame(octets: bytes | bytearray) -> Frame | None:
    """The frame that a server's octets begin with; None if it is not all there."""
    if len(octets) < 2:
        return None
    first, length, start = octets[0], octets[1], 2
    # A mask, which no server may use, makes the length impossible, and the frame another than the expected one.
    if length in (126, 127):
        start = 4 if length == 126 else 10
        length = int.from_bytes(octets[2:start])
    if len(octets) < start + length:
        return None
    whole = bytes(octets[: start + length])
    return Frame(first & 0xF, bool(first & _FIN), bool(first & _COMPRESSED), whole[start:], whole)


def compressed(content: bytes) -> bytes:
    """The content of a compressed message, which needs none of the messages before it."""
    compressor = zlib.compressobj(wbits=-_WINDOW_BITS)
    return (compressor.compress(content) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(FLUSH_END)


def _frame_head(first: int, octets: int, masked: int) -> bytes:
    if octets < 126:
        return bytes((first, masked | octets))
    if octets < 1 << 16:
        return bytes((first, masked | 126)) + octets.to_bytes(2)
    return bytes((first, masked | 127)) + octets.to_bytes(8)
